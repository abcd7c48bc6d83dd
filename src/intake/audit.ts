/**
 * The proof: lists every folder of a mailbox on its server and compares with the ledger. Touches nothing on
 * either side.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { PenstockError } from '../errors.ts';
import type { FolderView, Session, Source } from '../source/source.ts';
import type { Database } from '../store/database.ts';
import { knownKeys, ledgerCounts } from '../store/ledger.ts';
import type { Mailbox } from '../store/mailboxes.ts';
import { compareFolder } from './compare.ts';

/** How long a mailbox that is in use is left alone before the next attempt. */
const IN_USE_MS = 500;

export interface AuditResult {
  mailbox: number;
  /** Messages on the server now. */
  listed: number;
  /** Of these, how many have a ledger row. */
  accounted: number;
  unaccounted: { folder: string; epoch: string; key: string }[];
  /** Ledger rows by state, of messages that left the server too. */
  ledger: Record<string, number>;
}

/**
 * Audits one mailbox. A message that came a moment ago may be on its way: what is missing is looked up again
 * until `settleMs` have passed.
 */
export async function auditMailbox(
  db: Database,
  source: Source,
  mailbox: Mailbox,
  settleMs: number,
  signal: AbortSignal,
): Promise<AuditResult> {
  const session = await connectWhenFree(source, signal);
  try {
    let listed = 0;
    const unaccounted: AuditResult['unaccounted'] = [];
    for (const path of mailbox.settings.folders) {
      const view = await session.open(path);
      const found = await compareFolder(db, session, await folderId(db, mailbox.id, view.path), view.epoch);
      listed += found.listed;
      const missing = await settle(db, mailbox.id, view, found.missing, settleMs);
      // What left the server meanwhile can no longer be taken by anybody.
      const still = missing.length === 0 ? new Set<string>() : await session.existing(missing);
      unaccounted.push(
        ...missing
          .filter((key) => still.has(key))
          .map((key) => ({ folder: view.path, epoch: view.epoch, key })),
      );
    }
    const ledger = await ledgerCounts(db, mailbox.id);
    return { mailbox: mailbox.id, listed, accounted: listed - unaccounted.length, unaccounted, ledger };
  } finally {
    await session.close();
  }
}

/** Where one session at a time is allowed, the poller has the mailbox now and then. */
async function connectWhenFree(source: Source, signal: AbortSignal): Promise<Session> {
  for (;;) {
    try {
      return await source.connect(signal);
    } catch (error) {
      if (!(error instanceof PenstockError) || error.code !== 'mailbox_in_use' || signal.aborted) throw error;
      await sleep(IN_USE_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}

async function settle(
  db: Database,
  mailboxId: number,
  view: FolderView,
  keys: string[],
  settleMs: number,
): Promise<string[]> {
  const deadline = performance.now() + settleMs;
  let missing = keys;
  while (missing.length > 0 && performance.now() < deadline) {
    await sleep(200);
    // Looked up again each time: the folder itself may be new.
    const known = await knownKeys(db, await folderId(db, mailboxId, view.path), view.epoch, missing);
    missing = missing.filter((key) => !known.has(key));
  }
  return missing;
}

/** 0, which no folder has, when it was never read. */
async function folderId(db: Database, mailboxId: number, path: string): Promise<number> {
  const row = await db
    .selectFrom('folder')
    .select('id')
    .where('mailbox_id', '=', mailboxId)
    .where('path', '=', path)
    .executeTakeFirst();
  return row?.id ?? 0;
}
