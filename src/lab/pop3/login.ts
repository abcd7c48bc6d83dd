/** USER, PASS and AUTH with PLAIN and XOAUTH2, with and without an initial response (RFC 5034). */
import { timingSafeEqual } from 'node:crypto';
import type { MailStore, User } from '../mail-store.ts';
import { type Connection, ConnectionOver, err, ok, type Reply } from './connection.ts';

const REFUSED = err('[AUTH] Wrong user name or password');
/** What Google and Microsoft send when a token is not taken; the client has to answer it with an empty line. */
const TOKEN_PROBLEM = Buffer.from('{"status":"401","schemes":"bearer","scope":"mail"}').toString('base64');

export async function pass(connection: Connection, store: MailStore, password: string): Promise<Reply> {
  const struck = await connection.strike('login');
  if (struck && !struck.ok) return struck;
  return passwordLogin(connection, store, connection.named ?? '', password);
}

export async function auth(
  connection: Connection,
  store: MailStore,
  args: readonly string[],
  mechanisms: ReadonlySet<string>,
): Promise<Reply> {
  const mechanism = (args[0] ?? '').toUpperCase();
  if (!mechanisms.has(mechanism)) return err('Unknown mechanism');
  const response = args[1] ?? (await ask(connection, ''));
  if (response === '*') return err('Cancelled');
  const struck = await connection.strike('login');
  if (struck && !struck.ok) return struck;
  const decoded = Buffer.from(response, 'base64').toString('utf8');
  if (mechanism === 'PLAIN') {
    const [, name = '', password = ''] = decoded.split('\0');
    return passwordLogin(connection, store, name, password);
  }
  return await tokenLogin(connection, store, decoded);
}

function passwordLogin(connection: Connection, store: MailStore, name: string, password: string): Reply {
  const user = store.users.get(name);
  const expected = user?.credentials.password;
  if (!user || expected === undefined || !same(expected, password)) return REFUSED;
  return welcome(connection, user);
}

async function tokenLogin(connection: Connection, store: MailStore, decoded: string): Promise<Reply> {
  let name = '';
  let token = '';
  for (const field of decoded.split('\x01')) {
    if (field.startsWith('user=')) name = field.slice('user='.length);
    if (field.startsWith('auth=Bearer ')) token = field.slice('auth=Bearer '.length);
  }
  const user = store.users.get(name);
  const expected = user?.credentials.token;
  const isRight = expected !== undefined && same(expected, token);
  if (user && (isRight || user.credentials.accepts?.(token))) return welcome(connection, user);
  await ask(connection, TOKEN_PROBLEM);
  return REFUSED;
}

function welcome(connection: Connection, user: User): Reply {
  connection.user = user;
  return ok('Logged in');
}

async function ask(connection: Connection, challenge: string): Promise<string> {
  connection.output.line(`+ ${challenge}`);
  await connection.output.flush();
  const line = await connection.reader.readLine();
  if (line === null) throw new ConnectionOver();
  return line;
}

function same(expected: string, given: string): boolean {
  const left = Buffer.from(expected);
  const right = Buffer.from(given);
  return left.length === right.length && timingSafeEqual(left, right);
}
