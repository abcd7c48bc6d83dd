/** Hands messages of clients to the intake, and says which record each one led to. */
import { createHash } from 'node:crypto';
import { fail } from '../errors.ts';
import { findPosted, takePosted } from '../intake/post.ts';
import { writeAudit } from '../store/audit-log.ts';
import type { Tx } from '../store/database.ts';
import { type EmailRow, findEmail } from '../store/email-queries.ts';
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
 * is the key. The same key in the same mailbox answers with the record it led to before. `internalDate` is when the
 * provider received it, as an ISO instant.
 */
export async function ingest(
  tx: Tx,
  raw: RawMessages,
  mailbox: Mailbox,
  key: string,
  bytes: Buffer,
  internalDate: string | null = null,
): Promise<Ingested> {
  const { maxMessageBytes } = mailbox.settings;
  if (bytes.length > maxMessageBytes) {
    throw fail(
      'message_oversized',
      `The message has ${bytes.length} bytes; the mailbox takes ${maxMessageBytes}.`,
    );
  }
  const name = key === '' ? `sha256:${createHash('sha256').update(bytes).digest('hex')}` : key;
  const put = await raw.put(bytes);
  const result = await takePosted(tx, mailbox, 'api', [{ key: name, raw: put, internalDate }]);
  const stored = result.stored[0];
  if (stored !== undefined) return { email: (await findEmail(tx, stored.id))!, isNew: true, remark: null };
  const copy = result.duplicates[0];
  const knownId = copy?.of ?? (await findPosted(tx, mailbox.id, 'api', name));
  const email = knownId === null ? null : await findEmail(tx, knownId);
  if (email === null) {
    throw fail('conflict', `Message ${name.slice(0, 100)} was taken before, and its record is gone.`);
  }
  if (copy !== undefined) {
    return { email, isNew: false, remark: `The same message is there as record ${email.id}.` };
  }
  const isSame = email.rawSha256.equals(put.sha256);
  const remark = isSame ? null : `Another message came under this id before; this one was not taken.`;
  return { email, isNew: false, remark };
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
