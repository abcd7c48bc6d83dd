/** Hands messages of clients to the intake, and says which record each one led to. */
import { createHash } from 'node:crypto';
import { fail } from '../errors.ts';
import { takePosted } from '../intake/post.ts';
import { writeAudit } from '../store/audit-log.ts';
import type { Tx } from '../store/database.ts';
import { type EmailRow, findByMailId, findEmail } from '../store/email-queries.ts';
import { findMailbox, type Mailbox } from '../store/mailboxes.ts';
import { invalid } from './http/problem.ts';
import type { RawMessages } from './services.ts';

export interface Ingested {
  email: EmailRow;
  /** False when the message was known; nothing was added then. */
  isNew: boolean;
  /** Why it was known. */
  remark: string | null;
}

/**
 * Records one message as part of the caller's transaction. `key` is its id at the provider; without one the content
 * is the key. The same key in the same mailbox answers with the record it led to before.
 */
export async function ingest(
  tx: Tx,
  raw: RawMessages,
  mailbox: Mailbox,
  key: string,
  bytes: Buffer,
): Promise<Ingested> {
  const { maxMessageBytes } = mailbox.settings;
  if (bytes.length > maxMessageBytes) {
    throw fail(
      'message_oversized',
      `The message has ${bytes.length} bytes; the mailbox takes ${maxMessageBytes}.`,
    );
  }
  const name = key === '' ? `sha256:${createHash('sha256').update(bytes).digest('hex')}` : key;
  const result = await takePosted(tx, mailbox, 'api', [
    { key: name, raw: await raw.put(bytes), internalDate: null },
  ]);
  const stored = result.stored[0];
  if (stored !== undefined) return { email: (await findEmail(tx, stored.id))!, isNew: true, remark: null };
  const copy = result.duplicates[0];
  const known = copy === undefined ? await findByMailId(tx, mailbox.id, name) : await findEmail(tx, copy.of);
  if (known === null) throw fail('conflict', `The record of message ${name.slice(0, 100)} was deleted.`);
  const remark = copy === undefined ? null : `The same message is there as record ${known.id}.`;
  return { email: known, isNew: false, remark };
}

/** The mailbox a message is handed in for. */
export async function mailboxFor(tx: Tx, id: number, field: string): Promise<Mailbox> {
  if (id <= 0) throw invalid(field, 'is missing');
  const mailbox = await findMailbox(tx, id);
  if (mailbox === null) throw invalid(field, `is ${id}, and there is no such mailbox`);
  return mailbox;
}

export async function noteArrival(tx: Tx, { email }: Ingested, actor: string): Promise<void> {
  await writeAudit(tx, {
    actor,
    action: 'create',
    entity: 'incoming_email',
    entityId: email.id,
    change: { mailbox: email.mailboxId, mailid: email.mailId, sha256: email.rawSha256.toString('hex') },
  });
}
