/** LOGIN and AUTHENTICATE with PLAIN and XOAUTH2, with and without an initial response (RFC 4959). */
import type { User } from '../mail-store.ts';
import { userByPassword, userBySasl } from '../wire/login.ts';
import { argumentText, type Command } from './command-parser.ts';
import { bad, type Connection, no, ok, type Reply } from './connection.ts';

const REFUSED = no('[AUTHENTICATIONFAILED] Wrong user name or password');

export async function login(connection: Connection, command: Command): Promise<Reply> {
  const struck = await connection.strike('login');
  if (struck) return struck;
  if (!connection.capabilities.has('AUTH=PLAIN')) return no('[PRIVACYREQUIRED] Passwords are not taken here');
  const name = argumentText(command.args[0]) ?? '';
  return welcome(connection, userByPassword(connection.store, name, argumentText(command.args[1]) ?? ''));
}

export async function authenticate(connection: Connection, command: Command): Promise<Reply> {
  const struck = await connection.strike('login');
  if (struck) return struck;
  const mechanism = (argumentText(command.args[0]) ?? '').toUpperCase();
  const isKnown = mechanism === 'PLAIN' || mechanism === 'XOAUTH2';
  if (!isKnown || !connection.capabilities.has(`AUTH=${mechanism}`)) return no('Unknown mechanism');
  const response = argumentText(command.args[1]) ?? (await connection.ask(''));
  if (response === '*') return bad('Cancelled');
  return welcome(connection, await userBySasl(connection, connection.store, mechanism, response));
}

function welcome(connection: Connection, user: User | null): Reply {
  if (!user) return REFUSED;
  connection.user = user;
  return ok('Logged in');
}
