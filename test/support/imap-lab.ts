/** A lab IMAP server with one user, and sessions on it with short deadlines: for tests of single faults. */
import { onTestFinished } from 'vitest';
import { type LabImapOptions, LabImapServer } from '../../src/lab/imap/server.ts';
import { imapSource } from '../../src/source/imap/imap-source.ts';
import type { ImapOptions } from '../../src/source/imap/options.ts';
import type { ServerSettings, Session, Source } from '../../src/source/source.ts';
import { imapSettings } from './imap-settings.ts';
import { simpleMessage } from './messages.ts';

/**
 * Deadlines for tests that wait for one to pass. Not shorter: what is meant to succeed has to succeed within them
 * on a busy machine too.
 */
export const SHORT: Partial<ImapOptions> = {
  connectMs: 2_000,
  greetingMs: 2_000,
  loginMs: 100,
  commandMs: 2_000,
  closeMs: 200,
  minBytesPerSecond: 1024 * 1024,
};

export interface Lab {
  server: LabImapServer;
  source(changes?: Partial<ServerSettings>, options?: Partial<ImapOptions>): Source;
  /** A session with INBOX open. */
  session(options?: Partial<ImapOptions>): Promise<Session>;
  /** Delivers plain messages m1, m2 and so on, which get the UIDs 1, 2 and so on. */
  fill(count: number): void;
}

/** Starts a server with the user `ann`. It and its sessions end with the test. */
export async function startLab(options: LabImapOptions = {}): Promise<Lab> {
  const server = new LabImapServer(options);
  const port = await server.start();
  server.addUser('ann', { password: 'secret', token: 'token' });
  const sessions: Session[] = [];
  onTestFinished(async () => {
    server.faults.clear();
    for (const session of sessions) await session.close();
    await server.stop();
  });
  const source: Lab['source'] = (changes, imapOptions) =>
    imapSource(imapSettings({ port, user: 'ann', ...changes }), { closeMs: 200, ...imapOptions });
  return {
    server,
    source,
    async session(imapOptions) {
      const session = await source({}, imapOptions).connect(new AbortController().signal);
      sessions.push(session);
      await session.open('INBOX');
      return session;
    },
    fill(count) {
      for (let index = 1; index <= count; index += 1)
        server.deliver('ann', 'INBOX', simpleMessage(`m${index}`));
    },
  };
}

export async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const value of values) all.push(value);
  return all;
}

/** The keys that a session lists after `cursor`. */
export async function listedKeys(session: Session, cursor: string | null = null): Promise<string[]> {
  const changes = await session.changes(cursor);
  if (changes.lost) throw new Error(changes.reason);
  return (await collect(changes.pages)).flatMap(({ items }) => items.map(({ key }) => key));
}

export const never = (): AbortSignal => new AbortController().signal;
