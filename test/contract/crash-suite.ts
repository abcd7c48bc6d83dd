/**
 * kill -9 at each named point of the pipe (failures section 1, T1.1 and T20.1). A daemon kills itself with SIGKILL at a
 * point, the next one begins with what it left and dies at the next point, and at the end everything is there once.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { expect, it } from 'vitest';
import type { CrashPoint } from '../../src/lab/crash-point.ts';
import { LIMITS } from '../../src/limits.ts';
import type { SourceKind } from '../../src/source/source.ts';
import { expectEachOnce } from '../support/each-once.ts';
import { simpleMessage } from '../support/messages.ts';
import { EFFECTS, KINDS, type OauthSite, startOauthSite } from '../support/oauth-site.ts';
import { Pipe, startDaemon } from '../support/pipe.ts';
import { type Backend, until } from '../support/site.ts';

/** What there is, of all rounds so far. */
interface Remains {
  /** Rows of messages that are safe. */
  ledger: number;
  /** Messages without such a row. */
  unknown: number;
  /** Rows whose effect on the server is noted. */
  disposed: number;
  /** Messages that have left the inbox. */
  moved: number;
  /** Files of large messages. */
  files: number;
  claimed: number;
  processed: number;
}

type Sign = (now: Remains, before: Remains) => boolean;

/**
 * How each point shows in what the process leaves that died there. From the last point to the first, so that each round
 * finds the mail of the one before in the ledger.
 */
const INTAKE: readonly [CrashPoint, Sign][] = [
  ['after-disposition-record', (now, before) => now.moved > before.moved && now.disposed > before.disposed],
  ['after-disposition', (now, before) => now.moved > before.moved && now.disposed === before.disposed],
  // Jobs are added while the server is already brought up to date.
  ['after-enqueue', (now, before) => now.ledger > before.ledger],
  ['after-commit', (now, before) => now.ledger > before.ledger],
  ['before-commit', ({ unknown }) => unknown > 0],
  ['after-raw-write', ({ unknown, files }, before) => unknown > 0 && files > before.files],
  ['after-fetch', ({ unknown }) => unknown > 0],
];

const isClaimed: Sign = ({ claimed, processed }, before) => claimed > 0 && processed === before.processed;
const PROCESSING: readonly [CrashPoint, Sign][] = [
  ['after-result-commit', ({ processed }, before) => processed > before.processed],
  ['before-result-commit', isClaimed],
  ['after-analysis', isClaimed],
  ['after-claim', isClaimed],
];

const MESSAGES = 4;
/** Several processes one after the other, each of which may take its time on a busy machine. */
const TEST_MS = 400_000;

/** Messages of a round, the first of which goes to a file. */
function deliverRound(lab: OauthSite, kind: SourceKind, round: string): void {
  for (let index = 1; index <= MESSAGES; index += 1) {
    const body =
      index === 1 ? `${round} in a large line\r\n`.repeat(LIMITS.inlineRawBytes / 24) : 'Hello.\r\n';
    lab.deliver(kind, simpleMessage(`${round}-${index}`, body));
  }
}

async function remainsOf({ site, inInbox }: OauthSite, kinds: readonly SourceKind[]): Promise<Remains> {
  const { rows } = await sql<Omit<Remains, 'moved' | 'files' | 'unknown'>>`
    select (select count(*)::int from ledger where state <> 'pending') as ledger,
      (select count(*)::int from ledger where disposition in ('done', 'gone')) as disposed,
      (select count(*)::int from incoming_email where claimed_until > now()) as claimed,
      (select count(*)::int from incoming_email where state = 'processed') as processed`.execute(
    site.runtime.db,
  );
  const raw = join(site.env.PENSTOCK_DATA!, 'raw');
  const files = existsSync(raw) ? readdirSync(raw, { recursive: true, withFileTypes: true }) : [];
  const inInboxes = kinds.reduce((sum, kind) => sum + inInbox(kind).length, 0);
  return {
    ...rows[0]!,
    unknown: site.delivered.length - rows[0]!.ledger,
    moved: site.delivered.length - inInboxes,
    files: files.filter((entry) => entry.isFile() && !entry.parentPath.endsWith('tmp')).length,
  };
}

/** A message that left its server has a row, at whatever moment the process died. */
async function expectNothingGoneUnrecorded({ site, inInbox }: OauthSite): Promise<void> {
  const bytes = new Set(
    await Promise.all(
      (await site.emails()).map(async (email) => (await site.rawBytes(email)).toString('latin1')),
    ),
  );
  for (const { user, bytes: sent } of site.delivered) {
    const isThere = inInbox(user as SourceKind).some((one) => one.equals(sent));
    expect(isThere || bytes.has(sent.toString('latin1')), `${user} has lost a message`).toBe(true);
  }
}

async function dieAtEach(
  backend: Backend,
  kinds: readonly SourceKind[],
  points: typeof INTAKE,
  passage: number,
): Promise<void> {
  const lab = await startOauthSite(backend);
  const { site } = lab;
  for (const kind of kinds) await lab.addMailbox(kind, EFFECTS[kind]);
  for (const [point, hasSign] of points) {
    const before = await remainsOf(lab, kinds);
    for (const kind of kinds) deliverRound(lab, kind, `${kind}-${point}`);
    const daemon = startDaemon(site, { PENSTOCK_CRASH_AT: point, PENSTOCK_CRASH_AFTER: String(passage) });
    await until(
      () => daemon.hasEnded,
      () => `it did not die at ${point}:\n${daemon.output}`,
    );
    expect(await daemon.ended, daemon.output).toEqual({ code: null, signal: 'SIGKILL' });
    const remains = await remainsOf(lab, kinds);
    if (passage === 1)
      expect(hasSign(remains, before), `${point}: ${JSON.stringify({ before, remains })}`).toBe(true);
    await expectNothingGoneUnrecorded(lab);
    await site.passTime(LIMITS.claimSeconds + 1);
  }
  await Pipe.start(site);
  await site.waitUntilProcessed();
  await expectEachOnce(lab);
}

/**
 * Points before a record is enqueued know nothing of a queue: each kind passes them on one backend. The others know
 * nothing of a kind, and are passed on both.
 */
export function crashContract(backend: Backend, kinds: readonly SourceKind[]): void {
  it.each(kinds)(
    'T1.1 T20.1 kill -9 at each point of the intake: %s',
    async (kind) => {
      await dieAtEach(backend, [kind], INTAKE, 1);
    },
    TEST_MS,
  );

  it(
    'T1.1 kill -9 at each point of the processing, mail of all kinds',
    async () => {
      await dieAtEach(backend, KINDS, PROCESSING, backend === 'redis' ? 2 : 1);
    },
    TEST_MS,
  );
}
