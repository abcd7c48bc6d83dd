import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { pairUp } from '../../src/intake/resync.ts';

const digest = (text: string) => createHash('sha256').update(text).digest();
const print = (key: string, header: string, size = 10) => ({ key, headerSha256: digest(header), size });
const row = (id: number, header: string, size = 10) => ({
  id,
  headerSha256: digest(header),
  rawSha256: digest(`raw ${header}`),
  size,
  epoch: 'old',
  key: `old-${id}`,
});

describe('pairUp', () => {
  it('gives each known message its new key', () => {
    const pairs = pairUp([print('7', 'a'), print('8', 'b')], [row(1, 'b'), row(2, 'a')]);
    expect(pairs.map(({ candidate, key }) => [candidate.id, key])).toEqual([
      [2, '7'],
      [1, '8'],
    ]);
  });

  it('uses each row once: of three equal messages with two rows, one is new', () => {
    const pairs = pairUp([print('1', 'a'), print('2', 'a'), print('3', 'a')], [row(1, 'a'), row(2, 'a')]);
    expect(pairs).toHaveLength(2);
    expect(new Set(pairs.map((pair) => pair.candidate.id)).size).toBe(2);
  });

  it('does not pair by the header alone: where the size differs only the bytes can tell', () => {
    expect(pairUp([print('1', 'a', 11)], [row(1, 'a', 10)])).toEqual([]);
  });

  it('takes the last of equal rows first', () => {
    const [pair] = pairUp([print('1', 'a')], [row(1, 'a'), row(2, 'a')]);
    expect(pair?.candidate.id).toBe(2);
  });
});
