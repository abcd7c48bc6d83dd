import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { classify } from '../../src/message/classify.ts';
import { parseMessage } from '../../src/message/parse.ts';
import { isStorableText } from '../../src/message/storable.ts';
import { mail } from '../message/mail.ts';

/** Every string inside a value, keys included. */
function* strings(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value;
  if (typeof value !== 'object' || value === null) return;
  for (const [key, entry] of Object.entries(value)) {
    yield key;
    yield* strings(entry);
  }
}

async function unstorable(source: Buffer): Promise<string[]> {
  const message = await parseMessage(source);
  const classification = classify(message, { ownAddresses: [], instanceId: 'x' });
  return [...strings({ message, classification })].filter((text) => !isStorableText(text));
}

describe('T15 NUL bytes and lone surrogates', () => {
  it('T15.1 NUL in subject, header name and value, addresses, ids, file name and body', async () => {
    const source = mail(
      'Subject: a\0b =?utf-8?Q?c=00d?=',
      'X-Na\0me: va\0lue',
      'From: "Al\0ice" <al\0ice@example.com>',
      'Message-ID: <a\0b@c>',
      'References: <d\0e@f>',
      'Content-Type: multipart/mixed; boundary=b',
      '',
      '--b',
      'Content-Type: text/plain; charset="utf\0-8"',
      '',
      'te\0xt',
      '--b',
      'Content-Type: text/html',
      'Content-Transfer-Encoding: base64',
      '',
      Buffer.from('<p>a\0b&#0;</p>').toString('base64'),
      '--b',
      'Content-Type: application/x; name="na\0me.bin"',
      'Content-ID: <c\0id>',
      '',
      '\0',
      '--b--',
    );
    expect(await unstorable(source)).toEqual([]);
    const message = await parseMessage(source);
    expect(message).toMatchObject({
      subject: 'ab cd',
      messageId: 'ab@c',
      references: ['de@f'],
      text: 'text',
      html: '<p>ab&#0;</p>',
    });
    expect(message.headers[1]).toEqual({ name: 'X-Name', value: 'value' });
    expect(message.leaves[2]).toMatchObject({ filename: 'name.bin', contentId: 'cid' });
  });

  it('T15.1 lone surrogates in every encoding that can carry them', async () => {
    const lone = Buffer.from([0xed, 0xa0, 0x80]).toString('latin1');
    const utf16 = Buffer.from('a\ud800b', 'utf16le').toString('base64');
    const source = mail(
      `Subject: ${lone} =?utf-8?Q?=ED=A0=80?= =?utf-16le?B?${utf16}?=`,
      'Content-Type: text/plain; charset=utf-16le',
      'Content-Transfer-Encoding: base64',
      '',
      utf16,
    );
    expect(await unstorable(source)).toEqual([]);
  });

  it('T15.1 a limit that falls into a surrogate pair leaves no half', async () => {
    const message = await parseMessage(
      mail('Subject: x', '', Buffer.from('😀'.repeat(20)).toString('latin1')),
      {
        bodyTextChars: 5,
      },
    );
    expect(message.text).toBe('😀😀');
  });

  it('T15.2 any bytes yield storable text', async () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
      fc
        .constantFrom(
          ...[
            '\r\n',
            '\n',
            '\r',
            ': ',
            '--b',
            '--b--',
            '\r\n\r\n',
            '=?utf-8?Q?',
            '?=',
            '=ED=A0=80',
            '&#xD800;',
            '\0',
          ],
          ...[
            'Subject: ',
            'From: ',
            'Content-Type: multipart/mixed; boundary=b\r\n',
            'Content-Type: text/html\r\n',
          ],
          ...[
            'Content-Type: text/plain; charset=utf-16\r\n',
            'Content-Transfer-Encoding: base64\r\n',
            'References: <',
          ],
          ...[
            'Content-Transfer-Encoding: quoted-printable\r\n',
            "Content-Disposition: attachment; filename*=utf-16''",
          ],
          ...[
            'Content-Type: message/delivery-status\r\n',
            'Content-Type: message/rfc822\r\n',
            'Date: ',
            '"',
            '<',
            '>',
            '(',
          ],
        )
        .map((text) => Buffer.from(text, 'latin1')),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 40 }), async (pieces) => {
        expect(await unstorable(Buffer.concat(pieces))).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });
});
