import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/limits.ts';
import { parseMessage } from '../../src/message/parse.ts';
import { countLeaves, withHeaders } from '../message/mail.ts';

/** The name of the limit that refuses a message; fails when it is taken. */
async function limitOf(source: Buffer | Readable): Promise<unknown> {
  try {
    await parseMessage(source);
  } catch (error) {
    expect(error).toMatchObject({ code: 'mime_limit' });
    return (error as { fields: { limit: string } }).fields.limit;
  }
  return 'none';
}

/** A stream that makes its pieces only when they are read, and counts them. */
function endless(start: string, piece: string): { stream: Readable; read: () => number } {
  let bytes = 0;
  function* pieces(): Generator<Buffer> {
    yield Buffer.from(start);
    const block = Buffer.from(piece.repeat(Math.ceil(65_536 / piece.length)));
    for (;;) {
      bytes += block.length;
      yield block;
    }
  }
  return { stream: Readable.from(pieces()), read: () => bytes };
}

describe('T11 MIME bombs', () => {
  it('T11.1 a million empty parts are refused at the limit of parts', async () => {
    const parts = '--b\r\n\r\n'.repeat(1_000_000);
    expect(await limitOf(withHeaders(['Content-Type: multipart/mixed; boundary=b'], parts))).toBe(
      'mimeParts',
    );
  });

  it('T11.1 parts without end are refused before they are read', async () => {
    const { stream, read } = endless('Content-Type: multipart/mixed; boundary=b\r\n\r\n', '--b\r\n\r\n');
    expect(await limitOf(stream)).toBe('mimeParts');
    expect(read()).toBeLessThan(1_000_000);
  });

  it('T11.2 multiparts 100,000 deep are refused at the limit of depth', async () => {
    const lines: string[] = [];
    for (let level = 0; level < 100_000; level++) {
      lines.push(`Content-Type: multipart/mixed; boundary=b${level}`, '', `--b${level}`);
    }
    expect(await limitOf(Buffer.from(lines.join('\r\n')))).toBe('mimeDepth');
  });

  it('T11.3 100,000 header fields are refused at the limit of fields', async () => {
    const fields = Array.from({ length: 100_000 }, (_, i) => `X-${i}: y`);
    expect(await limitOf(withHeaders(fields))).toBe('headerCount');
  });

  it('T11.3 100,000 header fields inside a part are refused too', async () => {
    const fields = Array.from({ length: 100_000 }, (_, i) => `X-${i}: y`).join('\r\n');
    const source = withHeaders(
      ['Content-Type: multipart/mixed; boundary=b'],
      `--b\r\n${fields}\r\n\r\nx\r\n--b--`,
    );
    expect(await limitOf(source)).toBe('headerCount');
  });

  it.each([
    ['one line', `X: ${'y'.repeat(10 * 1024 * 1024)}`],
    ['folded lines', `X: y${'\r\n y'.repeat(3_000_000)}`],
  ])('T11.4 a header field of 10 MB in %s is refused', async (_name, field) => {
    expect(await limitOf(withHeaders([field]))).toBe('headerBytes');
  });

  it.each([
    ['a line without end', 'y'],
    ['folded lines without end', '\r\n y'],
  ])('T11.4 a header of %s is refused before it is read', async (_name, piece) => {
    const { stream, read } = endless('X: ', piece);
    expect(await limitOf(stream)).toBe('headerBytes');
    expect(read()).toBeLessThan(2 * LIMITS.headerBytes);
  });

  it.each(['(', '<', '"', ':', ',', '=?utf-8?Q?', '\\('])(
    'T11.5 From with %j again and again',
    async (piece) => {
      const message = await parseMessage(withHeaders([`From: ${piece.repeat(900_000 / piece.length)}`]));
      expect(message.from.length).toBeLessThanOrEqual(LIMITS.addressesPerField);
    },
  );

  it('T11.6 of 50,000 references the newest are kept', async () => {
    const ids = Array.from({ length: 50_000 }, (_, i) => `<${i}@a.example>`).join(' ');
    expect(ids.length).toBeLessThan(LIMITS.headerBytes);
    const message = await parseMessage(withHeaders([`References: ${ids}`]));
    expect(message.references).toHaveLength(LIMITS.referencesCount);
    expect(message.references.at(-1)).toBe('49999@a.example');
    expect(message.headers[0]!.value.length).toBeLessThanOrEqual(LIMITS.headerValueChars);
  });

  it('T11.7 500 messages inside each other are one attachment', async () => {
    const source = `${'Content-Type: message/rfc822\r\n\r\n'.repeat(500)}Subject: inner\r\n\r\nx`;
    const message = await parseMessage(Buffer.from(source));
    expect(message.leaves.map((leaf) => [leaf.contentType, leaf.use])).toEqual([
      ['message/rfc822', 'attachment'],
    ]);
  });

  it('T11.8 a boundary that never ends costs nothing', async () => {
    const body = `--b\r\nContent-Type: text/plain\r\n\r\n${'x'.repeat(70)}\r\n`.concat('y'.repeat(2_000_000));
    const message = await parseMessage(withHeaders(['Content-Type: multipart/mixed; boundary=b'], body));
    expect(message.leaves).toHaveLength(1);
    expect(message.text).toHaveLength(LIMITS.bodyTextChars);
    expect(message.warnings).toContain('Multipart of the message has no closing delimiter.');
  });

  it.each([
    ['text', 'text/plain', 'body'],
    ['an attachment', 'application/octet-stream', 'attachment'],
  ])('T11.9 50 MB of base64 without a line end as %s', async (_name, type, use) => {
    const bytes = 50 * 1024 * 1024;
    const message = await parseMessage(
      withHeaders([`Content-Type: ${type}`, 'Content-Transfer-Encoding: base64'], 'QUJD'.repeat(bytes / 4)),
    );
    expect(message.leaves[0]).toMatchObject({ use, size: (bytes / 4) * 3 });
    expect(message.text.length).toBe(use === 'body' ? LIMITS.bodyTextChars : 0);
  });

  it('T11.9 attachments that stream by are not held', async () => {
    const chunk = Buffer.alloc(1024 * 1024, 'QUJD');
    function* pieces(): Generator<Buffer> {
      yield Buffer.from('Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n');
      for (let i = 0; i < 200; i++) yield chunk;
    }
    const before = process.memoryUsage().arrayBuffers;
    let peak = before;
    const watched = Readable.from(pieces());
    watched.on('data', () => {
      peak = Math.max(peak, process.memoryUsage().arrayBuffers);
    });
    watched.pause();
    const message = await parseMessage(watched);
    expect(message.leaves[0]!.size).toBe((200 * 1024 * 1024 * 3) / 4);
    expect(peak - before).toBeLessThan(50 * 1024 * 1024);
  });

  it.each([
    ['lines that begin like a delimiter', '\r\n--x'],
    ['dashes', '-'],
    ['empty lines', '\r\n'],
    ['delimiters of nobody', '\r\n--bb--'],
    ['carriage returns', '\r'],
  ])('T11.10 two megabytes of %s in a multipart', async (_name, piece) => {
    const body = `--b\r\n\r\nx${piece.repeat(2_000_000 / piece.length)}\r\n--b--`;
    const message = await parseMessage(withHeaders(['Content-Type: multipart/mixed; boundary=b'], body));
    const { all, accounted } = countLeaves(message);
    expect(all).toBe(1);
    expect(accounted).toBe(all);
  });

  it('T11.11 a thousand text parts stay accounted for', async () => {
    const part = '--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n';
    const message = await parseMessage(
      withHeaders(['Content-Type: multipart/mixed; boundary=b'], `${part.repeat(LIMITS.mimeParts - 1)}--b--`),
    );
    const { all, accounted } = countLeaves(message);
    expect(all).toBe(LIMITS.mimeParts - 1);
    expect(accounted).toBe(all);
    expect(message.leaves.at(-1)).toMatchObject({
      use: 'skipped',
      reason: 'The text before it fills the limit.',
    });
  });

  it('T11.12 parameters and encoded-words without end', async () => {
    const message = await parseMessage(
      withHeaders([
        `Content-Type: text/plain${';a=b'.repeat(50_000)}`,
        `Content-Disposition: inline; filename*0*=utf-8''${'%41'.repeat(60_000)}`,
        `Subject: ${'=?utf-8?Q?x?= '.repeat(30_000)}`,
      ]),
    );
    expect(message.subject.length).toBeLessThanOrEqual(LIMITS.subjectChars);
    expect(Buffer.byteLength(message.leaves[0]!.filename!)).toBeLessThanOrEqual(LIMITS.filenameLength);
  });
});
