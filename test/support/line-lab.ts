/** What the labs of single faults have in common: a server with the user `ann`, and sessions that end with the test. */
import { onTestFinished } from 'vitest';
import type { LineServer } from '../../src/lab/wire/server.ts';
import type { ServerSettings, Session, Source } from '../../src/source/source.ts';
import { imapSettings } from './imap-settings.ts';
import { simpleMessage } from './messages.ts';

/**
 * Deadlines for tests that wait for one to pass. Not shorter: what is meant to succeed has to succeed within them
 * on a busy machine too.
 */
export const SHORT_DEADLINES = { connectMs: 2_000, greetingMs: 2_000, commandMs: 2_000, closeMs: 200 };

export interface LineLab<S, O> {
  server: S;
  source(changes?: Partial<ServerSettings>, options?: Partial<O>): Source;
  /** A session with INBOX open. */
  session(options?: Partial<O>): Promise<Session>;
  /** Delivers plain messages m1, m2 and so on, which get the UIDs 1, 2 and so on. */
  fill(count: number): void;
}

export async function startLineLab<S extends LineServer & { faults: { clear(): void } }, O>(
  server: S,
  makeSource: (settings: ServerSettings, options: Partial<O>) => Source,
): Promise<LineLab<S, O>> {
  const port = await server.start();
  server.addUser('ann', { password: 'secret', token: 'token' });
  const sessions: Session[] = [];
  onTestFinished(async () => {
    server.faults.clear();
    for (const session of sessions) await session.close();
    await server.stop();
  });
  const source: LineLab<S, O>['source'] = (changes, options) =>
    makeSource(imapSettings({ port, user: 'ann', ...changes }), options ?? {});
  return {
    server,
    source,
    async session(options) {
      const session = await source({}, options).connect(new AbortController().signal);
      sessions.push(session);
      await session.open('INBOX');
      return session;
    },
    fill(count) {
      for (let index = 1; index <= count; index += 1) {
        server.store.deliver('ann', 'INBOX', simpleMessage(`m${index}`));
      }
    },
  };
}
