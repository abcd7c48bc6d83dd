import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { ParsedMessage } from '../../src/message/message.ts';
import { parseMessage } from '../../src/message/parse.ts';
import { countLeaves, mail, multipart, parseHeaders, utf8, withHeaders } from './mail.ts';

const SAMPLE = mail(
  'Return-Path: <alice@example.com>',
  'Received: from mx.example.net by mail.example.org;',
  '\tMon, 5 Jan 2026 10:00:05 +0100',
  'Received: from client by mx.example.net; Mon, 5 Jan 2026 09:00:00 +0000',
  'From: =?utf-8?Q?Alice_Caf=C3=A9?= <alice@example.com>',
  'Sender: office@example.com',
  'Reply-To: Alice <reply@example.com>',
  'To: Help <help@example.org>, bob@example.org',
  'Cc: carol@example.org',
  'Bcc: dave@example.org',
  'Subject: =?utf-8?B?UHJpbnRlcg==?= on',
  ' fire',
  'Date: Mon, 05 Jan 2026 10:00:00 +0100',
  'Message-ID: <m3@example.com>',
  'In-Reply-To: <m2@example.com>',
  'References: <m1@example.com>',
  ' <m2@example.com>',
  'MIME-Version: 1.0',
  'Content-Type: multipart/mixed; boundary="m"',
  '',
  '--m',
  'Content-Type: multipart/alternative; boundary="a"',
  '',
  '--a',
  'Content-Type: text/plain; charset=utf-8',
  'Content-Transfer-Encoding: quoted-printable',
  '',
  'The printer burns =E2=80=93 again.',
  '',
  '> old text',
  '--a',
  'Content-Type: text/html; charset=iso-8859-1',
  '',
  '<p>The printer br\xe4t</p>',
  '--a--',
  '--m',
  'Content-Type: application/pdf',
  'Content-Disposition: attachment; filename="report.pdf"',
  'Content-Transfer-Encoding: base64',
  '',
  'aGVsbG8gd29ybGQ=',
  '--m--',
  '',
);

describe('parseMessage', () => {
  it('reads everything that rules and threading need', async () => {
    const message = await parseMessage(SAMPLE);
    expect(message).toMatchObject({
      from: [{ name: 'Alice Café', address: 'alice@example.com' }],
      sender: { name: '', address: 'office@example.com' },
      replyTo: [{ name: 'Alice', address: 'reply@example.com' }],
      to: [
        { name: 'Help', address: 'help@example.org' },
        { name: '', address: 'bob@example.org' },
      ],
      cc: [{ name: '', address: 'carol@example.org' }],
      bcc: [{ name: '', address: 'dave@example.org' }],
      subject: 'Printer on fire',
      messageId: 'm3@example.com',
      inReplyTo: ['m2@example.com'],
      references: ['m1@example.com', 'm2@example.com'],
      date: '2026-01-05T09:00:00.000Z',
      receivedAt: '2026-01-05T09:00:05.000Z',
      text: 'The printer burns – again.\n\n> old text',
      textIsFromHtml: false,
      html: '<p>The printer brät</p>',
      newestText: 'The printer burns – again.',
      deliveryStatus: null,
      warnings: [],
    });
    expect(message.headers.slice(0, 2)).toEqual([
      { name: 'Return-Path', value: '<alice@example.com>' },
      { name: 'Received', value: 'from mx.example.net by mail.example.org;\tMon, 5 Jan 2026 10:00:05 +0100' },
    ]);
    expect(message.headers).toHaveLength(16);
    expect(message.leaves).toEqual([
      {
        part: '1.1',
        contentType: 'text/plain',
        filename: null,
        contentId: null,
        disposition: null,
        size: 42,
        use: 'body',
        reason: null,
        charsetDeclared: 'utf-8',
        charsetUsed: 'utf-8',
        decodeLoss: 0,
      },
      {
        part: '1.2',
        contentType: 'text/html',
        filename: null,
        contentId: null,
        disposition: null,
        size: 23,
        use: 'body',
        reason: null,
        charsetDeclared: 'iso-8859-1',
        charsetUsed: 'iso-8859-1',
        decodeLoss: 0,
      },
      {
        part: '2',
        contentType: 'application/pdf',
        filename: 'report.pdf',
        contentId: null,
        disposition: 'attachment',
        size: 11,
        use: 'attachment',
        reason: null,
        charsetDeclared: null,
        charsetUsed: null,
        decodeLoss: 0,
      },
    ]);
  });

  it('gives the same for a stream in pieces of any size', async () => {
    const whole = await parseMessage(SAMPLE);
    for (const size of [1, 7, 1_000]) {
      const pieces: Buffer[] = [];
      for (let at = 0; at < SAMPLE.length; at += size) pieces.push(SAMPLE.subarray(at, at + size));
      expect(await parseMessage(Readable.from(pieces))).toEqual(whole);
    }
  });

  it('gives the same text with any line ends', async () => {
    const plain = ({ text, html, newestText, subject, references, date, from }: ParsedMessage) => {
      return { text, html, newestText, subject, references, date, from };
    };
    const whole = await parseMessage(SAMPLE);
    for (const lineEnd of ['\n', '\r']) {
      const source = SAMPLE.toString('latin1').replaceAll('\r\n', lineEnd);
      const other = await parseMessage(Buffer.from(source, 'latin1'));
      expect(plain(other)).toEqual(plain(whole));
      expect(other.leaves.map((leaf) => leaf.part)).toEqual(['1.1', '1.2', '2']);
    }
  });

  it('is plain data that crosses a thread border', async () => {
    const message = await parseMessage(SAMPLE);
    expect(structuredClone(message)).toEqual(message);
    expect(JSON.parse(JSON.stringify(message))).toEqual(message);
  });

  it('makes text of HTML when there is no other', async () => {
    const message = await parseHeaders(
      ['Content-Type: text/html'],
      '<div>One</div><blockquote>Two</blockquote>',
    );
    expect(message).toMatchObject({ text: 'One\n\n> Two', textIsFromHtml: true, newestText: 'One' });
    expect(message.html).toContain('<div>');
  });

  it('makes text of HTML when the text part is blank', async () => {
    const message = await parseMessage(
      multipart('alternative', [
        { headers: ['Content-Type: text/plain'], body: ' ' },
        { headers: ['Content-Type: text/html'], body: '<p>Real</p>' },
      ]),
    );
    expect(message).toMatchObject({ text: 'Real', textIsFromHtml: true });
  });

  it('joins all bodies in order', async () => {
    const message = await parseMessage(
      multipart('mixed', [
        { headers: ['Content-Type: text/plain'], body: 'One' },
        { headers: ['Content-Type: text/html'], body: '<p>Two</p>' },
        { headers: ['Content-Type: text/plain'], body: 'Three' },
      ]),
    );
    expect(message.text).toBe('One\nThree');
    expect(message.html).toBe('<p>Two</p>');
  });

  it('undoes format=flowed', async () => {
    const message = await parseHeaders(
      ['Content-Type: text/plain; format=flowed'],
      'A line that \r\nflows on.\r\nA fixed one.',
    );
    expect(message.text).toBe('A line that flows on.\nA fixed one.');
  });

  it('decodes large bodies whole, whatever comes after them', async () => {
    const long = `${'0123456789'.repeat(10)}\r\n`.repeat(3_000);
    const base64 = Buffer.from(long).toString('base64').replace(/.{76}/g, '$&\r\n');
    const message = await parseMessage(
      multipart('mixed', [
        { headers: ['Content-Type: text/plain'], body: long },
        {
          headers: ['Content-Type: text/plain; charset=iso-8859-1', 'Content-Transfer-Encoding: base64'],
          body: base64,
        },
        {
          headers: ['Content-Type: text/html; charset=windows-1252', 'Content-Transfer-Encoding: base64'],
          body: base64,
        },
        { headers: ['Content-Type: application/x', 'Content-Transfer-Encoding: base64'], body: base64 },
      ]),
    );
    const line = '0123456789'.repeat(10);
    expect(message.text.split('\n').filter((text) => text === line)).toHaveLength(6_000);
    expect(message.html!.split('\n').filter((text) => text === line)).toHaveLength(3_000);
    expect(message.leaves.map((leaf) => leaf.size)).toEqual([
      long.length,
      long.length,
      long.length,
      long.length,
    ]);
  });

  it('cuts text and headers at their limits and says so', async () => {
    const message = await parseMessage(
      withHeaders([`Subject: ${'s'.repeat(60)}`, `X-Long: ${'x'.repeat(60)}`], 'b'.repeat(90)),
      { bodyTextChars: 50, subjectChars: 20, headerValueChars: 30 },
    );
    expect(message.text).toBe('b'.repeat(50));
    expect(message.subject).toBe('s'.repeat(20));
    expect(message.headers[1]!.value).toBe('x'.repeat(30));
    expect(message.warnings).toEqual(['The text was cut to 50 characters; the stored message has the rest.']);
  });

  it('bounds the addresses of a field', async () => {
    const message = await parseMessage(withHeaders([`To: ${'a@b, '.repeat(30)}`]), { addressesPerField: 10 });
    expect(message.to).toHaveLength(10);
    expect(message.warnings).toEqual(['The field to has more than 10 addresses; the rest was left out.']);
  });

  it('joins address fields that occur twice, but takes the first From', async () => {
    const message = await parseHeaders(['From: a@x', 'From: evil@x', 'To: b@x', 'To: c@x']);
    expect(message.from.map((entry) => entry.address)).toEqual(['a@x']);
    expect(message.to.map((entry) => entry.address)).toEqual(['b@x', 'c@x']);
    expect(message.warnings).toEqual(['The field from occurs 2 times; the first one counts.']);
  });

  it('reads header bytes above 0x7f', async () => {
    const message = await parseHeaders([`Subject: ${utf8('Größe')}`, 'X-Old: Gr\xf6\xdfe']);
    expect(message.subject).toBe('Größe');
    expect(message.headers[1]!.value).toBe('Größe');
  });

  it('reads a delivery status report', async () => {
    const message = await parseMessage(
      multipart('report; report-type=delivery-status', [
        { headers: ['Content-Type: text/plain'], body: 'Your mail came back.' },
        {
          headers: ['Content-Type: message/delivery-status'],
          body: 'Reporting-MTA: dns; mx\r\n\r\nFinal-Recipient: rfc822; a@b\r\nAction: failed\r\nStatus: 5.1.1\r\n',
        },
        {
          headers: ['Content-Type: message/rfc822'],
          body: 'Message-ID: <sent@example.org>\r\nSubject: =?utf-8?Q?Caf=C3=A9/bar?=\r\n\r\nHello',
        },
      ]),
    );
    expect(message.deliveryStatus).toEqual({
      recipients: [{ address: 'a@b', action: 'failed', status: '5.1.1', diagnostic: '' }],
      originalMessageId: 'sent@example.org',
    });
    expect(message.text).toBe('Your mail came back.');
    expect(message.leaves.map((leaf) => [leaf.use, leaf.filename])).toEqual([
      ['body', null],
      ['attachment', null],
      ['attachment', 'Café-bar.eml'],
    ]);
  });

  it.each([
    ['nothing', ''],
    ['only line ends', '\r\n\r\n\r\n'],
    ['no header', 'just text'],
    ['one colon', ':'],
    ['zero bytes', '\0\0\0'],
    ['a broken base64 body', 'Content-Transfer-Encoding: base64\r\n\r\n!!!*'],
    ['a broken quoted-printable body', 'Content-Transfer-Encoding: quoted-printable\r\n\r\n=\r\n=G1=\r\n='],
    ['an unknown encoding', 'Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin'],
    ['an impossible charset', 'Content-Type: text/plain; charset="x;y=\u00ff"\r\n\r\n\xff'],
    ['a multipart of multiparts', 'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n--'],
  ])('takes a message of %s', async (_name, source) => {
    const message = await parseMessage(Buffer.from(source, 'latin1'));
    const { all, accounted } = countLeaves(message);
    expect(all).toBeGreaterThan(0);
    expect(accounted).toBe(all);
  });

  it('parses many messages at once without mixing them', async () => {
    const sources = Array.from({ length: 50 }, (_, i) =>
      withHeaders([`Subject: s${i}`, 'Content-Type: text/plain; charset=iso-8859-1'], `body ${i} \xe4`),
    );
    const messages = await Promise.all(sources.map((source) => parseMessage(source)));
    expect(messages.map((message) => message.text)).toEqual(sources.map((_, i) => `body ${i} ä`));
  });
});
