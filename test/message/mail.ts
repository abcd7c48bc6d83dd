import type { ParsedMessage } from '../../src/message/message.ts';
import { parseMessage } from '../../src/message/parse.ts';

/** A message from its lines, with CRLF. Characters count as bytes (latin1), so that any byte can be written. */
export function mail(...lines: string[]): Buffer {
  return Buffer.from(lines.join('\r\n'), 'latin1');
}

/** A plain message with some header lines. */
export function withHeaders(headers: string[], body = 'Hello'): Buffer {
  return mail(...headers, '', body);
}

/** UTF-8 text written as one character a byte, for `mail`. */
export function utf8(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** Parses header lines and a body. */
export function parseHeaders(headers: string[], body = 'Hello'): Promise<ParsedMessage> {
  return parseMessage(withHeaders(headers, body));
}

/** A multipart message; each part is its header lines and its body. */
export function multipart(subtype: string, parts: { headers: string[]; body: string }[]): Buffer {
  const lines = [
    'From: alice@example.com',
    'To: help@example.org',
    'Subject: Parts',
    'MIME-Version: 1.0',
    `Content-Type: multipart/${subtype}; boundary="edge"`,
    '',
  ];
  for (const part of parts) lines.push('--edge', ...part.headers, '', part.body);
  return mail(...lines, '--edge--', '');
}

/** The invariant of failures section 16: every leaf is a body, an attachment, or skipped with a reason. */
export function countLeaves(message: ParsedMessage): { all: number; accounted: number } {
  const of = (use: string): number => message.leaves.filter((leaf) => leaf.use === use).length;
  const skipped = message.leaves.filter((leaf) => leaf.use === 'skipped' && leaf.reason !== null).length;
  return { all: message.leaves.length, accounted: of('body') + of('attachment') + skipped };
}
