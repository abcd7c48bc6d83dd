/** A lab POP3 server with one user, and sessions on it with short deadlines: for tests of single faults. */
import { onTestFinished } from 'vitest';
import { type LabPop3Options, LabPop3Server } from '../../src/lab/pop3/server.ts';
import type { Pop3Options } from '../../src/source/pop3/options.ts';
import { pop3Source } from '../../src/source/pop3/pop3-source.ts';
import type { ServerSettings, Session, Source } from '../../src/source/source.ts';
import { imapSettings } from './imap-settings.ts';
import { simpleMessage } from './messages.ts';

/**
 * Deadlines for tests that wait for one to pass. Not shorter: what is meant to succeed has to succeed within them
 * on a busy machine too.
 */
export const SHORT: Partial<Pop3Options> = {
  connectMs: 2_000,
  greetingMs: 2_000,
  loginMs: 2_000,
  commandMs: 2_000,
  quitMs: 2_000,
  closeMs: 200,
};

export interface Pop3Lab {
  server: LabPop3Server;
  source(changes?: Partial<ServerSettings>, options?: Partial<Pop3Options>): Source;
  /** A session with INBOX open. */
  session(options?: Partial<Pop3Options>): Promise<Session>;
  /** Delivers plain messages m1, m2 and so on, which get the UIDs, and so the unique-ids, 1, 2 and so on. */
  fill(count: number): void;
}

/** Starts a server with the user `ann`. It and its sessions end with the test. */
export async function startPop3Lab(options: LabPop3Options = {}): Promise<Pop3Lab> {
  const server = new LabPop3Server(options);
  const port = await server.start();
  server.addUser('ann', { password: 'secret', token: 'token' });
  const sessions: Session[] = [];
  onTestFinished(async () => {
    server.faults.clear();
    for (const session of sessions) await session.close();
    await server.stop();
  });
  const source: Pop3Lab['source'] = (changes, pop3Options) =>
    pop3Source(imapSettings({ port, user: 'ann', ...changes }), { closeMs: 200, ...pop3Options });
  return {
    server,
    source,
    async session(pop3Options) {
      const session = await source({}, pop3Options).connect(new AbortController().signal);
      sessions.push(session);
      await session.open('INBOX');
      return session;
    },
    fill(count) {
      for (let index = 1; index <= count; index += 1) server.deliver('ann', simpleMessage(`m${index}`));
    },
  };
}
