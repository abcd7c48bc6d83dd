/**
 * Intake of messages that are handed to us, by the API or by an import, instead of fetched. The same commit, so
 * the same promise: when this returns, bytes and rows are durable.
 */
import { createHash } from 'node:crypto';
import { LIMITS } from '../limits.ts';
import { isStorableText } from '../message/storable.ts';
import type { Database, Tx } from '../store/database.ts';
import { ensureFolder } from '../store/folders.ts';
import { commitIntake, type IntakeResult, type RawBytes } from '../store/intake.ts';
import type { Mailbox } from '../store/mailboxes.ts';

export interface PostedMessage {
  /** Names the message for ever within its mailbox and way in: the same key again adds nothing. */
  key: string;
  raw: RawBytes;
  internalDate: string | null;
}

/** Names of the folders that stand for these ways in. No server has a folder with such a name. */
const FOLDERS = { api: '(api)', import: '(import)' } as const;

/** The key as it is stored: as given, or its digest when the database could not take it or index it. */
export function postedKey(key: string): string {
  if (isStorableText(key) && Buffer.byteLength(key) <= LIMITS.postedKeyBytes) return key;
  return `key-sha256:${createHash('sha256').update(key, 'utf16le').digest('hex')}`;
}

/**
 * Takes messages in a commit of its own, or as part of the caller's transaction when it is given one. Of several
 * with one key the first counts; the others are known by then.
 */
export async function takePosted(
  db: Database | Tx,
  mailbox: Mailbox,
  way: keyof typeof FOLDERS,
  messages: PostedMessage[],
): Promise<IntakeResult> {
  const folder = await ensureFolder(db, mailbox.id, FOLDERS[way]);
  const byKey = new Map<string, PostedMessage>();
  const repeated: string[] = [];
  for (const message of messages) {
    const key = postedKey(message.key);
    if (byKey.has(key)) repeated.push(key);
    else byKey.set(key, message);
  }
  const result = await commitIntake(db, {
    mailboxId: mailbox.id,
    leaseToken: null,
    folder,
    epoch: '',
    source: way,
    dropCopies: mailbox.settings.dedup === 'content',
    dispose: false,
    cursor: null,
    items: [...byKey].map(([key, { raw, internalDate }]) => ({
      key,
      size: raw.size,
      internalDate,
      result: { state: 'stored', raw },
    })),
  });
  return { ...result, known: [...result.known, ...repeated] };
}

/** The record that a key led to before, or null. */
export async function findPosted(
  db: Database | Tx,
  mailboxId: number,
  way: keyof typeof FOLDERS,
  key: string,
): Promise<number | null> {
  const row = await db
    .selectFrom('ledger')
    .innerJoin('folder', 'folder.id', 'ledger.folder_id')
    .select('ledger.incoming_email_id as id')
    .where('folder.mailbox_id', '=', mailboxId)
    .where('folder.path', '=', FOLDERS[way])
    .where('ledger.epoch', '=', '')
    .where('ledger.key', '=', postedKey(key))
    .executeTakeFirst();
  return row?.id ?? null;
}
