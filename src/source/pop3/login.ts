/** Logs in: USER and PASS (RFC 1939 section 7), or SASL (RFC 5034) with PLAIN or XOAUTH2. */
import { type ErrorFields, fail } from '../../errors.ts';
import type { ServerSettings } from '../source.ts';
import { tidyServerText } from '../trouble.ts';
import { type Capabilities, loginDelay, saslMechanisms } from './capabilities.ts';
import { loginError } from './errors.ts';
import type { Link } from './link.ts';
import type { Reply } from './reply.ts';

/** A command with its CRLF must not be longer (RFC 2449 section 4); a longer response goes on a line of its own. */
const COMMAND_BYTES = 255;
const SEPARATOR = '\x01';

/** Fails with `auth_failed`, `mailbox_in_use`, `server_busy` or `server_refused`. */
export async function logIn(link: Link, settings: ServerSettings, capabilities: Capabilities): Promise<void> {
  const { user, auth } = settings;
  const delay = loginDelay(capabilities);
  if (auth.kind === 'xoauth2') {
    const fields = [`user=${user}`, `auth=Bearer ${auth.token}`, '', ''];
    return await authenticate(link, 'XOAUTH2', fields.join(SEPARATOR), delay);
  }
  if (capabilities && !capabilities.has('USER') && saslMechanisms(capabilities).has('PLAIN')) {
    return await authenticate(link, 'PLAIN', `\0${user}\0${auth.password}`, delay);
  }
  const name = await say(link, `USER ${user}`, 'USER');
  if (name.status !== 'ok') throw loginError(name, 'USER', delay);
  const pass = await say(link, `PASS ${auth.password}`, 'PASS');
  if (pass.status !== 'ok') throw loginError(pass, 'PASS', delay);
}

async function authenticate(
  link: Link,
  mechanism: string,
  response: string,
  delay: number | null,
): Promise<void> {
  const name = `AUTH ${mechanism}`;
  const encoded = Buffer.from(response, 'utf8').toString('base64');
  const inOneLine = `${name} ${encoded}`;
  let reply: Reply;
  if (inOneLine.length + 2 <= COMMAND_BYTES) reply = await say(link, inOneLine, name);
  else {
    reply = await say(link, name, name);
    if (reply.status === 'continue') reply = await say(link, encoded, name);
  }
  if (reply.status === 'ok') return;
  if (reply.status === 'err') throw loginError(reply, name, delay);
  // Why a token is not taken comes as a challenge; the refusal follows when that is answered with an empty line.
  const problem = tidyServerText(Buffer.from(reply.raw, 'base64').toString('utf8'));
  const refusal = await say(link, '', name);
  const fields: ErrorFields = { command: name, server: problem || refusal.text };
  if (refusal.status === 'err' && refusal.code !== null && refusal.code !== 'AUTH') {
    throw loginError(refusal, name, delay);
  }
  throw fail('auth_failed', `The server refused the login: ${problem || refusal.text}`, fields);
}

/** A line with a secret. What would end the line early would be taken for a command of its own. */
async function say(link: Link, line: string, name: string): Promise<Reply> {
  if (/[\r\n]/.test(line))
    throw fail('config_invalid', `User name and password must be one line each (${name})`);
  return await link.command(line, name, link.options.loginMs);
}
