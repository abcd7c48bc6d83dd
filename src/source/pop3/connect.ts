/** Makes a connection that is logged in: TCP, greeting, capabilities, TLS as the settings demand it, login. */
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { fail } from '../../errors.ts';
import { tlsOptions } from '../probe.ts';
import type { ServerSettings } from '../source.ts';
import { askCapabilities, type Capabilities } from './capabilities.ts';
import { connectionError, sessionRefusal } from './errors.ts';
import { Link } from './link.ts';
import { logIn } from './login.ts';
import type { Pop3Options } from './options.ts';

export interface Connected {
  link: Link;
  /** As the server gave them after the login, where they may be others than before. */
  capabilities: Capabilities;
}

/**
 * Connects and logs in. Fails with `dns_failed`, `connect_failed`, `connect_timeout`, `tls_failed`,
 * `starttls_missing`, `greeting_failed`, `auth_failed`, `mailbox_in_use`, `server_busy`, `server_refused`, `stalled`
 * or `connection_lost`.
 */
export async function connectPop3(
  settings: ServerSettings,
  options: Pop3Options,
  signal: AbortSignal,
): Promise<Connected> {
  if (signal.aborted) throw fail('connection_lost', 'The attempt was ended before it began');
  const link = new Link(options);
  const abort = (): void => link.end(fail('connection_lost', 'The attempt was ended from our side'));
  signal.addEventListener('abort', abort, { once: true });
  try {
    link.adopt(await openSocket(settings, options, signal));
    await greet(link);
    let capabilities = await askCapabilities(link);
    if (settings.tls === 'starttls') {
      await startTls(link, settings, capabilities, signal);
      // What was said in the clear may have been said by anybody (RFC 2595 section 4).
      capabilities = await askCapabilities(link);
    }
    await logIn(link, settings, capabilities);
    link.ready();
    return { link, capabilities: capabilities && (await askCapabilities(link)) };
  } catch (error) {
    const failure = connectionError(error, 'connecting', 'connect');
    link.end(failure);
    throw failure;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

async function openSocket(
  settings: ServerSettings,
  { connectMs }: Pop3Options,
  signal: AbortSignal,
): Promise<net.Socket> {
  const { host, port } = settings;
  const socket =
    settings.tls === 'implicit'
      ? tls.connect({ host, port, ...securely(settings) })
      : net.connect({ host, port });
  socket.setNoDelay(true);
  socket.setKeepAlive(true, 60_000);
  await settled(socket, settings.tls === 'implicit' ? 'secureConnect' : 'connect', connectMs, signal);
  return socket;
}

async function greet(link: Link): Promise<void> {
  const greeting = await link.greeting();
  if (greeting.status === 'ok') return;
  const refusal = sessionRefusal(greeting, 'greeting', null);
  if (refusal) throw refusal;
  const fields = { command: 'greeting', server: greeting.text };
  throw fail('greeting_failed', `The server turns us away: ${greeting.text}`, fields);
}

/** STLS (RFC 2595 section 4). Without it there is no login: a password must not travel readable. */
async function startTls(
  link: Link,
  settings: ServerSettings,
  capabilities: Capabilities,
  signal: AbortSignal,
): Promise<void> {
  if (capabilities && !capabilities.has('STLS')) throw missing('is not among its capabilities');
  const reply = await link.command('STLS', 'STLS');
  if (reply.status !== 'ok') throw missing(`was refused: ${reply.text}`);
  const plain = link.release();
  const socket = tls.connect({ socket: plain, ...securely(settings) });
  link.adopt(socket);
  await settled(socket, 'secureConnect', link.options.connectMs, signal);
}

function missing(why: string): Error {
  return fail('starttls_missing', `The server does not offer TLS on this port: STLS ${why}`);
}

function securely(settings: ServerSettings): tls.ConnectionOptions {
  const { host } = settings;
  return { ...tlsOptions(settings), host, ...(net.isIP(host) === 0 ? { servername: host } : {}) };
}

/** Waits for `event`. Destroys the socket when that does not come within `ms`. */
async function settled(socket: net.Socket, event: string, ms: number, signal: AbortSignal): Promise<void> {
  const late = AbortSignal.timeout(ms);
  // Stays attached: a socket without an 'error' listener ends the process.
  socket.on('error', () => {});
  const closed = new AbortController();
  const onClose = (): void => closed.abort();
  socket.once('close', onClose);
  try {
    await once(socket, event, { signal: AbortSignal.any([late, signal, closed.signal]) });
  } catch (error) {
    socket.destroy();
    if (late.aborted) throw connectionError({ code: 'CONNECT_TIMEOUT' }, 'connecting', 'connect');
    if (signal.aborted) throw fail('connection_lost', 'The attempt was ended from our side');
    if (!closed.signal.aborted) throw error;
    throw fail('connection_lost', 'The server closed the connection before the login was done');
  } finally {
    socket.off('close', onClose);
  }
}
