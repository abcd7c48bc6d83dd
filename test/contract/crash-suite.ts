/**
 * kill -9 at each named point of the pipe (failures section 1, T1.1 and T20.1). A daemon kills itself with SIGKILL at a
 * point, the next one begins with what it left and dies at the next point, and at the end everything is there once.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { CRASH_POINTS, type CrashPoint } from '../../src/lab/crash-point.ts';
import { LIMITS } from '../../src/limits.ts';
import type { SourceKind } from '../../src/source/source.ts';
import { expectEachOnce } from '../support/each-once.ts';
import { simpleMessage } from '../support/messages.ts';
import { EFFECTS, KINDS, type OauthSite, startOauthSite } from '../support/oauth-site.ts';
import { Pipe, startDaemon } from '../support/pipe.ts';
import { type Backend, until } from '../support/site.ts';

/** What there is, of all rounds so far. */
interface Remains {
  /** Ledger rows, with those of messages that are yet to be fetched: after a crash they are taken one at a time. */
  rows: number;
  /** Messages that are not safe here. */
  unsafe: number;
  /** Rows whose effect on the server is noted. */
  disposed: number;
  /** Messages that have left the inbox. */
  moved: number;
  /** Files of large messages. */
  files: number;
  /** Files of many small ones. */
  packs: number;
  claimed: number;
  processed: number;
}

type Sign = (now: Remains, before: Remains) => boolean;

/**
 * How each point shows in what the process leaves that died there. First the one between bytes and rows, because only the
 * first process takes mail in batches, so that it has a pack; the next ones begin carefully. Then from the last point to
 * the first, so that each round finds the mail of the one before in the ledger.
 */
const INTAKE: readonly [CrashPoint, Sign][] = [
  ['before-commit', ({ unsafe, packs }, before) => unsafe > 0 && packs > before.packs],
  ['after-disposition-record', (now, before) => now.moved > before.moved && now.disposed > before.disposed],
  ['after-disposition', (now, before) => now.moved > before.moved && now.disposed === before.disposed],
  // Jobs are added while the server is already brought up to date.
  ['after-enqueue', (now, before) => now.rows > before.rows],
  ['after-commit', (now, before) => now.rows > before.rows],
  ['after-raw-write', ({ unsafe, files }, before) => unsafe > 0 && files > before.files],
  ['after-fetch', ({ unsafe }) => unsafe > 0],
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

/** Messages of a round: the first goes to a file, the others to a pack when they are taken together. */
function deliverRound(lab: OauthSite, kind: SourceKind, round: string): void {
  for (let index = 1; index <= MESSAGES; index += 1) {
    const lines = LIMITS.inlineRawBytes / (index === 1 ? 24 : 24 * (MESSAGES - 1));
    const body = `${round} in a large line\r\n`.repeat(lines);
    lab.deliver(kind, simpleMessage(`${round}-${index}`, body));
  }
}

async function remainsOf({ site, inInbox }: OauthSite, kinds: readonly SourceKind[]): Promise<Remains> {
  const { rows } = await sql<Omit<Remains, 'moved' | 'files' | 'packs' | 'unsafe'> & { safe: number }>`
    select (select count(*)::int from ledger) as rows,
      (select count(*)::int from ledger where state <> 'pending') as safe,
      (select count(*)::int from ledger where disposition in ('done', 'gone')) as disposed,
      (select count(*)::int from incoming_email where claimed_until > now()) as claimed,
      (select count(*)::int from incoming_email where state = 'processed') as processed`.execute(
    site.runtime.db,
  );
  const raw = join(site.env.PENSTOCK_DATA!, 'raw');
  const files = existsSync(raw) ? readdirSync(raw, { recursive: true }) : [];
  const count = (form: RegExp): number => files.filter((name) => form.test(String(name))).length;
  const inInboxes = kinds.reduce((sum, kind) => sum + inInbox(kind).length, 0);
  return {
    ...rows[0]!,
    unsafe: site.delivered.length - rows[0]!.safe,
    moved: site.delivered.length - inInboxes,
    files: count(/^[0-9a-f]{2}.[0-9a-f]{64}$/),
    packs: count(/^packs.[0-9a-f]{2}.[-0-9a-f]{36}$/),
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
  roles: string,
): Promise<void> {
  const lab = await startOauthSite(backend);
  const { site } = lab;
  for (const kind of kinds) await lab.addMailbox(kind, EFFECTS[kind]);
  for (const [point, hasSign] of points) {
    const before = await remainsOf(lab, kinds);
    for (const kind of kinds) deliverRound(lab, kind, `${kind}-${point}`);
    const daemon = startDaemon(site, {
      PENSTOCK_CRASH_AT: point,
      PENSTOCK_CRASH_AFTER: String(passage),
      PENSTOCK_ROLES: roles,
    });
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
    // What was in hand at three deaths would be set aside (T3.2). Here no message is at fault.
    await sql`update incoming_email set attempts = least(attempts, 1)`.execute(site.runtime.db);
  }
  await Pipe.start(site);
  await site.waitUntilProcessed();
  await expectEachOnce(lab);
}

/** Every kind of mailbox passes every point, on this queue. */
export function crashContract(backend: Backend): void {
  it('T1.1 every point that has a name is one of these', () => {
    const points = [...INTAKE, ...PROCESSING].map(([point]) => point);
    expect(points.sort()).toEqual([...CRASH_POINTS].sort());
  });

  it.each(KINDS)(
    'T1.1 T20.1 kill -9 at each point of the intake: %s',
    async (kind) => {
      // A record with which processes die again and again is set aside: none works on them here before the end.
      await dieAtEach(backend, [kind], INTAKE, 1, 'poller');
    },
    TEST_MS,
  );

  it(
    'T1.1 kill -9 at each point of the processing, mail of all kinds',
    async () => {
      await dieAtEach(backend, KINDS, PROCESSING, backend === 'redis' ? 2 : 1, 'poller,worker');
    },
    TEST_MS,
  );
}
