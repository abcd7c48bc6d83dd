/** Sequence sets (RFC 9051 section 9, `sequence-set`): `1`, `2:4`, `7:*`, comma separated. */
export type Range = readonly [low: number, high: number];

const ELEMENT = /^(\d{1,10}|\*)(?::(\d{1,10}|\*))?$/;

/**
 * Ranges of a set with `*` replaced by `last`, the largest number in use. `n:*` always includes `last`, even
 * when n is larger: the rule that returns an old message to clients that ask for new ones. Null when malformed.
 */
export function parseSequenceSet(text: string, last: number): Range[] | null {
  const ranges: Range[] = [];
  for (const element of text.split(',')) {
    const match = ELEMENT.exec(element);
    if (!match) return null;
    const number = (part: string): number => (part === '*' ? last : Number(part));
    const first = number(match[1] as string);
    const second = match[2] === undefined ? first : number(match[2]);
    ranges.push(first <= second ? [first, second] : [second, first]);
  }
  return ranges;
}

export function inRanges(ranges: readonly Range[], value: number): boolean {
  return ranges.some(([low, high]) => value >= low && value <= high);
}

/** Writes numbers as a set, with runs joined: 1,2,3,7 becomes `1:3,7`. */
export function formatSequenceSet(numbers: readonly number[]): string {
  const parts: string[] = [];
  let start = 0;
  for (let index = 0; index < numbers.length; index += 1) {
    const value = numbers[index] as number;
    if (numbers[index + 1] === value + 1) continue;
    const first = numbers[start] as number;
    parts.push(first === value ? String(value) : `${first}:${value}`);
    start = index + 1;
  }
  return parts.join(',');
}
