import { describe, expect, it } from 'vitest';
import { decodeHeaderText } from '../../src/message/encoded-words.ts';
import { utf8 } from './mail.ts';

describe('decodeHeaderText', () => {
  it.each([
    ['plain', 'plain'],
    ['=?utf-8?Q?Caf=C3=A9_au_lait?=', 'Café au lait'],
    ['=?UTF-8?b?Q2Fmw6k=?= today', 'Café today'],
    ['=?iso-8859-1?q?a?= =?iso-8859-1?q?b?=', 'ab'],
    ['=?utf-8?q?a?= x =?utf-8?q?b?=', 'a x b'],
    // A character split between two words, which the standard forbids and mailers do.
    ['=?utf-8?B?w4M=?= =?utf-8?B?w6k=?=', 'Ãé'],
    ['=?utf-8?Q?=C3?= =?utf-8?Q?=A9?=', 'é'],
    ['=?iso-2022-jp?B?GyRCJEYbKEI=?= =?iso-2022-jp?B?GyRCJTkbKEI=?=', 'てス'],
    ['=?utf-8*en?Q?hello?=', 'hello'],
    ['=?utf-8?X?broken?=', '=?utf-8?X?broken?='],
    ['=?utf-8?Q?unfinished', '=?utf-8?Q?unfinished'],
    ['a=?utf-8?Q?b?=c', 'abc'],
    ['=?utf-8?Q?=41=ZZ=?=', 'A=ZZ='],
    ['=?utf-8?B??=', ''],
    ['1 =? 2 ?= 3', '1 =? 2 ?= 3'],
  ])('%s', (value, text) => {
    expect(decodeHeaderText(value)).toBe(text);
  });

  it('reads bare 8-bit as UTF-8, else as windows-1252', () => {
    expect(decodeHeaderText(utf8('Größe'))).toBe('Größe');
    expect(decodeHeaderText('Gr\xf6\xdfe')).toBe('Größe');
  });

  it('takes time linear to hostile input', () => {
    expect(decodeHeaderText('=?a?q?x'.repeat(200_000)).length).toBe(1_400_000);
    expect(decodeHeaderText('=?a?q?x?='.repeat(100_000))).toBe('x'.repeat(100_000));
  });
});
