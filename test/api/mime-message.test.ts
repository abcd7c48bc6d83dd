import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildMessage } from '../../src/api/halo/mime-message.ts';
import { parseMessage } from '../../src/message/parse.ts';

const textOf = (message: Parameters<typeof buildMessage>[0]): string =>
  buildMessage(message).toString('utf8');

describe('A message made of its structure', () => {
  it('has the fields that were given, and a body that survives', async () => {
    const parsed = await parseMessage(
      buildMessage({
        from: [{ name: 'O"Neil, Ann \\', address: 'ann@example.org' }],
        sender: { name: '', address: 'desk@example.org' },
        replyTo: [{ name: null, address: 'reply@example.org' }],
        to: [{ name: 'Ölaf', address: 'olaf@example.org' }, { address: 'two@example.org' }],
        cc: [{ name: '日本語の名前', address: 'jp@example.org' }],
        subject: 'Ümlaut and a very long subject '.repeat(8).trim(),
        date: '2026-03-01T08:00:00.000Z',
        messageId: '<id@example.org>',
        inReplyTo: 'before@example.org',
        references: ['first@example.org', '<before@example.org>'],
        importance: 2,
        textBody: '-- \r\nline\nÄ\r\n--penstock-alternative--\r\n.',
        htmlBody: '<p>Ä</p>',
      }),
    );
    expect(parsed).toMatchObject({
      from: [{ name: 'O"Neil, Ann \\', address: 'ann@example.org' }],
      sender: { address: 'desk@example.org' },
      replyTo: [{ address: 'reply@example.org' }],
      to: [{ name: 'Ölaf', address: 'olaf@example.org' }, { address: 'two@example.org' }],
      cc: [{ name: '日本語の名前', address: 'jp@example.org' }],
      subject: 'Ümlaut and a very long subject '.repeat(8).trim(),
      date: '2026-03-01T08:00:00.000Z',
      messageId: 'id@example.org',
      inReplyTo: ['before@example.org'],
      references: ['first@example.org', 'before@example.org'],
    });
    expect(parsed.text).toContain('--penstock-alternative--');
    expect(parsed.html).toContain('<p>Ä</p>');
  });

  it('is the same bytes for the same input', () => {
    const message = { subject: 'same', textBody: 'body', date: '2026-03-01T08:00:00Z' };
    expect(buildMessage(message).equals(buildMessage(message))).toBe(true);
  });

  it('takes given headers before its fields, and makes its own of what describes the body', () => {
    const text = textOf({
      subject: 'from the field',
      headers: [
        { field: 'Subject', value: 'from the headers' },
        { field: 'X-Custom', value: 'kept' },
        { field: 'Content-Type', value: 'application/x-evil' },
        { field: 'bad name', value: 'dropped' },
        { field: '', value: 'dropped' },
        { field: null, value: null },
      ],
    });
    expect(text).toContain('Subject: from the headers\r\nX-Custom: kept\r\n');
    expect(text).not.toMatch(/from the field|evil|dropped/);
  });

  it.each(['\r\n', '\n', '\r', '\r\n ', '\n\n', '\u2028', '\u0085'])(
    'T28.1 %j in a value starts no header',
    (end) => {
      const evil = `x${end}Bcc: evil@example.org`;
      const text = textOf({
        subject: evil,
        from: [{ name: evil, address: `a@b.c${end}Bcc: evil@example.org` }],
        messageId: evil,
        references: [evil],
        inReplyTo: evil,
        headers: [{ field: 'X-Evil', value: evil }],
      });
      const head = text.slice(0, text.indexOf('\r\n\r\n'));
      expect(head).not.toMatch(/^Bcc/im);
      expect(head.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
    },
  );

  it('T28.1 whatever the values are, only the known names begin a header line', () => {
    const known = /^(From|Sender|Subject|Message-ID|X-H|MIME-Version|Content-[\w-]+): |^ /;
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), fc.string({ maxLength: 200 }), (a, b) => {
        const text = textOf({
          subject: a,
          from: [{ name: b, address: a }],
          sender: { name: a, address: b },
          messageId: b,
          headers: [{ field: 'X-H', value: `${a}\r\n${b}` }],
          textBody: a,
        });
        const head = text.slice(0, text.indexOf('\r\n\r\n'));
        for (const line of head.split('\r\n')) {
          expect(line).toMatch(known);
          expect(Buffer.byteLength(line)).toBeLessThanOrEqual(998);
        }
      }),
    );
  });

  it('a subject comes back as it was', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 150 }), async (subject) => {
        const clean = subject.replace(/\s+/g, ' ').trim();
        const parsed = await parseMessage(buildMessage({ subject: clean, textBody: 'x' }));
        expect(parsed.subject.replace(/\s+/g, ' ').trim()).toBe(clean);
      }),
      { numRuns: 50 },
    );
  });
});
