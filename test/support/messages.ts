/** Messages for tests of sources, with everything that a transport could spoil. */

/** A small plain message. Its subject tells it from others. */
export function simpleMessage(subject: string, body = 'Hello.\r\n'): Buffer {
  const head = ['From: Ann <ann@example.org>', 'To: desk@example.com', `Subject: ${subject}`];
  return Buffer.from(`${[...head, `Message-ID: <${subject}@example.org>`].join('\r\n')}\r\n\r\n${body}`);
}

/** Bytes that are often damaged on the way, by name. Line ends are CRLF throughout. */
export const AWKWARD_MESSAGES: ReadonlyMap<string, Buffer> = new Map([
  [
    '8bit-latin1',
    Buffer.concat([
      simpleMessage('8bit-latin1', ''),
      Buffer.from([0xe4, 0xf6, 0xfc, 0x80, 0xff, 0x0d, 0x0a]),
    ]),
  ],
  ['utf8', simpleMessage('utf8', 'Grüße, 日本語, 🙂\r\n')],
  ['no-final-newline', simpleMessage('no-final-newline', 'the last line has no end')],
  ['dots', simpleMessage('dots', '.\r\n..\r\n.leading\r\n...\r\n.\r\nend\r\n')],
  ['double-spaces', simpleMessage('double-spaces', 'two  spaces and a trailing one \r\n\r\n\r\n\r\n')],
  ['looks-like-imap', simpleMessage('looks-like-imap', ') OK FETCH completed\r\n* BYE\r\nA1 OK\r\n{10}\r\n')],
  ['long-line', simpleMessage('long-line', `${'x'.repeat(20_000)}\r\n`)],
  ['header-only', Buffer.from('Subject: header-only\r\n\r\n')],
  ['no-header', Buffer.from('\r\nSubject: no-header\r\n')],
]);

/** Bytes whose line ends a server may change. */
export const ODD_LINE_ENDS: ReadonlyMap<string, Buffer> = new Map([
  ['bare-lf', Buffer.from('Subject: bare-lf\n\nline\nline\n')],
  ['mixed', Buffer.from('Subject: mixed\r\n\r\nline\nline\r\nline\n')],
]);
