/** Tries the settings of a POP3 account step by step; each failing step says what to change. */
import type net from 'node:net';
import { fail, type PenstockError } from '../../errors.ts';
import { loginAdviceFor } from '../login-advice.ts';
import { Diagnosis, probeDns, probeTcp, probeTls, StepFailed } from '../probe.ts';
import type { DiagnosisStep, ServerSettings } from '../source.ts';
import { askCapabilities, capabilityText, loginDelay } from './capabilities.ts';
import { Commands } from './commands.ts';
import { type Connected, connectPop3 } from './connect.ts';
import { Link } from './link.ts';
import { type Listing, listMailbox } from './listing.ts';
import type { Pop3Options } from './options.ts';

const OVER: PenstockError = fail('connection_lost', 'The diagnosis is over');

export async function diagnosePop3(
  settings: ServerSettings,
  options: Pop3Options,
  signal: AbortSignal,
): Promise<DiagnosisStep[]> {
  const diagnosis = new Diagnosis(signal, options.connectMs);
  try {
    await probeServer(diagnosis, settings, options);
    await probeAccount(diagnosis, settings, options);
  } catch (error) {
    // The failed step has been noted; it is the result.
    if (!(error instanceof StepFailed)) throw error;
  }
  return diagnosis.steps;
}

/** Everything that can be learned without the password. */
async function probeServer(
  diagnosis: Diagnosis,
  settings: ServerSettings,
  options: Pop3Options,
): Promise<void> {
  await probeDns(diagnosis, settings.host);
  const plain = await probeTcp(diagnosis, settings);
  let socket: net.Socket = plain;
  const link = new Link(options);
  try {
    if (settings.tls === 'implicit') socket = await probeTls(diagnosis, settings, plain);
    link.adopt(socket);
    await probeGreeting(diagnosis, settings, link);
    await probeCapabilities(diagnosis, settings, link);
    if (settings.tls === 'starttls') socket = await probeTls(diagnosis, settings, link.release());
  } finally {
    link.end(OVER);
    socket.destroy();
    plain.destroy();
  }
}

async function probeGreeting(diagnosis: Diagnosis, settings: ServerSettings, link: Link): Promise<void> {
  const advice =
    settings.tls === 'implicit'
      ? 'Check that a POP3 server listens on this port.'
      : 'The server may expect TLS from the first byte on this port; set tls to "implicit".';
  await diagnosis.step('greeting', advice, async () => {
    const greeting = await link.greeting();
    if (greeting.status === 'ok') return { found: greeting.text || 'The server greets', value: null };
    throw new StepFailed(greeting.text, 'The server turns connections away at the moment; try again later.');
  });
}

async function probeCapabilities(diagnosis: Diagnosis, settings: ServerSettings, link: Link): Promise<void> {
  await diagnosis.step('capabilities', 'Check that this is a POP3 server.', async () => {
    const capabilities = await askCapabilities(link);
    const found = capabilityText(capabilities);
    if (settings.tls === 'starttls') {
      const advice = 'Use implicit TLS: set tls to "implicit" and take port 995.';
      if (capabilities && !capabilities.has('STLS')) {
        throw new StepFailed(`The server does not offer STLS (${found})`, advice);
      }
      const reply = await link.command('STLS', 'STLS');
      if (reply.status !== 'ok') throw new StepFailed(`The server refused STLS: ${reply.text}`, advice);
    }
    const delay = loginDelay(capabilities);
    const remark = delay === null ? '' : `; wants ${delay} seconds between two logins: poll no more often`;
    return { found: `${found}${remark}`, value: null };
  });
}

/** Login and mailbox, through the same code that the daemon uses. */
async function probeAccount(
  diagnosis: Diagnosis,
  settings: ServerSettings,
  options: Pop3Options,
): Promise<void> {
  let connected: Connected | null = null;
  try {
    connected = await diagnosis.step(
      'login',
      'Check user name and password.',
      async (signal) => {
        try {
          const value = await connectPop3(settings, options, signal);
          return { found: `Logged in as ${settings.user}`, value };
        } catch (error) {
          const failed = error as PenstockError;
          throw new StepFailed(failed.message, loginAdvice(failed, settings));
        }
      },
      // The same deadlines are inside; this one only has to come after them.
      2 * (options.connectMs + options.greetingMs + 2 * options.loginMs),
    );
    const commands = new Commands(connected);
    await diagnosis.step('folders', 'Check that the server gives UIDL or TOP.', async () => {
      const listing = await listMailbox(commands);
      // Nothing was read that a server could count as fetched, unless it has no unique-ids.
      if (!commands.hasRead) await commands.quit(options.closeMs).catch(() => undefined);
      return { found: mailboxText(listing), value: null };
    });
  } finally {
    connected?.link.end(OVER);
  }
}

function mailboxText({ messages, nameless }: Listing): string {
  const count = `INBOX (${messages.length} messages)`;
  if (nameless === 0) return count;
  return `${count}; ${nameless} without a unique-id of their own, told apart by their header and size`;
}

function loginAdvice(error: PenstockError, { auth }: ServerSettings): string {
  const known = loginAdviceFor('POP', error);
  if (known !== null) return known;
  if (error.code !== 'auth_failed') return error.hint;
  if (auth.kind === 'xoauth2') {
    return 'Get a new token; check that it has the POP scope and was made for this mailbox.';
  }
  return (
    'Check user name and password, and that POP3 is switched on for this account. Gmail, Microsoft 365 and others ' +
    'take no ordinary passwords: use an app password or OAuth.'
  );
}
