/** LOGIN and AUTHENTICATE with PLAIN (RFC 4616) and XOAUTH2, with and without an initial response (RFC 4959). */
import { timingSafeEqual } from 'node:crypto';
import type { User } from '../mail-store.ts';
import { argumentText, type Command } from './command-parser.ts';
import { bad, type Connection, ConnectionOver, no, ok, type Reply } from './connection.ts';

const REFUSED = no('[AUTHENTICATIONFAILED] Wrong user name or password');
/** What Google and Microsoft send when a token is not taken; the client has to answer it with an empty line. */
const TOKEN_PROBLEM = Buffer.from('{"status":"401","schemes":"bearer","scope":"mail"}').toString('base64');

export async function login(connection: Connection, command: Command): Promise<Reply> {
  const struck = await connection.strike('login');
  if (struck) return struck;
  if (!connection.capabilities.has('AUTH=PLAIN')) return no('[PRIVACYREQUIRED] Passwords are not taken here');
  const name = argumentText(command.args[0]) ?? '';
  return passwordLogin(connection, name, argumentText(command.args[1]) ?? '');
}

export async function authenticate(connection: Connection, command: Command): Promise<Reply> {
  const struck = await connection.strike('login');
  if (struck) return struck;
  const mechanism = (argumentText(command.args[0]) ?? '').toUpperCase();
  if (!connection.capabilities.has(`AUTH=${mechanism}`)) return no('Unknown mechanism');
  const initial = argumentText(command.args[1]);
  const response = initial ?? (await ask(connection, ''));
  if (response === '*') return bad('Cancelled');
  const decoded = Buffer.from(response, 'base64').toString('utf8');
  if (mechanism === 'PLAIN') {
    const [, name = '', password = ''] = decoded.split('\0');
    return passwordLogin(connection, name, password);
  }
  return tokenLogin(connection, decoded);
}

function passwordLogin(connection: Connection, name: string, password: string): Reply {
  const user = connection.store.users.get(name);
  const expected = user?.credentials.password;
  if (!user || expected === undefined || !same(expected, password)) return REFUSED;
  return welcome(connection, user);
}

async function tokenLogin(connection: Connection, decoded: string): Promise<Reply> {
  let name = '';
  let token = '';
  for (const field of decoded.split('\x01')) {
    if (field.startsWith('user=')) name = field.slice('user='.length);
    if (field.startsWith('auth=Bearer ')) token = field.slice('auth=Bearer '.length);
  }
  const user = connection.store.users.get(name);
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
