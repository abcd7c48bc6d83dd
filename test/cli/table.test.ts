import { describe, expect, it } from 'vitest';
import { table } from '../../src/cli/table.ts';
import { displayWidth, printable, truncate } from '../../src/cli/text.ts';

describe('table', () => {
  it('aligns texts to the left and numbers to the right', () => {
    expect(
      table(
        ['id', 'name', 'count'],
        [
          [1, 'inbox', 5],
          [12, 'a longer name', 1200],
        ],
      ),
    ).toBe(['id  name           count', ' 1  inbox              5', '12  a longer name   1200'].join('\n'));
  });

  it('shows the head alone without rows, and indents', () => {
    expect(table(['id', 'name'], [], { indent: '  ' })).toBe('  id  name');
  });

  it('treats a column with any text in it as text', () => {
    expect(table(['n'], [[1], ['many']])).toBe('n\n1\nmany');
  });

  it('keeps columns straight with wide characters', () => {
    const lines = table(
      ['subject', 'to'],
      [
        ['無法登錄', 'x'],
        ['plain', 'y'],
      ],
    ).split('\n');
    expect(lines).toEqual(['subject   to', '無法登錄  x', 'plain     y']);
  });

  it('cuts long cells and lets no cell write to the terminal', () => {
    const text = table(['subject'], [['\u001b[2Jgone\r\nnext\u202etxt'], ['x'.repeat(50)]], {
      maxCellWidth: 12,
    });
    expect(text.split('\n')).toEqual(['subject', '[2Jgone nex…', 'xxxxxxxxxxx…']);
  });
});

describe('printable', () => {
  it.each([
    ['a\tb\r\n c', 'a b c'],
    ['\u001b]0;title\u0007x', ']0;titlex'],
    ['evil\u202egpj.exe', 'evilgpj.exe'],
    ['zero\u200bwidth\u0000', 'zerowidth'],
    ['\ud800lone', 'lone'],
    ['日本 ü 🙏', '日本 ü 🙏'],
  ])('%j becomes %j', (text, expected) => {
    expect(printable(text)).toBe(expected);
  });
});

describe('widths', () => {
  it.each([
    ['abc', 3],
    ['日本', 4],
    ['é', 1],
    ['e\u0301', 1],
    ['🙏', 2],
    ['', 0],
  ])('%j takes %i columns', (text, width) => {
    expect(displayWidth(text)).toBe(width);
  });

  it.each([
    ['abcdef', 6, 'abcdef'],
    ['abcdefg', 6, 'abcde…'],
    ['日本語です', 6, '日本…'],
    ['ab cdefg', 4, 'ab…'],
  ])('%j in %i columns is %j', (text, width, expected) => {
    expect(truncate(text, width)).toBe(expected);
  });
});
