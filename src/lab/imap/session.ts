/** The life of one connection: greeting, commands one after the other, end. */
import { ConnectionOver } from '../wire/connection.ts';
import { type Command, CommandSyntaxError, parseCommand } from './command-parser.ts';
import * as folder from './commands-folder.ts';
import { authenticate, login } from './commands-login.ts';
import * as message from './commands-message.ts';
import { bad, type Connection, no, ok, type Reply } from './connection.ts';
import type { Phase } from './faults.ts';

type Handler = (connection: Connection, command: Command) => Promise<Reply>;

/** What the server tells its owner about a session. */
export interface SessionEvents {
  command(connection: Connection, command: Command): void;
  loggedIn(connection: Connection): void;
  /** Changes the connection to TLS. */
  startTls(connection: Connection): void;
}

const BEFORE_LOGIN = new Set(['CAPABILITY', 'NOOP', 'LOGOUT', 'ID', 'LOGIN', 'AUTHENTICATE', 'STARTTLS']);
const NUMBERED_MESSAGES = new Set(['FETCH', 'STORE', 'SEARCH']);

const HANDLERS = new Map<string, Handler>([
  ['LOGIN', login],
  ['AUTHENTICATE', authenticate],
  ['LIST', folder.list],
  ['LSUB', folder.list],
  ['STATUS', folder.status],
  ['CREATE', folder.create],
  ['DELETE', folder.remove],
  ['RENAME', folder.rename],
  ['SELECT', folder.select],
  ['EXAMINE', folder.select],
  ['SUBSCRIBE', async () => ok('SUBSCRIBE completed')],
  ['UNSUBSCRIBE', async () => ok('UNSUBSCRIBE completed')],
  ['APPEND', message.append],
  ['FETCH', message.fetch],
  ['UID FETCH', message.fetch],
  ['STORE', message.store],
  ['UID STORE', message.store],
  ['SEARCH', message.search],
  ['UID SEARCH', message.search],
  ['COPY', message.copy],
  ['UID COPY', message.copy],
  ['MOVE', message.copy],
  ['UID MOVE', message.copy],
  ['EXPUNGE', message.expunge],
  ['UID EXPUNGE', message.expunge],
  ['CAPABILITY', capability],
  ['NOOP', noop],
  ['CHECK', noop],
  ['ID', id],
  ['ENABLE', enable],
  ['NAMESPACE', namespace],
  ['CLOSE', close],
  ['UNSELECT', close],
  ['IDLE', idle],
]);

/** Serves a connection to its end. Never throws: whatever goes wrong ends this connection only. */
export async function serve(connection: Connection, events: SessionEvents): Promise<void> {
  try {
    await greet(connection);
    for (;;) {
      const parts = await connection.reader.readCommand(() => {
        connection.output.line('+ Ready');
        void connection.output.flush();
      });
      if (parts === null) return;
      if (!(await answer(connection, events, parts))) return;
    }
  } catch {
    // A client that cannot be understood, or has gone, is cut off like on any server.
    connection.socket.destroy();
  }
}

async function greet(connection: Connection): Promise<void> {
  const { output } = connection;
  await connection.strike('connect');
  const struck = await connection.strike('greeting');
  if (struck) output.line(`* ${struck.status} ${struck.text}`);
  else output.line(`* OK [CAPABILITY ${offered(connection)}] Penstock lab server ready`);
  await output.flush();
}

/** False when the connection is to end. */
async function answer(
  connection: Connection,
  events: SessionEvents,
  parts: readonly (string | Buffer)[],
): Promise<boolean> {
  const { output } = connection;
  let command: Command;
  try {
    command = parseCommand(parts);
  } catch (error) {
    if (!(error instanceof CommandSyntaxError)) throw error;
    output.line(`${error.tag} BAD ${error.message}`);
    await output.flush();
    return true;
  }
  events.command(connection, command);
  if (command.name === 'LOGOUT') return logout(connection, command);
  if (command.name === 'STARTTLS') {
    await startTls(connection, events, command);
    return true;
  }
  const before = connection.user;
  const reply = await run(connection, command);
  if (!NUMBERED_MESSAGES.has(command.name)) connection.reportChanges();
  output.line(`${command.tag} ${reply.status} ${reply.text}`);
  await output.flush();
  if (connection.user && !before) {
    events.loggedIn(connection);
    await connection.strike('ready');
  }
  return true;
}

async function run(connection: Connection, command: Command): Promise<Reply> {
  const handler = HANDLERS.get(command.name);
  if (!handler) return bad('Unknown command');
  const isLogin = command.name === 'LOGIN' || command.name === 'AUTHENTICATE';
  if (connection.user ? isLogin : !BEFORE_LOGIN.has(command.name)) return bad('Not possible in this state');
  try {
    return await handler(connection, command);
  } catch (error) {
    if (error instanceof CommandSyntaxError) return bad(error.message);
    throw error;
  }
}

async function logout(connection: Connection, command: Command): Promise<boolean> {
  await connection.strike('logout');
  connection.output.line('* BYE Logging out');
  connection.output.line(`${command.tag} OK LOGOUT completed`);
  await connection.output.flush();
  connection.socket.end();
  return false;
}

async function startTls(connection: Connection, events: SessionEvents, command: Command): Promise<void> {
  const struck = await connection.strike('starttls');
  const offersTls = connection.capabilities.has('STARTTLS') && !connection.secure && !connection.user;
  const reply = struck ?? (offersTls ? ok('Begin TLS') : bad('STARTTLS is not possible here'));
  connection.output.line(`${command.tag} ${reply.status} ${reply.text}`);
  await connection.output.flush();
  if (reply.status !== 'OK') return;
  // Told to pretend: the client begins the handshake and never hears of it again.
  if (struck) await connection.cut('hang');
  events.startTls(connection);
}

async function capability(connection: Connection): Promise<Reply> {
  const struck = await connection.strike('capability');
  if (struck) return struck;
  connection.output.line(`* CAPABILITY ${offered(connection)}`);
  return ok('CAPABILITY completed');
}

function offered(connection: Connection): string {
  const hidden = connection.secure || connection.user ? 'STARTTLS' : null;
  return [...connection.capabilities].filter((name) => name !== hidden).join(' ');
}

async function noop(connection: Connection): Promise<Reply> {
  return (await connection.strike('noop')) ?? ok('NOOP completed');
}

async function id(connection: Connection): Promise<Reply> {
  connection.output.line('* ID ("name" "Penstock lab")');
  return ok('ID completed');
}

async function enable(connection: Connection): Promise<Reply> {
  // There is nothing to enable; RFC 5161 has the server name what it did enable.
  connection.output.line('* ENABLED');
  return ok('ENABLE completed');
}

async function namespace(connection: Connection): Promise<Reply> {
  connection.output.line(`* NAMESPACE (("" "${folder.DELIMITER}")) NIL NIL`);
  return ok('NAMESPACE completed');
}

async function close(connection: Connection, command: Command): Promise<Reply> {
  const { selected } = connection;
  if (!selected) return bad('No folder is open');
  if (command.name === 'CLOSE' && !selected.readOnly) message.expungeDeleted(selected, selected.view);
  connection.selected = null;
  return ok(`${command.name} completed`);
}

/** IDLE (RFC 2177): reports changes as they happen until the client says DONE. */
async function idle(connection: Connection): Promise<Reply> {
  if (!connection.capabilities.has('IDLE')) return bad('Unknown command');
  const struck = await connection.strike('idle');
  if (struck) return struck;
  const { output, selected } = connection;
  output.line('+ idling');
  connection.reportChanges();
  await output.flush();
  const stop = selected?.folder.watch(() => {
    connection.reportChanges();
    void output.flush();
  });
  try {
    const cut = await during(connection, 'idling');
    if (cut) return cut;
    const line = await connection.reader.readLine();
    if (line === null) throw new ConnectionOver();
    const refused = await during(connection, 'done');
    if (refused) return refused;
    return line.toUpperCase() === 'DONE' ? ok('IDLE completed') : no('Expected DONE');
  } finally {
    stop?.();
  }
}

async function during(connection: Connection, phase: Phase): Promise<Reply | null> {
  return connection.strike(phase);
}
