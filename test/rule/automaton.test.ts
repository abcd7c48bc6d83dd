import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HitSet, NeedleIndex } from '../../src/rule/automaton.ts';
import { fold } from '../../src/rule/fold.ts';

function found(needles: string[], text: string, tableCells?: number): string[] {
  const index = new NeedleIndex(needles, tableCells);
  const hits = new HitSet(needles.length);
  const told: string[] = [];
  index.scan(text, hits, (id) => told.push(needles[id]!));
  return told.sort();
}

describe('the needle index', () => {
  it.each<[string, string[], string, string[]]>([
    ['needles inside each other', ['he', 'she', 'his', 'hers'], 'ushers', ['he', 'hers', 'she']],
    ['one letter', ['a'], 'bab', ['a']],
    ['a needle that is all of the text', ['abc'], 'ABC', ['abc']],
    ['no needle at all', [], 'abc', []],
    ['no text', ['a'], '', []],
    ['across folded spaces', ['disk full'], 'DISK\r\n\tfull', ['disk full']],
    ['across dropped characters', ['password'], 'Pass\u00adWord', ['password']],
    ['non-Latin scripts', ['ошибка', '错误', '오류'], 'ОШИБКА / 系统错误', ['ошибка', '错误']],
    ['pairs of surrogates', ['🔥 alarm'], 'now: 🔥  ALARM', ['🔥 alarm']],
    ['not half a character', ['\u4e2d'], '\u4e2e', []],
    ['a needle that falls back into another', ['abcd', 'bc'], 'abce', ['bc']],
    ['nothing that is nearly there', ['disk full'], 'disk fuzz diskfull', []],
  ])('finds %s', (_, needles, text, expected) => {
    expect(found(needles, text)).toEqual(expected);
  });

  it('tells of each needle once, however often it occurs', () => {
    expect(found(['aa', 'a'], 'aaaaaaaa')).toEqual(['a', 'aa']);
  });

  it('keeps the hits of several texts until they are cleared', () => {
    const index = new NeedleIndex(['one', 'two']);
    const hits = new HitSet(2);
    index.scan('one', hits, () => {});
    index.scan('two', hits, () => {});
    expect([hits.has(0), hits.has(1)]).toEqual([true, true]);
    hits.clear();
    expect([hits.has(0), hits.has(1)]).toEqual([false, false]);
  });

  it('compares the rest of a needle when its table may hold only beginnings', () => {
    const needles = ['server one is down', 'server one is up', 'server two is down', 'server'];
    for (const cells of [1, 64, 256, 1024]) {
      expect(found(needles, 'the SERVER  one is\ndown now', cells)).toEqual(['server', 'server one is down']);
      expect(found(needles, 'server one is d server two is down', cells)).toEqual([
        'server',
        'server two is down',
      ]);
    }
  });

  it('agrees with a plain search, for any needles, text and table size', () => {
    const piece = fc.constantFrom(
      'a',
      'b',
      'A',
      ' ',
      '\n',
      'ß',
      'ä',
      'Ä',
      '中',
      '文',
      '\u00ad',
      '\ud83d',
      '\udd25',
    );
    const text = fc.array(piece, { maxLength: 60 }).map((pieces) => pieces.join(''));
    const needle = fc.array(piece, { minLength: 1, maxLength: 8 }).map((pieces) => fold(pieces.join('')));
    const needles = fc.uniqueArray(
      needle.filter((folded) => folded !== ''),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(needles, text, fc.constantFrom(1, 200, 1_000_000), (all, original, cells) => {
        const plain = all.filter((one) => fold(original).includes(one)).sort();
        expect(found(all, original, cells)).toEqual(plain);
      }),
      { numRuns: 2_000 },
    );
  });
});
