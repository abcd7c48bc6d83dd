/**
 * 10,000 messages in a mailbox of each kind, from the first listing to the audit. The intake alone: what follows knows
 * nothing of kinds, and has its bench.
 */
import { expect, it, vi } from 'vitest';
import { auditMailbox } from '../../src/intake/audit.ts';
import type { HeldMailbox } from '../../src/intake/context.ts';
import type { Source } from '../../src/source/source.ts';
import type { Database } from '../../src/store/database.ts';
import { ADDRESS, startGmailIntake } from '../support/gmail-intake.ts';
import { startGraphIntake } from '../support/graph-intake.ts';
import { ANN } from '../support/graph-lab.ts';
import { startIntake, startPop3Intake } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';

vi.setConfig({ testTimeout: 300_000 });

const COUNT = 10_000;
const subjects = Array.from({ length: COUNT }, (_, index) => `m${index}`);

async function expectAll(db: Database, { mailbox }: HeldMailbox, source: Source): Promise<void> {
  const audit = await auditMailbox(db, source, mailbox, 0, new AbortController().signal);
  expect(audit).toMatchObject({
    listed: COUNT,
    accounted: COUNT,
    unaccounted: [],
    ledger: { stored: COUNT },
  });
  const { count } = await db
    .selectFrom('incoming_email')
    .select(({ fn }) => fn.count<number>('raw_sha256').distinct().as('count'))
    .executeTakeFirstOrThrow();
  expect(Number(count)).toBe(COUNT);
}

it.each([
  ['imap', startIntake],
  ['pop3', startPop3Intake],
] as const)('10,000 messages: %s', async (_kind, start) => {
  const intake = await start();
  intake.deliver(subjects);
  expect(await intake.pass()).toBe(COUNT);
  expect(await intake.pass()).toBe(0);
  await expectAll(intake.db, intake.held, intake.source());
});

it('10,000 messages: graph', async () => {
  const intake = await startGraphIntake();
  for (const subject of subjects) intake.server.deliver(ANN, simpleMessage(subject));
  expect(await intake.pass()).toBe(COUNT);
  expect(await intake.pass()).toBe(0);
  await expectAll(intake.db, intake.held, intake.lab.mailbox().source());
});

it('10,000 messages: gmail', async () => {
  const { intake, lab, deliver, pass } = await startGmailIntake();
  deliver(subjects);
  expect(await pass()).toBe(COUNT);
  expect(await pass()).toBe(0);
  await expectAll(intake.db, intake.held, lab.source(ADDRESS));
});
