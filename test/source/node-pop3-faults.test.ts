/**
 * Why POP3 is read by a client of our own: what node-pop3 does to mail, next to what ours does (docs/decisions,
 * "A POP3 client of our own"). A test that fails here is good news: the fault is gone, and the decision may be
 * looked at again.
 */
import net from 'node:net';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import Pop3Command from 'node-pop3';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Link } from '../../src/source/pop3/link.ts';
import { DEFAULT_POP3_OPTIONS } from '../../src/source/pop3/options.ts';

/** What a server answers to RETR, in the pieces that the network makes of it; null hangs up with RST. */
type Answer = readonly (string | Buffer | null)[];

/** A server with one message. */
async function serve(answer: Answer): Promise<number> {
  const server = net.createServer((socket) => {
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.write('+OK hello\r\n');
    socket.on('data', (bytes) => void reply(socket, bytes.toString('latin1'), answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  onTestFinished(() => void server.close());
  return (server.address() as net.AddressInfo).port;
}

async function reply(socket: net.Socket, command: string, answer: Answer): Promise<void> {
  if (!command.startsWith('RETR')) return void socket.write('+OK\r\n');
  for (const piece of answer) {
    if (piece === null) return void socket.resetAndDestroy();
    socket.write(piece);
    // Each piece is read alone: after this the client has had its turn.
    await sleep(10);
    await turn();
    await turn();
  }
}

const FOR_EVER = 'no answer, and no error';

/** What node-pop3 makes of it. */
async function theirs(answer: Answer): Promise<string> {
  const port = await serve(answer);
  const client = new Pop3Command({ host: '127.0.0.1', port, user: 'ann', password: 'secret', timeout: 400 });
  client.on('error', () => {});
  const late = sleep(1_500).then(() => FOR_EVER);
  const got = await Promise.race([late, client.RETR(1).catch((error: Error) => `error: ${error.message}`)]);
  (client as unknown as { _socket: net.Socket | null })._socket?.destroy();
  return got;
}

/** What ours makes of it, byte for byte as latin1. */
async function ours(answer: Answer): Promise<string> {
  const port = await serve(answer);
  const link = new Link({ ...DEFAULT_POP3_OPTIONS, commandMs: 1_000 });
  link.adopt(net.connect({ host: '127.0.0.1', port }));
  try {
    await link.greeting();
    const pieces: Buffer[] = [];
    for await (const { status } of link.replies(['RETR 1'], 1)) {
      if (status === 'ok') for await (const piece of link.body()) pieces.push(piece);
    }
    return Buffer.concat(pieces).toString('latin1');
  } catch (error) {
    return `error: ${(error as { code: string }).code}`;
  } finally {
    link.end(new Error('over') as never);
  }
}

const LATIN1 = Buffer.from('Subject: x\r\n\r\n\xe4\xf6\xfc\r\n.\r\n', 'latin1');

describe('node-pop3 0.11.0', () => {
  it.each<[string, Answer, string, string]>([
    [
      'destroys bytes that are no UTF-8',
      [Buffer.concat([Buffer.from('+OK\r\n'), LATIN1])],
      'Subject: x\r\n\r\n\ufffd\ufffd\ufffd',
      'Subject: x\r\n\r\n\xe4\xf6\xfc\r\n',
    ],
    ['leaves the dot-stuffing in', ['+OK\r\na\r\n..b\r\n.\r\n'], 'a\r\n..b', 'a\r\n.b\r\n'],
    ['waits for ever when the end is cut in two', ['+OK\r\na\r\n.', '\r\n'], FOR_EVER, 'a\r\n'],
    ['ends a message at a piece that is a dot', ['+OK\r\na\r\n', '.', 'b\r\n.\r\n'], 'a\r\n', 'a\r\nb\r\n'],
    [
      'takes the rest of a status line for mail',
      ['+OK 7 oct', 'ets\r\na\r\n.\r\n'],
      'OK 7 octets\r\na',
      'a\r\n',
    ],
    [
      'says nothing about a connection that broke',
      ['+OK\r\na\r\n', null],
      FOR_EVER,
      'error: connection_lost',
    ],
    ['says nothing about a server that fell silent', ['+OK\r\na\r\n'], FOR_EVER, 'error: stalled'],
  ])('%s; ours does not', async (_fault, answer, bad, good) => {
    expect(await ours(answer)).toBe(good);
    expect(await theirs(answer)).toBe(bad);
  });

  it('knows no STLS, no CAPA and no AUTH, and gives no message as a stream', () => {
    const client = new Pop3Command({ host: '127.0.0.1', user: 'ann', password: 'secret' });
    for (const method of ['STLS', 'CAPA', 'AUTH', 'retrStream']) expect(client).not.toHaveProperty(method);
  });
});
