/** Tries the settings of an IMAP account step by step; each failing step says what to change. */
import type net from 'node:net';
import { fail, type PenstockError } from '../../errors.ts';
import { loginAdviceFor } from '../login-advice.ts';
import { Diagnosis, probeDns, probeTcp, probeTls, StepFailed } from '../probe.ts';
import type { DiagnosisStep, ServerSettings } from '../source.ts';
import { Commands } from './commands.ts';
import { connectImap } from './connect.ts';
import type { Link } from './link.ts';
import type { ImapOptions } from './options.ts';

const LINE_BYTES = 64 * 1024;
const FOLDERS_SHOWN = 20;

export async function diagnoseImap(
  settings: ServerSettings,
  options: ImapOptions,
  signal: AbortSignal,
): Promise<DiagnosisStep[]> {
  const diagnosis = new Diagnosis(signal, options.connectMs);
  try {
    await probeServer(diagnosis, settings);
    await probeAccount(diagnosis, settings, options);
  } catch (error) {
    // The failed step has been noted; it is the result.
    if (!(error instanceof StepFailed)) throw error;
  }
  return diagnosis.steps;
}

/** Everything that can be learned without the password. */
async function probeServer(diagnosis: Diagnosis, settings: ServerSettings): Promise<void> {
  await probeDns(diagnosis, settings.host);
  const plain = await probeTcp(diagnosis, settings);
  let socket: net.Socket = plain;
  try {
    if (settings.tls === 'implicit') socket = await probeTls(diagnosis, settings, plain);
    const talk = new Talk(socket);
    await probeGreeting(diagnosis, settings, talk);
    await probeCapabilities(diagnosis, settings, talk);
    if (settings.tls === 'starttls') {
      talk.detach();
      socket = await probeTls(diagnosis, settings, plain);
    }
  } finally {
    socket.destroy();
    plain.destroy();
  }
}

async function probeGreeting(diagnosis: Diagnosis, settings: ServerSettings, talk: Talk): Promise<void> {
  const advice =
    settings.tls === 'implicit'
      ? 'Check that an IMAP server listens on this port.'
      : 'The server may expect TLS from the first byte on this port; set tls to "implicit".';
  await diagnosis.step('greeting', advice, async () => {
    const greeting = await talk.line();
    if (/^\* BYE/i.test(greeting)) {
      throw new StepFailed(greeting, 'The server turns connections away at the moment; try again later.');
    }
    if (!/^\* (OK|PREAUTH)/i.test(greeting)) {
      throw new StepFailed(`Not an IMAP greeting: ${greeting.slice(0, 100)}`, 'Check host and port.');
    }
    return { found: greeting.slice(0, 200), value: null };
  });
}

async function probeCapabilities(diagnosis: Diagnosis, settings: ServerSettings, talk: Talk): Promise<void> {
  await diagnosis.step('capabilities', 'Check that this is an IMAP4rev1 server.', async () => {
    const answer = await talk.command('a1 CAPABILITY');
    const listed = answer.find((line) => /^\* CAPABILITY /i.test(line));
    if (!listed)
      throw new StepFailed(answer.at(-1) ?? 'no answer', 'Check that this is an IMAP4rev1 server.');
    const names = new Set(listed.toUpperCase().split(' ').slice(2));
    const found = listed.slice('* CAPABILITY '.length);
    if (settings.tls === 'starttls') await startTls(talk, names, found);
    return { found, value: null };
  });
}

async function startTls(talk: Talk, names: ReadonlySet<string>, found: string): Promise<void> {
  if (!names.has('STARTTLS')) {
    throw new StepFailed(
      `The server does not offer STARTTLS (${found})`,
      'Use implicit TLS: set tls to "implicit" and take port 993.',
    );
  }
  const answer = (await talk.command('a2 STARTTLS')).at(-1) ?? '';
  if (!/^a2 OK/i.test(answer)) {
    throw new StepFailed(`The server refused STARTTLS: ${answer}`, 'Use implicit TLS on port 993.');
  }
}

/** Login and folders, through the same code that the daemon uses. */
async function probeAccount(
  diagnosis: Diagnosis,
  settings: ServerSettings,
  options: ImapOptions,
): Promise<void> {
  let link: Link | null = null;
  try {
    link = await diagnosis.step(
      'login',
      'Check user name and password.',
      async (signal) => {
        try {
          const value = await connectImap(settings, options, signal);
          return { found: `Logged in as ${settings.user}`, value };
        } catch (error) {
          throw new StepFailed(
            (error as PenstockError).message,
            loginAdvice(error as PenstockError, settings),
          );
        }
      },
      // The same deadlines are inside; this one only has to come after them.
      2 * (options.connectMs + options.greetingMs + options.loginMs),
    );
    const commands = new Commands(link, options);
    await diagnosis.step('folders', 'Check the folders of this mailbox.', () =>
      checkFolders(commands, settings),
    );
  } finally {
    link?.end(fail('connection_lost', 'The diagnosis is over'));
  }
}

async function checkFolders(
  commands: Commands,
  settings: ServerSettings,
): Promise<{ found: string; value: null }> {
  const there = await commands.folders();
  const missing: string[] = [];
  const counts: string[] = [];
  for (const path of settings.folders) {
    try {
      const { count } = await commands.select(path);
      counts.push(`${path} (${count} messages)`);
    } catch (error) {
      if ((error as PenstockError).code !== 'folder_missing') throw error;
      missing.push(path);
    }
  }
  if (missing.length > 0) {
    const shown = there.slice(0, FOLDERS_SHOWN).join(', ');
    throw new StepFailed(`Missing: ${missing.join(', ')}`, `Create the folder, or choose from: ${shown}`);
  }
  return { found: counts.join(', '), value: null };
}

function loginAdvice(error: PenstockError, { auth }: ServerSettings): string {
  const known = loginAdviceFor('IMAP', error);
  if (known !== null) return known;
  if (error.code !== 'auth_failed') return error.hint;
  if (auth.kind === 'xoauth2') {
    return 'Get a new token; check that it has the IMAP scope and was made for this mailbox.';
  }
  return (
    'Check user name and password. Gmail, Microsoft 365 and others take no ordinary passwords: ' +
    'use an app password or OAuth.'
  );
}

/** Lines to and from a server, before any IMAP client is involved. */
class Talk {
  readonly #socket: net.Socket;
  #text = '';
  #ended = false;
  #wake: (() => void) | null = null;

  constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on('data', this.#onData);
    socket.on('close', this.#onClose);
  }

  detach(): void {
    this.#socket.off('data', this.#onData);
    this.#socket.off('close', this.#onClose);
  }

  async line(): Promise<string> {
    for (;;) {
      const end = this.#text.indexOf('\n');
      if (end >= 0) {
        const line = this.#text.slice(0, end).replace(/\r$/, '');
        this.#text = this.#text.slice(end + 1);
        return line;
      }
      if (this.#ended) throw new Error('The server closed the connection');
      if (this.#text.length > LINE_BYTES) throw new Error('The server sent no end of line');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Sends a command and reads to its tagged answer, which is the last line. */
  async command(command: string): Promise<string[]> {
    this.#socket.write(`${command}\r\n`);
    const tag = `${command.split(' ', 1)[0]} `;
    const lines: string[] = [];
    do lines.push(await this.line());
    while (!lines.at(-1)?.startsWith(tag) && lines.length < 1000);
    return lines;
  }

  #onData = (chunk: Buffer): void => {
    this.#text += chunk.toString('latin1');
    this.#wakeUp();
  };

  #onClose = (): void => {
    this.#ended = true;
    this.#wakeUp();
  };

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
