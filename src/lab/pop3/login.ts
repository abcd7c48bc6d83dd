/** USER, PASS and AUTH with PLAIN and XOAUTH2, with and without an initial response (RFC 5034). */
import type { MailStore, User } from '../mail-store.ts';
import { userByPassword, userBySasl } from '../wire/login.ts';
import { type Connection, err, ok, type Reply } from './connection.ts';

const REFUSED = err('[AUTH] Wrong user name or password');

export async function pass(connection: Connection, store: MailStore, password: string): Promise<Reply> {
  const struck = await connection.strike('login');
  if (struck && !struck.ok) return struck;
  return welcome(connection, userByPassword(store, connection.named ?? '', password));
}

export async function auth(
  connection: Connection,
  store: MailStore,
  args: readonly string[],
  missing: ReadonlySet<string>,
): Promise<Reply> {
  const mechanism = (args[0] ?? '').toUpperCase();
  const isKnown = mechanism === 'PLAIN' || mechanism === 'XOAUTH2';
  if (!isKnown || missing.has(mechanism)) return err('Unknown mechanism');
  const response = args[1] ?? (await connection.ask(''));
  if (response === '*') return err('Cancelled');
  const struck = await connection.strike('login');
  if (struck && !struck.ok) return struck;
  return welcome(connection, await userBySasl(connection, store, mechanism, response));
}

function welcome(connection: Connection, user: User | null): Reply {
  if (!user) return REFUSED;
  connection.user = user;
  return ok('Logged in');
}
