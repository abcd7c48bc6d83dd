/** The life of one connection: greeting, login, commands one after the other, QUIT or a sudden end. */
import type { MailStore } from '../mail-store.ts';
import * as message from './commands.ts';
import { type Connection, err, ok, type Reply } from './connection.ts';
import type { Phase } from './faults.ts';
import { auth, pass } from './login.ts';

/** What the connections of one server share. */
export interface SessionHost {
  store: MailStore;
  capabilities: readonly string[];
  missing: ReadonlySet<string>;
  loginDelay: number;
  uniqueId: message.UniqueId;
  /** Users with an open session; null when that does not matter. */
  locked: Set<string> | null;
  /** By user, in milliseconds of performance.now(). */
  lastLogins: Map<string, number>;
  heard(connection: Connection, name: string, detail: string): void;
  startTls(connection: Connection): void;
}

/** Serves a connection to its end. Never throws: whatever goes wrong ends this connection only. */
export async function serve(connection: Connection, host: SessionHost): Promise<void> {
  try {
    await connection.strike('connect');
    const struck = await connection.strike('greeting');
    await connection.answer(struck ?? ok('Penstock lab server ready'));
    if (struck && !struck.ok) return void connection.socket.end();
    for (;;) {
      const line = await connection.reader.readLine();
      if (line === null || !(await obey(connection, host, line))) return;
    }
  } catch {
    // A client that cannot be understood, or has gone, is cut off like on any server.
    connection.socket.destroy();
  } finally {
    // A lost connection deletes nothing (RFC 1939 section 6).
    if (connection.user) host.locked?.delete(connection.user.name);
  }
}

/** False when the connection is to end. */
async function obey(connection: Connection, host: SessionHost, line: string): Promise<boolean> {
  const [given = '', ...args] = line.split(' ');
  const name = given.toUpperCase();
  const detail = line.slice(given.length + 1);
  host.heard(connection, name, detail);
  if (name === 'QUIT') return await quit(connection);
  if (host.missing.has(name)) await connection.answer(err('Unknown command'));
  else if (name === 'CAPA') await capa(connection, host);
  else if (connection.user) await transaction(connection, host, name, args);
  else await authorization(connection, host, name, args, detail);
  return true;
}

async function capa(connection: Connection, { capabilities }: SessionHost): Promise<void> {
  const struck = await connection.strike('capa');
  if (struck) return await connection.answer(struck);
  const { output } = connection;
  output.line('+OK');
  const hidden = connection.secure || connection.user ? 'STLS' : null;
  for (const line of capabilities) if (line !== hidden) output.line(line);
  output.line('.');
  await output.flush();
}

async function authorization(
  connection: Connection,
  host: SessionHost,
  name: string,
  args: readonly string[],
  detail: string,
): Promise<void> {
  switch (name) {
    case 'STLS':
      return await stls(connection, host);
    case 'USER':
      connection.named = detail;
      return await connection.answer(ok('send PASS'));
    case 'PASS':
      return await admit(connection, host, await pass(connection, host.store, detail));
    case 'AUTH':
      return await admit(connection, host, await auth(connection, host.store, args, host.missing));
    default:
      return await connection.answer(err('Not possible in this state'));
  }
}

/** After the password is right: the lock on the maildrop, and the pause between logins. */
async function admit(connection: Connection, host: SessionHost, reply: Reply): Promise<void> {
  const { user } = connection;
  if (!user) return await connection.answer(reply);
  const since = performance.now() - (host.lastLogins.get(user.name) ?? Number.NEGATIVE_INFINITY);
  const tooSoon = since < host.loginDelay * 1000;
  if (tooSoon || host.locked?.has(user.name)) {
    connection.user = null;
    return await connection.answer(
      err(tooSoon ? `[LOGIN-DELAY] minimum ${host.loginDelay} seconds` : '[IN-USE] Maildrop is locked'),
    );
  }
  host.locked?.add(user.name);
  host.lastLogins.set(user.name, performance.now());
  connection.view = [...host.store.folder(user.name, 'INBOX').messages];
  await connection.answer(reply);
  await connection.strike('ready');
}

async function stls(connection: Connection, host: SessionHost): Promise<void> {
  const struck = await connection.strike('stls');
  const reply = struck ?? (connection.secure ? err('TLS is on') : ok('Begin TLS'));
  await connection.answer(reply);
  if (!reply.ok) return;
  // Told to pretend: the client begins the handshake and never hears of it again.
  if (struck) await connection.cut('hang');
  host.startTls(connection);
}

async function transaction(
  connection: Connection,
  { uniqueId }: SessionHost,
  name: string,
  args: readonly string[],
): Promise<void> {
  const [argument] = args;
  switch (name) {
    case 'STAT':
      return await message.stat(connection);
    case 'LIST':
      return await unlessStruck(connection, 'list', () => message.list(connection, argument));
    case 'UIDL':
      return await unlessStruck(connection, 'uidl', () => message.uidl(connection, argument, uniqueId));
    case 'RETR':
      return await message.retr(connection, argument);
    case 'TOP':
      return await message.top(connection, args);
    case 'DELE':
      return await message.dele(connection, argument);
    case 'NOOP':
      return await connection.answer(ok(''));
    case 'RSET':
      connection.deleted.clear();
      return await connection.answer(ok(''));
    default:
      return await connection.answer(err('Unknown command'));
  }
}

async function unlessStruck(connection: Connection, phase: Phase, run: () => Promise<void>): Promise<void> {
  const struck = await connection.strike(phase);
  if (struck) return await connection.answer(struck);
  await run();
}

/** The UPDATE state (RFC 1939 section 6). False: the connection ends. */
async function quit(connection: Connection): Promise<false> {
  const struck = await connection.strike('quit');
  if (!struck && connection.user) {
    connection.user.folders.get('INBOX')?.remove(connection.deleted);
  }
  const after = struck ? null : await connection.strike('updated');
  await connection.answer(struck ?? after ?? ok('Bye'));
  connection.socket.end();
  return false;
}
