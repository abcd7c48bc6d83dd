/** A lab POP3 server with one user, and sessions on it with short deadlines: for tests of single faults. */
import { type LabPop3Options, LabPop3Server } from '../../src/lab/pop3/server.ts';
import type { Pop3Options } from '../../src/source/pop3/options.ts';
import { pop3Source } from '../../src/source/pop3/pop3-source.ts';
import { type LineLab, SHORT_DEADLINES, startLineLab } from './line-lab.ts';

export const SHORT: Partial<Pop3Options> = { ...SHORT_DEADLINES, loginMs: 2_000, quitMs: 2_000 };

/** A message's unique-id is its UID. */
export type Pop3Lab = LineLab<LabPop3Server, Pop3Options>;

/** Starts a server with the user `ann`. It and its sessions end with the test. */
export async function startPop3Lab(options: LabPop3Options = {}): Promise<Pop3Lab> {
  return await startLineLab(new LabPop3Server(options), (settings, changes) =>
    pop3Source(settings, { closeMs: 200, ...changes }),
  );
}
