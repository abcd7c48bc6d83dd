import { describe, expect, it } from 'vitest';
import { parseStructuredValue, textParameter } from '../../src/message/parameters.ts';
import { utf8 } from './mail.ts';

function filename(value: string): string | null {
  return textParameter(parseStructuredValue(value).params, 'filename');
}

describe('parseStructuredValue', () => {
  it.each([
    ['text/plain', 'text/plain', {}],
    ['Text/HTML; Charset="UTF-8"', 'text/html', { charset: 'UTF-8' }],
    ['text/plain (a comment); charset=us-ascii (another (nested))', 'text/plain', { charset: 'us-ascii' }],
    ['multipart/mixed; boundary = "a b"', 'multipart/mixed', { boundary: 'a b' }],
    ['multipart/mixed;boundary="a\\"b"', 'multipart/mixed', { boundary: 'a"b' }],
    ['multipart/mixed; boundary=----=_x; type=y', 'multipart/mixed', { boundary: '----=_x', type: 'y' }],
    ['attachment; filename="C:\\dir\\file.txt"', 'attachment', { filename: 'C:\\dir\\file.txt' }],
    ['attachment; filename=my report (1).pdf', 'attachment', { filename: 'my report (1).pdf' }],
    ['attachment; filename="never ends', 'attachment', { filename: 'never ends' }],
    ['text/plain; charset=a; charset=b', 'text/plain', { charset: 'a' }],
    ['text/plain;;; ; charset', 'text/plain', {}],
    ['', '', {}],
  ])('%s', (header, value, params) => {
    const parsed = parseStructuredValue(header);
    expect(parsed.value).toBe(value);
    expect(Object.fromEntries(parsed.params)).toEqual(params);
  });

  it('keeps names of prototypes as data', () => {
    const { params } = parseStructuredValue('text/plain; __proto__=x; constructor=y');
    expect([...params.keys()]).toEqual(['__proto__', 'constructor']);
  });

  it('stops at a bound of parameters', () => {
    expect(
      parseStructuredValue(`a/b${Array.from({ length: 5000 }, (_, i) => `;p${i}=1`).join('')}`).params.size,
    ).toBe(200);
  });

  it('ends on unclosed comments and quotes of any length', () => {
    expect(parseStructuredValue(`text/plain${'('.repeat(1_000_000)}`).value).toBe('text/plain');
    expect(parseStructuredValue(`a/b; x="${'\\"'.repeat(500_000)}`).params.get('x')?.length).toBe(500_000);
  });
});

describe('textParameter', () => {
  it.each([
    ['RFC 2231', "attachment; filename*=utf-8''caf%C3%A9.txt", 'café.txt'],
    [
      'RFC 2231 in pieces',
      "attachment; filename*0*=utf-8'en'ca; filename*1*=f%C3%A9; filename*2=.txt",
      'café.txt',
    ],
    ['RFC 2231 split inside a character', "attachment; filename*0*=utf-8''%C3; filename*1*=%A9", 'é'],
    ['plain pieces', 'attachment; filename*0="long "; filename*1="name.txt"', 'long name.txt'],
    ['RFC 2231 before plain', "attachment; filename=ascii.txt; filename*=utf-8''%C3%BC.txt", 'ü.txt'],
    ['an encoded-word', 'attachment; filename="=?utf-8?Q?=C3=BC.txt?="', 'ü.txt'],
    ['an encoded-word in pieces', 'attachment; filename*0="=?utf-8?Q?=C3"; filename*1="=BC.txt?="', 'ü.txt'],
    ['bare UTF-8', `attachment; filename="${utf8('ü.txt')}"`, 'ü.txt'],
    ['bare Latin-1', 'attachment; filename="\xfc.txt"', 'ü.txt'],
    ['without a charset', "attachment; filename*=''caf%C3%A9", 'café'],
    ['a broken escape', "attachment; filename*=utf-8''100%", '100%'],
  ])('%s', (_name, header, expected) => {
    expect(filename(header)).toBe(expected);
  });

  it('decodes an RFC 2231 value once only', () => {
    expect(filename("attachment; filename*=utf-8''a%3D%3Futf-8%3FQ%3F%3D2Eexe%3F%3D")).toBe(
      'a=?utf-8?Q?=2Eexe?=',
    );
  });

  it('is null without the parameter', () => {
    expect(filename('attachment')).toBeNull();
  });
});
