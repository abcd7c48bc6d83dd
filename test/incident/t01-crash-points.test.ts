/**
 * Mail must never be lost because a process ended at a bad moment. A daemon kills itself with SIGKILL at each
 * point where that could hurt; another one goes on.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { CRASH_POINTS } from '../../src/lab/crash-point.ts';
import { LIMITS } from '../../src/limits.ts';
import { expectExactlyOnce } from '../support/exactly-once.ts';
import { simpleMessage } from '../support/messages.ts';
import { Pipe, startDaemon } from '../support/pipe.ts';
import { type Backend, Site, until } from '../support/site.ts';

/** What a crash left behind. */
interface Remains {
  ledger: number;
  disposed: number;
  claimed: number;
  processed: number;
  touched: number;
  largeFiles: number;
}

type CrashPoint = (typeof CRASH_POINTS)[number];

/** How each point shows in what is left when the process dies at its first passage. */
const SIGNS: Record<CrashPoint, (remains: Remains) => boolean> = {
  'after-raw-write': ({ ledger, largeFiles }) => ledger === 0 && largeFiles > 0,
  'after-fetch': ({ ledger, largeFiles }) => ledger === 0 && largeFiles > 0,
  'before-commit': ({ ledger, touched }) => ledger === 0 && touched === 0,
  'after-commit': ({ ledger, disposed }) => ledger > 0 && disposed === 0,
  // Jobs are added while the server is already brought up to date.
  'after-enqueue': ({ ledger }) => ledger > 0,
  'after-disposition': ({ touched, disposed }) => touched > 0 && disposed === 0,
  'after-disposition-record': ({ touched, disposed }) => touched > 0 && disposed > 0,
  'after-claim': ({ claimed, processed }) => claimed > 0 && processed === 0,
  'after-analysis': ({ claimed, processed }) => claimed > 0 && processed === 0,
  'before-result-commit': ({ claimed, processed }) => claimed > 0 && processed === 0,
  'after-result-commit': ({ processed }) => processed > 0,
};

/** Tests of other sections that are one of these. */
const ALSO: Partial<Record<CrashPoint, string>> = {
  'after-commit': ' (T20.1: stored, not yet moved)',
  'after-disposition': ' (T20.1: moved, not yet noted)',
};

async function remainsOf(site: Site): Promise<Remains> {
  const { rows } = await sql<Omit<Remains, 'touched' | 'largeFiles'>>`
    select (select count(*)::int from ledger) as ledger,
      (select count(*)::int from ledger where disposition = 'done') as disposed,
      (select count(*)::int from incoming_email where claim_token is not null) as claimed,
      (select count(*)::int from incoming_email where state = 'processed') as processed`.execute(
    site.runtime.db,
  );
  const raw = join(site.env.PENSTOCK_DATA!, 'raw');
  const folders = existsSync(raw) ? readdirSync(raw).filter((folder) => folder !== 'tmp') : [];
  return { ...rows[0]!, touched: (await site.touched()).count, largeFiles: folders.length };
}

/** Two mailboxes, one that marks and one that moves; the third message of each goes to a file. */
async function startSite(backend: Backend): Promise<Site> {
  const site = await Site.start({ backend });
  await site.addMailbox('marks', { after: 'seen' });
  await site.addMailbox('moves', { after: 'move', afterFolder: 'Done' });
  // As if both had been listed a moment ago: no comparison of the whole folder makes good what a cursor passes over.
  await sql`
    insert into folder (mailbox_id, path, late_check_at) select id, 'INBOX', now() from mailbox`.execute(
    site.runtime.db,
  );
  for (const user of ['marks', 'moves']) {
    for (let index = 1; index <= 5; index += 1) {
      const body = index === 3 ? 'large line\r\n'.repeat(LIMITS.inlineRawBytes / 12 + 100) : 'Hello.\r\n';
      site.deliver(user, simpleMessage(`${user}-${index}`, body));
    }
  }
  return site;
}

/** Points up to the first of these know nothing of a queue: they are passed once, the others on both. */
const QUEUE_POINTS: ReadonlySet<CrashPoint> = new Set<CrashPoint>([
  'after-commit',
  'after-enqueue',
  'after-claim',
  'after-analysis',
  'before-result-commit',
  'after-result-commit',
]);

async function dieAndRecover(backend: Backend, point: CrashPoint, passage: number): Promise<void> {
  const site = await startSite(backend);
  const daemon = startDaemon(site, {
    PENSTOCK_CRASH_AT: point,
    PENSTOCK_CRASH_AFTER: String(passage),
  });
  await until(
    () => daemon.hasEnded,
    () => `it did not die at ${point}:\n${daemon.output}`,
  );
  expect(await daemon.ended, daemon.output).toEqual({ code: null, signal: 'SIGKILL' });
  const remains = await remainsOf(site);
  if (passage === 1) expect(SIGNS[point](remains), `${point}: ${JSON.stringify(remains)}`).toBe(true);
  expect((await site.touched()).withoutRow).toEqual([]);

  await site.passTime(LIMITS.claimSeconds + 1);
  await Pipe.start(site);
  await site.waitUntilProcessed();
  await expectExactlyOnce(site);
}

describe('T1.1 kill -9, then another process goes on: nothing is lost, nothing comes twice', () => {
  it.each(CRASH_POINTS.map((point) => [`${point}${ALSO[point] ?? ''}`, point] as const))(
    'T1.1 at %s',
    async (_name, point) => {
      await dieAndRecover('postgres', point, 1);
    },
  );

  // At the second passage one mailbox is through, and the other one is struck.
  it.each([...QUEUE_POINTS])('T1.1 at %s, the queue on Redis, at the second passage', async (point) => {
    await dieAndRecover('redis', point, 2);
  });
});
