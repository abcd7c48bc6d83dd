/** Who logs in: by password, or by PLAIN (RFC 4616) and XOAUTH2 with and without an initial response. */
import { timingSafeEqual } from 'node:crypto';
import type { MailStore, User } from '../mail-store.ts';
import type { LineConnection } from './connection.ts';

/** What Google and Microsoft send when a token is not taken; the client has to answer it with an empty line. */
const TOKEN_PROBLEM = Buffer.from('{"status":"401","schemes":"bearer","scope":"mail"}').toString('base64');

/** Null when there is no such user, or another password. */
export function userByPassword(store: MailStore, name: string, password: string): User | null {
  const user = store.users.get(name);
  const expected = user?.credentials.password;
  return user && expected !== undefined && same(expected, password) ? user : null;
}

/** By the client's response, in Base64. Null when it is refused, which for XOAUTH2 takes another round. */
export async function userBySasl(
  connection: LineConnection,
  store: MailStore,
  mechanism: 'PLAIN' | 'XOAUTH2',
  response: string,
): Promise<User | null> {
  const decoded = Buffer.from(response, 'base64').toString('utf8');
  if (mechanism === 'PLAIN') {
    const [, name = '', password = ''] = decoded.split('\0');
    return userByPassword(store, name, password);
  }
  const user = userByToken(store, decoded);
  if (!user) await connection.ask(TOKEN_PROBLEM);
  return user;
}

function userByToken(store: MailStore, decoded: string): User | null {
  let name = '';
  let token = '';
  for (const field of decoded.split('\x01')) {
    if (field.startsWith('user=')) name = field.slice('user='.length);
    if (field.startsWith('auth=Bearer ')) token = field.slice('auth=Bearer '.length);
  }
  const user = store.users.get(name);
  const expected = user?.credentials.token;
  const isRight = expected !== undefined && same(expected, token);
  return user && (isRight || user.credentials.accepts?.(token)) ? user : null;
}

function same(expected: string, given: string): boolean {
  const left = Buffer.from(expected);
  const right = Buffer.from(given);
  return left.length === right.length && timingSafeEqual(left, right);
}
