import iconv from 'iconv-lite';
import { describe, expect, it } from 'vitest';
import { canonicalCharset, decodeBytes } from '../../src/message/charset.ts';

describe('canonicalCharset', () => {
  it.each([
    ['US-ASCII', 'us-ascii'],
    ['utf8', 'utf-8'],
    ['UTF8MB4', 'utf-8'],
    ['ks_c_5601-1987', 'cp949'],
    ['x-sjis', 'shift_jis'],
    ['GB2312', 'gb18030'],
    ['iso-8859-8-i', 'iso-8859-8'],
    ['ISO-2022-JP', 'iso-2022-jp'],
    ['cp50220', 'iso-2022-jp'],
    ['unicode-1-1-utf-7', 'utf-7'],
    ['latin1', 'windows-1252'],
    ['KOI8-R', 'koi8-r'],
    ['nonsense', 'nonsense'],
  ])('%s is %s', (declared, name) => {
    expect(canonicalCharset(declared)).toBe(name);
  });
});

describe('decodeBytes', () => {
  it.each([
    ['windows-1252', 'Café – “quoted” €'],
    ['iso-8859-2', 'Příliš žluťoučký'],
    ['windows-1251', 'Привет'],
    ['koi8-r', 'Привет'],
    ['cp850', 'Müller'],
    ['shift_jis', 'こんにちは'],
    ['euc-jp', 'こんにちは'],
    ['gb18030', '你好，世界'],
    ['big5', '你好'],
    ['cp949', '안녕하세요'],
    ['windows-874', 'สวัสดี'],
    ['utf-16le', 'wide'],
    ['macintosh', 'Übung'],
  ])('reads %s', (charset, text) => {
    const decoded = decodeBytes(iconv.encode(text, charset), charset);
    expect(decoded).toMatchObject({ text, used: charset, loss: 0 });
  });

  it('says what an unmarked ASCII text is', () => {
    expect(decodeBytes(Buffer.from('hello'), null)).toEqual({ text: 'hello', used: 'us-ascii', loss: 0 });
    expect(decodeBytes(Buffer.from('hello'), 'UTF-8')).toEqual({ text: 'hello', used: 'utf-8', loss: 0 });
  });

  it('takes valid UTF-8 for UTF-8 whatever single-byte charset was declared', () => {
    expect(decodeBytes(Buffer.from('Grüße'), 'iso-8859-1')).toEqual({
      text: 'Grüße',
      used: 'utf-8',
      loss: 0,
    });
    expect(decodeBytes(Buffer.from('Grüße'), 'us-ascii')).toEqual({ text: 'Grüße', used: 'utf-8', loss: 0 });
    expect(decodeBytes(Buffer.from('テスト'), 'iso-2022-jp')).toEqual({
      text: 'テスト',
      used: 'utf-8',
      loss: 0,
    });
  });

  it('reads windows-1252 where UTF-8 was declared', () => {
    const bytes = Buffer.from('Grüße aus Köln', 'latin1');
    expect(decodeBytes(bytes, 'utf-8')).toEqual({ text: 'Grüße aus Köln', used: 'windows-1252', loss: 0 });
  });

  it('keeps damaged UTF-8 as UTF-8 and counts the loss', () => {
    const bytes = Buffer.concat([Buffer.from('Größe Äpfel '), Buffer.from([0xc3])]);
    expect(decodeBytes(bytes, 'utf-8')).toEqual({ text: 'Größe Äpfel \ufffd', used: 'utf-8', loss: 1 });
  });

  it('strips a byte order mark and believes it', () => {
    expect(decodeBytes(Buffer.from('\ufeffhi'), null).text).toBe('hi');
    expect(decodeBytes(Buffer.from('\ufeffhi', 'utf16le'), 'us-ascii')).toMatchObject({
      text: 'hi',
      used: 'utf-16le',
    });
  });

  it('recognises EUC and Shift_JIS that nobody declared', () => {
    expect(decodeBytes(iconv.encode('これはテストです。よろしく', 'euc-jp'), null).used).toBe('euc-jp');
    expect(decodeBytes(iconv.encode('これはテストです。よろしく', 'shift_jis'), null).used).toBe('shift_jis');
    expect(decodeBytes(iconv.encode('안녕하세요 반갑습니다 여러분', 'cp949'), null).used).toBe('cp949');
    expect(decodeBytes(iconv.encode('我们的服务器今天不能工作', 'gb18030'), null).used).toBe('gb18030');
  });

  it('falls back to windows-1252 for an unknown name', () => {
    expect(decodeBytes(Buffer.from('caf\xe9', 'latin1'), 'x-unknown')).toMatchObject({
      text: 'café',
      used: 'windows-1252',
    });
  });

  it('does not take transfer encodings for charsets', () => {
    expect(decodeBytes(Buffer.from('aGk='), 'base64').text).toBe('aGk=');
    expect(decodeBytes(Buffer.from('6869'), 'hex').text).toBe('6869');
  });

  it('takes UTF-16 without a mark by its zero bytes', () => {
    expect(decodeBytes(Buffer.from('wide', 'utf16le'), 'utf-16').text).toBe('wide');
    expect(decodeBytes(Buffer.from('wide', 'utf16le').swap16(), 'utf-16').text).toBe('wide');
    expect(decodeBytes(Buffer.from('not wide'), 'utf-16').text).toBe('not wide');
  });
});
