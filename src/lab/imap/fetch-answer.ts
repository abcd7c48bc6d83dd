/** Writes the answer to FETCH for one message, with whatever fault is set for it. */
import type { Connection } from './connection.ts';
import type { Action } from './faults.ts';
import { type BodyItem, cutPartial, sectionBytes } from './message-sections.ts';
import type { Candidate } from './search.ts';

export type FetchItem =
  | { kind: 'uid' | 'flags' | 'internaldate' | 'size' }
  | { kind: 'body'; body: BodyItem };

const ENDLESS_PIECE = Buffer.alloc(64 * 1024, 'endless ');
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

export async function answerFetch(
  connection: Connection,
  { message, sequence }: Candidate,
  items: readonly FetchItem[],
): Promise<void> {
  const { output } = connection;
  const fault = connection.faults.forMessage(message.uid, connection.user?.name ?? null);
  if (fault?.do === 'omit') return;
  if (fault?.do === 'garble') {
    output.line(`* ${sequence} FETCH (UID ${message.uid} BODY[ "unbalanced) {`);
    return;
  }
  let bytes: Buffer | null = null;
  let separator = `* ${sequence} FETCH (`;
  for (const item of items) {
    output.add(separator);
    separator = ' ';
    if (item.kind === 'body') {
      bytes ??= message.content.bytes();
      await answerBody(connection, bytes, item.body, fault);
    } else if (item.kind === 'uid') output.add(`UID ${message.uid}`);
    else if (item.kind === 'flags') output.add(`FLAGS (${[...message.flags].join(' ')})`);
    else if (item.kind === 'internaldate') output.add(`INTERNALDATE "${imapDate(message.internalDate)}"`);
    else output.add(`RFC822.SIZE ${claimedSize(message.content.size, fault)}`);
  }
  output.line(')');
}

async function answerBody(
  connection: Connection,
  message: Buffer,
  item: BodyItem,
  fault: Action | null,
): Promise<void> {
  const { output } = connection;
  // A server that ignores partial fetches does not repeat the offset either.
  const origin = item.partial && fault?.do !== 'ignore-partial' ? `<${item.partial.start}>` : '';
  output.add(`BODY[${item.section}]${origin} `);
  if (fault?.do === 'nil') return output.add('NIL');
  if (fault?.do === 'endless') return endless(connection, fault.announce);
  let section = sectionBytes(message, item);
  if (fault?.do === 'shorten') section = section.subarray(0, fault.bytes);
  const bytes = fault?.do === 'ignore-partial' ? section : cutPartial(section, item.partial);
  output.add(`{${bytes.length}}\r\n`);
  if (fault?.do !== 'cut') return output.add(bytes);
  output.add(bytes.subarray(0, fault.after));
  await output.flush();
  await connection.cut(fault.end);
}

/** Announces more than there is and never comes to an end; stops when the client goes away. */
async function endless(connection: Connection, announce: number): Promise<never> {
  const { output } = connection;
  output.add(`{${announce}}\r\n`);
  while (!connection.socket.destroyed) {
    output.add(ENDLESS_PIECE);
    await output.flush();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return await connection.cut('hang');
}

function claimedSize(size: number, fault: Action | null): number {
  return fault?.do === 'claim-size' ? fault.bytes : size;
}

/** `date-time` of RFC 9051 section 9, in UTC. */
function imapDate(date: Date): string {
  const day = String(date.getUTCDate()).padStart(2, ' ');
  const time = date.toISOString().slice(11, 19);
  return `${day}-${MONTHS[date.getUTCMonth()]}-${date.getUTCFullYear()} ${time} +0000`;
}
