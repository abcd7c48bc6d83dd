import { describe, expect, it } from 'vitest';
import type { ParsedMessage } from '../../src/message/message.ts';
import { parseMessage } from '../../src/message/parse.ts';
import { countLeaves, multipart } from '../message/mail.ts';

const TEXT = { headers: ['Content-Type: text/plain'], body: 'Hello' };

function attachment(...headers: string[]): { headers: string[]; body: string } {
  return { headers, body: 'x' };
}

function uses(message: ParsedMessage): string[] {
  return message.leaves.map((leaf) => `${leaf.part} ${leaf.use} ${leaf.filename}`);
}

describe('T16 missing attachments', () => {
  it.each([
    ['an unnamed part of an unknown type', attachment('Content-Type: application/x-strange')],
    ['an unnamed image', attachment('Content-Type: image/png')],
    ['an empty file', { headers: ['Content-Type: application/pdf; name=empty.pdf'], body: '' }],
    ['a winmail.dat', attachment('Content-Type: application/ms-tnef; name=winmail.dat')],
    ['an Outlook message', attachment('Content-Type: application/vnd.ms-outlook; name=mail.msg')],
    ['an invitation', attachment('Content-Type: text/calendar; method=REQUEST')],
    ['a signature', attachment('Content-Type: application/pgp-signature')],
    ['a delivery status', attachment('Content-Type: message/delivery-status')],
    ['a partial message', attachment('Content-Type: message/partial; id=a; number=1')],
    ['a text that is attached', attachment('Content-Type: text/plain', 'Content-Disposition: attachment')],
    ['a second text with a name', attachment('Content-Type: text/plain; name=log.txt')],
    ['a type that is none', attachment('Content-Type: @@@')],
  ])('T16.1 %s is an attachment', async (_name, part) => {
    const message = await parseMessage(multipart('mixed', [TEXT, part]));
    expect(message.leaves.map((leaf) => leaf.use)).toEqual(['body', 'attachment']);
    expect(message.text).toBe('Hello');
    expect(countLeaves(message)).toEqual({ all: 2, accounted: 2 });
  });

  it.each([
    ['an external body', 'mixed', 'Content-Type: message/external-body; access-type=URL'],
    ['a form of the text for AMP', 'alternative', 'Content-Type: text/x-amp-html'],
    ['enriched text', 'alternative', 'Content-Type: text/enriched'],
  ])('T16.1 %s is skipped with a reason', async (_name, subtype, type) => {
    const message = await parseMessage(multipart(subtype, [TEXT, attachment(type)]));
    expect(message.leaves[1]!.use).toBe('skipped');
    expect(message.leaves[1]!.reason).toMatch(/\w/);
    expect(countLeaves(message)).toEqual({ all: 2, accounted: 2 });
  });

  it('T16.1 a text with a name is the letter when there is no other', async () => {
    const message = await parseMessage(
      multipart('mixed', [attachment('Content-Type: text/plain; name=alert.txt')]),
    );
    expect(message.leaves[0]).toMatchObject({ use: 'body', filename: 'alert.txt' });
    expect(message.text).toBe('x');
  });

  it('T16.1 an attached message is kept as one file, named after its subject', async () => {
    const inner =
      'Subject: =?utf-8?Q?=C3=9Cber/uns?=\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\nx\r\n--i--';
    const message = await parseMessage(
      multipart('mixed', [
        TEXT,
        { headers: ['Content-Type: message/rfc822'], body: inner },
        { headers: ['Content-Type: message/rfc822', 'Content-Disposition: inline'], body: inner },
        { headers: ['Content-Type: message/rfc822'], body: 'No: subject\r\n\r\nx' },
        { headers: ['Content-Type: message/rfc822; name="named.eml"'], body: inner },
      ]),
    );
    expect(uses(message)).toEqual([
      '1 body null',
      '2 attachment Über-uns.eml',
      '3 attachment Über-uns (2).eml',
      '4 attachment message.eml',
      '5 attachment named.eml',
    ]);
    expect(message.leaves[1]!.size).toBe(inner.length);
  });

  it('T16.2 the same name three times', async () => {
    const part = attachment('Content-Type: image/png; name=image.png');
    const message = await parseMessage(multipart('mixed', [TEXT, part, part, part]));
    expect(message.leaves.slice(1).map((leaf) => leaf.filename)).toEqual([
      'image.png',
      'image (2).png',
      'image (3).png',
    ]);
  });

  it.each([
    ['../../etc/passwd', 'passwd'],
    ['..\\..\\windows\\system32', 'system32'],
    ['=?utf-8?Q?a=E2=80=AEgnp.exe?=', 'agnp.exe'],
    [`${'n'.repeat(300)}.txt`, `${'n'.repeat(251)}.txt`],
    ['...', 'unnamed'],
    ['aux.txt', '_aux.txt'],
    ['a\tb.txt', 'ab.txt'],
    ['__proto__', '__proto__'],
  ])('T16.3 the name %s becomes %s', async (raw, name) => {
    const message = await parseMessage(
      multipart('mixed', [
        TEXT,
        attachment(`Content-Disposition: attachment; filename="${raw.replaceAll('\\', '\\\\')}"`),
      ]),
    );
    expect(message.leaves[1]!.filename).toBe(name);
  });

  it('T16.3 an empty name is no name', async () => {
    const message = await parseMessage(
      multipart('mixed', [TEXT, attachment('Content-Disposition: attachment; filename=""')]),
    );
    expect(message.leaves[1]).toMatchObject({ use: 'attachment', filename: null });
  });

  it('T16.3 a name in continuations', async () => {
    const message = await parseMessage(
      multipart('mixed', [
        TEXT,
        attachment(
          'Content-Disposition: attachment; filename*0*=utf-8\'\'ver%C3; filename*1*=%BC; filename*2=".pdf"',
        ),
      ]),
    );
    expect(message.leaves[1]!.filename).toBe('verü.pdf');
  });

  it('T16.4 images are listed with their content ids, referenced or not', async () => {
    const message = await parseMessage(
      multipart('related', [
        { headers: ['Content-Type: text/html'], body: '<img src="cid:one@example.com">' },
        attachment(
          'Content-Type: image/png; name=one.png',
          'Content-ID: <one@example.com>',
          'Content-Disposition: inline',
        ),
        attachment(
          'Content-Type: image/png; name=two.png',
          'Content-ID: <two@example.com>',
          'Content-Disposition: inline',
        ),
      ]),
    );
    expect(message.html).toBe('<img src="cid:one@example.com">');
    expect(message.leaves.slice(1).map((leaf) => [leaf.use, leaf.contentId, leaf.disposition])).toEqual([
      ['attachment', 'one@example.com', 'inline'],
      ['attachment', 'two@example.com', 'inline'],
    ]);
  });

  it('T16.5 sizes are those of the decoded bytes', async () => {
    const bytes = Buffer.from(Array.from({ length: 1_000 }, (_, i) => i % 256));
    for (let length = 990; length <= 1_000; length++) {
      const base64 = bytes.subarray(0, length).toString('base64').replace(/.{76}/g, '$&\r\n');
      const quoted = [...bytes.subarray(0, length)]
        .map((byte) => `=${byte.toString(16).padStart(2, '0')}`)
        .join('=\r\n');
      const message = await parseMessage(
        multipart('mixed', [
          { headers: ['Content-Type: a/b', 'Content-Transfer-Encoding: base64'], body: base64 },
          { headers: ['Content-Type: a/b', 'Content-Transfer-Encoding: quoted-printable'], body: quoted },
          { headers: ['Content-Type: a/b'], body: 'x'.repeat(length) },
        ]),
      );
      expect(message.leaves.map((leaf) => leaf.size)).toEqual([length, length, length]);
    }
  });
});
