import { displayWidth, padEnd, padStart, printable, truncate } from './text.ts';

export type Cell = string | number;

export interface TableOptions {
  /** Longer cells are cut, in columns of the terminal. */
  maxCellWidth?: number;
  /** Put before every line. */
  indent?: string;
}

const GAP = '  ';
const MAX_CELL_WIDTH = 60;

/** Aligned columns for a person: numbers to the right, no borders. Without rows, the head alone. */
export function table(
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
  options: TableOptions = {},
): string {
  const { maxCellWidth = MAX_CELL_WIDTH, indent = '' } = options;
  const lines = [head, ...rows].map((row) =>
    row.map((cell) => truncate(printable(String(cell)), maxCellWidth)),
  );
  const columns = head.map((_, column) => ({
    width: Math.max(...lines.map((line) => displayWidth(line[column] ?? ''))),
    numeric: rows.length > 0 && rows.every((row) => typeof row[column] === 'number'),
  }));
  return lines
    .map((line) => {
      const cells = columns.map(({ width, numeric }, column) => {
        const cell = line[column] ?? '';
        return numeric ? padStart(cell, width) : padEnd(cell, width);
      });
      return `${indent}${cells.join(GAP)}`.trimEnd();
    })
    .join('\n');
}
