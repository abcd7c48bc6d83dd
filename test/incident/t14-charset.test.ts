import iconv from 'iconv-lite';
import { describe, expect, it } from 'vitest';
import type { Leaf } from '../../src/message/message.ts';
import { parseMessage } from '../../src/message/parse.ts';
import { mail, multipart, parseHeaders, utf8 } from '../message/mail.ts';

/** `テスト` and `こんにちは` in ISO-2022-JP, all bytes below 0x80. */
const ISO_2022_JP = '\x1b$B%F%9%H$3$s$K$A$O\x1b(B';

async function body(headers: string[], content: Buffer): Promise<{ text: string; leaf: Leaf }> {
  const message = await parseMessage(Buffer.concat([mail('From: a@b', ...headers, '', ''), content]));
  return { text: message.text, leaf: message.leaves[0]! };
}

describe('T14 wrong charset', () => {
  it.each([
    ['iso-8859-1', 'Größe', 'iso-8859-1'],
    ['ISO-8859-15', '10 €', 'iso-8859-15'],
    ['windows-1252', '“10 €”', 'windows-1252'],
    ['windows-1250', 'Příliš', 'windows-1250'],
    ['windows-1251', 'Привет', 'windows-1251'],
    ['koi8-r', 'Привет', 'koi8-r'],
    ['cp-850', 'Müller', 'cp-850'],
    ['shift_jis', 'こんにちは', 'shift_jis'],
    ['x-sjis', 'こんにちは', 'shift_jis'],
    ['euc-jp', 'こんにちは', 'euc-jp'],
    ['gb2312', '你好', 'gb18030'],
    ['big5', '你好', 'big5'],
    ['ks_c_5601-1987', '안녕하세요', 'cp949'],
    ['euc-kr', '안녕하세요', 'cp949'],
    ['iso-8859-8-i', 'שלום', 'iso-8859-8'],
    ['utf-16', 'wide', 'utf-16le'],
    ['unicode-1-1-utf-7', 'Hi +AOQ-', 'utf-7'],
    ['utf8mb4', 'Größe 😀', 'utf-8'],
  ])('T14.1 %s is read', async (declared, text, used) => {
    const bytes = declared.includes('utf-7') ? Buffer.from(text) : iconv.encode(text, used);
    const result = await body([`Content-Type: text/plain; charset=${declared}`], bytes);
    expect(result.text).toBe(declared.includes('utf-7') ? 'Hi ä' : text);
    expect(result.leaf).toMatchObject({ charsetDeclared: declared, charsetUsed: used, decodeLoss: 0 });
  });

  it.each([
    ['declared', ['Content-Type: text/plain; charset=ISO-2022-JP']],
    ['undeclared', []],
    ['declared as ASCII', ['Content-Type: text/plain; charset=us-ascii']],
    ['declared as UTF-8', ['Content-Type: text/plain; charset=utf-8']],
  ])('T14.2 ISO-2022-JP %s is read', async (_name, headers) => {
    const result = await body(headers, Buffer.from(ISO_2022_JP, 'latin1'));
    expect(result.text).toBe('テストこんにちは');
    expect(result.leaf).toMatchObject({ charsetUsed: 'iso-2022-jp', decodeLoss: 0 });
  });

  it('T14.2 ISO-2022-JP with vendor characters is read', async () => {
    const bytes = Buffer.from('\x1b$B-!\x1b(B', 'latin1');
    expect((await body(['Content-Type: text/plain; charset=ISO-2022-JP'], bytes)).text).toBe('①');
  });

  it.each(['iso-2022-jp', 'iso-8859-1', 'us-ascii', 'windows-1252', 'x-unknown'])(
    'T14.3 UTF-8 that was declared as %s is read as UTF-8',
    async (declared) => {
      const result = await body(
        [`Content-Type: text/plain; charset=${declared}`],
        Buffer.from('Größe テスト'),
      );
      expect(result.text).toBe('Größe テスト');
      expect(result.leaf).toMatchObject({ charsetDeclared: declared, charsetUsed: 'utf-8', decodeLoss: 0 });
    },
  );

  it('T14.3 Latin-1 that was declared as UTF-8 is read as windows-1252', async () => {
    const result = await body(['Content-Type: text/plain; charset=utf-8'], Buffer.from('Größe', 'latin1'));
    expect(result).toMatchObject({ text: 'Größe', leaf: { charsetUsed: 'windows-1252', decodeLoss: 0 } });
  });

  it('T14.4 what cannot be decoded is counted and told', async () => {
    const bytes = Buffer.concat([Buffer.from('Größe Äpfel Öl '), Buffer.from([0xff])]);
    const message = await parseMessage(
      Buffer.concat([mail('Content-Type: text/plain; charset=utf-8', '', ''), bytes]),
    );
    expect(message.leaves[0]).toMatchObject({ charsetUsed: 'utf-8', decodeLoss: 1 });
    expect(message.warnings).toEqual(['Part 1: 1 characters could not be decoded (utf-8).']);
  });

  it('T14.5 each part has its own charset', async () => {
    const message = await parseMessage(
      multipart('mixed', [
        { headers: ['Content-Type: text/plain; charset=iso-8859-1'], body: 'Gr\xf6\xdfe' },
        {
          headers: ['Content-Type: text/plain; charset=utf-8', 'Content-Transfer-Encoding: quoted-printable'],
          body: 'Gr=C3=B6=C3=9Fe',
        },
        {
          headers: ['Content-Type: text/plain; charset=windows-1251', 'Content-Transfer-Encoding: base64'],
          body: iconv.encode('Привет', 'windows-1251').toString('base64'),
        },
        { headers: ['Content-Type: text/plain'], body: ISO_2022_JP },
      ]),
    );
    expect(message.text).toBe('Größe\nGröße\nПривет\nテストこんにちは');
    expect(message.leaves.map((leaf) => leaf.charsetUsed)).toEqual([
      'iso-8859-1',
      'utf-8',
      'windows-1251',
      'iso-2022-jp',
    ]);
  });

  it('T14.6 a character that is split between encoded-words is whole', async () => {
    const bytes = Buffer.from('日本語のとても長い件名');
    const words = [bytes.subarray(0, 10), bytes.subarray(10, 20), bytes.subarray(20)];
    const subject = words.map((word) => `=?utf-8?B?${word.toString('base64')}?=`).join('\r\n ');
    expect((await parseHeaders([`Subject: ${subject}`])).subject).toBe('日本語のとても長い件名');
  });

  it('T14.7 file names in RFC 2231 and RFC 2047, mixed', async () => {
    const message = await parseMessage(
      multipart('mixed', [
        {
          headers: [
            'Content-Disposition: attachment',
            ` ;filename*=utf-8''%E2%82%AC.txt; filename="=?utf-8?Q?no?="`,
          ],
          body: '',
        },
        { headers: ['Content-Type: application/x; name="=?utf-8?B?w7wudHh0?="'], body: '' },
        { headers: [`Content-Disposition: attachment; filename="${utf8('ß.txt')}"`], body: '' },
        {
          headers: ["Content-Disposition: attachment; filename*0*=iso-8859-1''%E4; filename*1=.txt"],
          body: '',
        },
        {
          headers: [
            `Content-Disposition: attachment; filename="=?iso-2022-jp?B?${Buffer.from(ISO_2022_JP, 'latin1').toString('base64')}?=.txt"`,
          ],
          body: '',
        },
      ]),
    );
    expect(message.leaves.map((leaf) => leaf.filename)).toEqual([
      '€.txt',
      'ü.txt',
      'ß.txt',
      'ä.txt',
      'テストこんにちは.txt',
    ]);
  });

  it('T14.8 raw 8-bit header fields', async () => {
    const message = await parseHeaders([
      `Subject: ${utf8('Größe')}`,
      'From: J\xfcrgen <j@example.com>',
      `X-Jp: ${ISO_2022_JP}`,
    ]);
    expect(message.subject).toBe('Größe');
    expect(message.from[0]!.name).toBe('Jürgen');
    expect(message.headers[2]!.value).toBe('テストこんにちは');
  });
});
