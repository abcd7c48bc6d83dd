import { describe, expect, it } from 'vitest';
import { sanitiseFilename, UniqueNames } from '../../src/message/filename.ts';

describe('sanitiseFilename', () => {
  it.each([
    ['report.pdf', 'report.pdf'],
    ['../../etc/passwd', 'passwd'],
    ['C:\\Users\\alice\\notes.txt', 'notes.txt'],
    ['a\u202egnp.exe', 'agnp.exe'],
    ['tab\tname\u0000.txt', 'tabname.txt'],
    ['what?*<|>:".txt', 'what_______.txt'],
    ['con', '_con'],
    ['NUL.txt', '_NUL.txt'],
    ['com1.log', '_com1.log'],
    ['console.log', 'console.log'],
    ['trailing. . .', 'trailing'],
    ['.htaccess', 'htaccess'],
    ['..', null],
    ['/', null],
    ['', null],
    ['\u200b', null],
    ['e\u0301.txt', 'é.txt'],
    ['a\ud800.txt', 'a\ufffd.txt'],
  ])('%j becomes %j', (raw, name) => {
    expect(sanitiseFilename(raw, 255)).toBe(name);
  });

  it('shortens to bytes, keeps the extension and splits no character', () => {
    const long = sanitiseFilename(`${'ü'.repeat(300)}.docx`, 255)!;
    expect(long.endsWith('ü.docx')).toBe(true);
    expect(Buffer.byteLength(long)).toBeLessThanOrEqual(255);
    expect(Buffer.byteLength(sanitiseFilename('x'.repeat(9_000), 255)!)).toBe(255);
  });
});

describe('UniqueNames', () => {
  it('numbers what came before, whatever its case', () => {
    const names = new UniqueNames(255);
    expect(['a.txt', 'A.TXT', 'a.txt', 'a (2).txt', 'b'].map((name) => names.take(name))).toEqual([
      'a.txt',
      'A (2).TXT',
      'a (3).txt',
      'a (2) (2).txt',
      'b',
    ]);
  });

  it('stays within the length', () => {
    const names = new UniqueNames(20);
    names.take('abcdefghijklmnop.txt');
    expect(names.take('abcdefghijklmnop.txt')).toBe('abcdefghijkl (2).txt');
  });

  it('is quick for very many equal names', () => {
    const names = new UniqueNames(255);
    let last = '';
    for (let i = 0; i < 20_000; i++) last = names.take('same.txt');
    expect(last).toBe('same (20000).txt');
  });
});
