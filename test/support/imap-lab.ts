/** A lab IMAP server with one user, and sessions on it with short deadlines: for tests of single faults. */
import { type LabImapOptions, LabImapServer } from '../../src/lab/imap/server.ts';
import { imapSource } from '../../src/source/imap/imap-source.ts';
import type { ImapOptions } from '../../src/source/imap/options.ts';
import type { Session } from '../../src/source/source.ts';
import { type LineLab, SHORT_DEADLINES, startLineLab } from './line-lab.ts';

export const SHORT: Partial<ImapOptions> = {
  ...SHORT_DEADLINES,
  loginMs: 100,
  minBytesPerSecond: 1024 * 1024,
};

export type Lab = LineLab<LabImapServer, ImapOptions>;

/** Starts a server with the user `ann`. It and its sessions end with the test. */
export async function startLab(options: LabImapOptions = {}): Promise<Lab> {
  return await startLineLab(new LabImapServer(options), (settings, changes) =>
    imapSource(settings, { closeMs: 200, ...changes }),
  );
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
