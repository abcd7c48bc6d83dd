/** What people and programs do with records of incoming mail: delete, assign, try again, hand in. */
import { fail } from '../errors.ts';
import { postedKey } from '../intake/post.ts';
import { writeAudit } from '../store/audit-log.ts';
import type { Database, Tx } from '../store/database.ts';
import { assignEmail, deleteEmails } from '../store/email-changes.ts';
import { type EmailRow, findByMailId, findEmail } from '../store/email-queries.ts';
import { EMAIL_STATUS } from './halo/enums.ts';
import type { EmailItem } from './halo/incoming-email-fields.ts';
import { buildMessage } from './halo/mime-message.ts';
import { decodeBase64 } from './http/base64.ts';
import { invalid } from './http/problem.ts';
import { ingest, mailboxFor, noteArrival } from './ingest.ts';
import { requeue } from './requeue.ts';
import type { ApiContext, QueuedEmail } from './services.ts';

/** Fails with `not_found`, also for a record that was deleted. */
export async function existingEmail(db: Database | Tx, id: number): Promise<EmailRow> {
  const email = await findEmail(db, id);
  if (email === null) throw fail('not_found', `There is no incoming email ${id}.`);
  return email;
}

export interface ChangedEmail {
  email: EmailRow;
  remarks: { _warning: string | null; delete?: true };
}

/** An item with an id: delete, assign, try again (6, POST). */
export async function changeEmail(
  tx: Tx,
  item: EmailItem,
  id: number,
  actor: string,
  queued: QueuedEmail[],
): Promise<ChangedEmail> {
  const email = await existingEmail(tx, id);
  if (item.delete === true) {
    await removeEmail(tx, id, actor);
    return { email, remarks: { _warning: null, delete: true } };
  }
  const assigned = {
    ...(item.addactiontofaultid === undefined ? {} : { ticketId: item.addactiontofaultid || null }),
    ...(item.agentid === undefined ? {} : { agentId: item.agentid }),
  };
  const differs =
    (assigned.ticketId !== undefined && assigned.ticketId !== email.addToTicketId) ||
    (assigned.agentId !== undefined && assigned.agentId !== email.agentId);
  if (differs) {
    await assignEmail(tx, id, assigned);
    await writeAudit(tx, {
      actor,
      action: 'update',
      entity: 'incoming_email',
      entityId: id,
      change: assigned,
    });
  }
  const warning = asksForRetry(item) ? await retry(tx, email, actor, queued) : null;
  return { email: await existingEmail(tx, id), remarks: { _warning: warning } };
}

/** Clients post back what they read: `processed: false` beside a status other than queued asks for nothing. */
function asksForRetry({ status, processed }: EmailItem): boolean {
  if (status === undefined || status === null) return processed === false;
  return EMAIL_STATUS.word(status) === 'queued';
}

async function retry(tx: Tx, email: EmailRow, actor: string, queued: QueuedEmail[]): Promise<string | null> {
  const { id, state } = email;
  if (state === 'processed' || state === 'ignored')
    return `It is ${state} already, and that is not done twice.`;
  if (state === 'processing') return 'It is being processed at this moment.';
  queued.push(...(await releaseEmails(tx, [id], actor)));
  return null;
}

export async function releaseEmails(tx: Tx, ids: number[], actor: string): Promise<QueuedEmail[]> {
  const queued = await requeue(tx, ids, actor);
  for (const { id } of queued) {
    await writeAudit(tx, { actor, action: 'retry', entity: 'incoming_email', entityId: id });
  }
  return queued;
}

export async function removeEmail(tx: Tx, id: number, actor: string): Promise<void> {
  await deleteEmails(tx, [id]);
  await writeAudit(tx, { actor, action: 'delete', entity: 'incoming_email', entityId: id });
}

/** An item without an id hands in a message: its bytes, or what its fields say. */
export async function createEmail(
  context: ApiContext,
  tx: Tx,
  item: EmailItem,
  actor: string,
  queued: QueuedEmail[],
): Promise<ChangedEmail> {
  const mailbox = await mailboxFor(tx, item.mbid ?? 0, 'mbid');
  const key = item.mailid ?? '';
  if (item._checkmailid === true && key !== '') {
    const known = await findByMailId(tx, mailbox.id, postedKey(key));
    if (known !== null) return { email: known, remarks: { _warning: null } };
  }
  const ingested = await ingest(tx, context.services.raw, mailbox, key, bytesOf(item));
  if (ingested.isNew) {
    await noteArrival(tx, ingested, actor);
    queued.push(ingested.email);
  }
  return { email: ingested.email, remarks: { _warning: ingested.remark } };
}

function bytesOf(item: EmailItem): Buffer {
  if (item.data) return decodeBase64(item.data, 'data');
  const { from, to, subject, memo, html } = item;
  if (![from, to, subject, memo, html].some(Boolean)) throw invalid('data', 'or some text must be given');
  const addresses = (text: string | null | undefined) => (text ? [{ address: text }] : []);
  return buildMessage({
    from: addresses(from),
    to: (to ?? '').split(/[;,]/).flatMap(addresses),
    subject: subject ?? null,
    textBody: memo ?? null,
    htmlBody: html ?? null,
    date: item.datecreated ?? null,
  });
}
