/**
 * The only file that makes an ImapFlow. Its 'error' and 'close' listeners are attached before connect() and stay
 * for ever: an 'error' event without a listener ends the whole process.
 */
import { ImapFlow, type ImapFlowOptions } from 'imapflow';
import { fail } from '../../errors.ts';
import { tlsOptions } from '../probe.ts';
import type { ServerSettings } from '../source.ts';
import { Link } from './link.ts';
import { IDLE_CEILING_MS, type ImapOptions } from './options.ts';

/** Room for the rest of an answer around the bytes of a message. */
const LITERAL_MARGIN = 64 * 1024;
/** A SEARCH answer is one line: this is enough for five million messages. */
const LINE_BYTES = 64 * 1024 * 1024;

/**
 * Connects and logs in. Fails with `dns_failed`, `connect_failed`, `connect_timeout`, `tls_failed`,
 * `starttls_missing`, `greeting_failed`, `auth_failed`, `server_busy`, `stalled` or `connection_lost`.
 */
export async function connectImap(
  settings: ServerSettings,
  options: ImapOptions,
  signal: AbortSignal,
): Promise<Link> {
  if (signal.aborted) throw fail('connection_lost', 'The attempt was ended before it began');
  const link = new Link();
  const client = new ImapFlow({ ...clientOptions(settings, options), logger: link.log });
  link.adopt(client);
  const abort = (): void => link.end(fail('connection_lost', 'The attempt was ended from our side'));
  signal.addEventListener('abort', abort, { once: true });
  try {
    const total = options.connectMs + options.greetingMs + options.loginMs;
    await link.run('connect', total, () => client.connect());
    link.ready();
    return link;
  } catch (error) {
    const failure = link.classify(error, 'connect');
    link.end(failure);
    throw failure;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function clientOptions(settings: ServerSettings, options: ImapOptions): ImapFlowOptions {
  const { auth, maxMessageBytes } = settings;
  return {
    host: settings.host,
    port: settings.port,
    secure: settings.tls === 'implicit',
    // true demands TLS: without it imapflow logs in over cleartext when STARTTLS is not offered.
    ...(settings.tls === 'implicit' ? {} : { doSTARTTLS: settings.tls === 'starttls' }),
    tls: tlsOptions(settings),
    auth:
      auth.kind === 'password'
        ? { user: settings.user, pass: auth.password }
        : { user: settings.user, accessToken: auth.token },
    clientInfo: { name: 'Penstock', vendor: false, 'support-url': false, version: false },
    connectionTimeout: options.connectMs,
    greetingTimeout: options.greetingMs,
    // Our own deadlines come first; this one catches what they do not see. Longer than IDLE, because imapflow
    // breaks a quiet IDLE with a NOOP when it fires.
    socketTimeout: Math.max(options.commandMs, idleMs(options)) + 60_000,
    maxIdleTime: idleMs(options),
    // IDLE is begun by wait(), at once. imapflow's own would come 15 seconds after the last command.
    disableAutoIdle: true,
    // Extensions that change the form of answers stay off: fewer forms, fewer surprises.
    disableAutoEnable: true,
    disableIMAP4rev2: true,
    disableCompression: true,
    disableBinary: true,
    maxLineLength: LINE_BYTES,
    maxLiteralSize: maxMessageBytes + LITERAL_MARGIN,
    maxResponseSize: Math.max(maxMessageBytes, LINE_BYTES) + 2 * LITERAL_MARGIN,
  };
}

function idleMs(options: ImapOptions): number {
  return Math.min(options.maxIdleMs, IDLE_CEILING_MS);
}
