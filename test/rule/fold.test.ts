import { describe, expect, it } from 'vitest';
import { FOLD, findFolded, fold, foldText, isBlank } from '../../src/rule/fold.ts';

describe('folding', () => {
  it.each([
    ['letters', 'Disk FULL on Web01', 'disk full on web01'],
    ['runs of white space', 'a \t\r\n  b', 'a b'],
    ['spaces of other scripts', 'a\u00a0\u3000b', 'a b'],
    ['invisible characters', 'pass\u00adword\u200b', 'password'],
    ['accents', 'ÄÖÜ É', 'äöü é'],
    ['Greek, with its two small sigmas', 'ΟΔΟΣ οδος', 'οδοσ οδοσ'],
    ['a letter whose capital is two letters', 'Straße', 'straße'],
    ['the Turkish letters, which are no plain i', 'İı', 'İı'],
    ['the Kelvin sign', '\u212a', 'k'],
    ['spaces at the ends are kept, as one', '  a  ', ' a '],
    ['lone surrogates', 'A\ud800B', 'a\ud800b'],
    ['nothing', '', ''],
  ])('folds %s', (_, text, expected) => {
    expect(fold(text)).toBe(expected);
  });

  it('is at rest after one pass, for every unit', () => {
    const restless: number[] = [];
    for (let unit = 0; unit < 0x10000; unit++) if (FOLD[FOLD[unit]!] !== FOLD[unit]) restless.push(unit);
    expect(restless).toEqual([]);
  });

  it('folds long texts like short ones, with lone surrogates and replacement characters in them', () => {
    const piece = 'Ä\u00ad  B\ud800C\ufffd ';
    expect(fold(piece.repeat(500))).toBe('ä b\ud800c\ufffd '.repeat(500));
  });

  it('leads back to the original place', () => {
    const original = 'Re:\u00a0 \tDISK\u00ad  Full!';
    const span = findFolded(foldText(original), fold('disk full'));
    expect(span).toEqual({ start: 6, end: 17 });
    expect(original.slice(span!.start, span!.end)).toBe('DISK\u00ad  Full');
  });

  it.each([
    ['', true],
    [' \t\n', true],
    ['\u200b \u00a0', true],
    [' x ', false],
  ])('says whether %j is blank', (text, blank) => {
    expect(isBlank(text)).toBe(blank);
  });
});
