/** The commands of a logged-in session (RFC 1939 sections 5 and 7). */
import type { StoredMessage } from '../mail-store.ts';
import { type Connection, err, ok } from './connection.ts';

/** How the server names messages: the unique-id, or null for one that it leaves out of UIDL. */
export type UniqueId = (message: StoredMessage) => string | null;

const CRLF = '\r\n';

export async function stat(connection: Connection): Promise<void> {
  const messages = [...connection.messages()];
  const bytes = messages.reduce((sum, { message }) => sum + served(message).length, 0);
  await connection.answer(ok(`${messages.length} ${bytes}`));
}

export async function list(connection: Connection, argument: string | undefined): Promise<void> {
  const sizeOf = (message: StoredMessage): number => {
    const flaw = connection.flaw('list', message);
    return flaw?.do === 'claim-size' ? flaw.bytes : served(message).length;
  };
  await listing(connection, argument, (message) => String(sizeOf(message)));
}

export async function uidl(
  connection: Connection,
  argument: string | undefined,
  uniqueId: UniqueId,
): Promise<void> {
  await listing(connection, argument, uniqueId);
}

export async function retr(connection: Connection, argument: string | undefined): Promise<void> {
  await send(connection, 'retr', argument, served);
}

export async function top(connection: Connection, args: readonly string[]): Promise<void> {
  const lines = Number(args[1] ?? Number.NaN);
  if (!Number.isInteger(lines) || lines < 0) return await connection.answer(err('How many lines?'));
  await send(connection, 'top', args[0], (message) => firstLines(served(message), lines));
}

export async function dele(connection: Connection, argument: string | undefined): Promise<void> {
  const message = connection.message(argument);
  if (!message) return await connection.answer(err('No such message'));
  const struck = await connection.strike('dele', message);
  if (!struck) connection.deleted.add(message);
  await connection.answer(struck ?? ok('marked'));
}

/** A message as it goes over the wire, without dot-stuffing: the last line has an end (RFC 1939 section 3). */
export function served(message: StoredMessage): Buffer {
  const bytes = message.content.bytes();
  const hasEnd = bytes.length === 0 || bytes.subarray(-2).equals(Buffer.from(CRLF));
  return hasEnd ? bytes : Buffer.concat([bytes, Buffer.from(CRLF)]);
}

async function listing(
  connection: Connection,
  argument: string | undefined,
  about: (message: StoredMessage) => string | null,
): Promise<void> {
  if (argument !== undefined) {
    const message = connection.message(argument);
    return await connection.answer(message ? ok(`${argument} ${about(message)}`) : err('No such message'));
  }
  const { output } = connection;
  output.line('+OK');
  for (const { number, message } of connection.messages()) {
    const said = about(message);
    if (said !== null) output.add(Buffer.from(`${number} ${said}${CRLF}`, 'latin1'));
    await output.relieve();
  }
  output.line('.');
  await output.flush();
}

async function send(
  connection: Connection,
  phase: 'retr' | 'top',
  argument: string | undefined,
  bytesOf: (message: StoredMessage) => Buffer,
): Promise<void> {
  const message = connection.message(argument);
  if (!message) return await connection.answer(err('No such message'));
  const struck = await connection.strike(phase, message);
  if (struck) return await connection.answer(struck);
  const { output } = connection;
  const flaw = connection.flaw(phase, message);
  output.line('+OK');
  const bytes = flaw?.do === 'empty' ? Buffer.alloc(0) : stuffed(bytesOf(message));
  if (flaw?.do === 'cut') {
    output.add(bytes.subarray(0, flaw.after));
    await connection.cut(flaw.end);
  }
  output.add(bytes);
  while (flaw?.do === 'endless' && !connection.socket.destroyed) {
    output.add(`${'x'.repeat(998)}${CRLF}`.repeat(64));
    await output.flush();
  }
  output.line('.');
  await output.flush();
}

function stuffed(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('latin1').replace(/(^|\r\n)\./g, '$1..'), 'latin1');
}

/** The header, its empty line, and so many lines of the body. */
function firstLines(bytes: Buffer, count: number): Buffer {
  const text = bytes.toString('latin1');
  const header = text.startsWith(CRLF) ? CRLF.length : text.indexOf(CRLF + CRLF) + 2 * CRLF.length;
  if (header < 2 * CRLF.length && !text.startsWith(CRLF)) return bytes;
  let end = header;
  for (let left = count; left > 0 && end < text.length; left -= 1) {
    const next = text.indexOf(CRLF, end);
    end = next < 0 ? text.length : next + CRLF.length;
  }
  return Buffer.from(text.slice(0, end), 'latin1');
}
