/** What processing must know and note of mail that we sent. */
import { sql } from 'kysely';
import { LIMITS } from '../limits.ts';
import { toStorableText } from '../message/storable.ts';
import type { Tx } from './database.ts';

export interface AutomaticCount {
  hour: number;
  day: number;
}

/** How much each of these addresses got from us by itself, in the last hour and day. */
export async function countAutomatic(
  tx: Tx,
  addresses: readonly string[],
): Promise<Map<string, AutomaticCount>> {
  const { rows } = await sql<AutomaticCount & { address: string }>`
    select automatic_to as address, count(*) as day,
      count(*) filter (where created_at > now() - interval '1 hour') as hour
    from outgoing_email
    where automatic_to = any(${addresses}::text[]) and created_at > now() - interval '1 day'
    group by automatic_to`.execute(tx);
  return new Map(rows.map(({ address, hour, day }) => [address, { hour, day }]));
}

export interface BounceNotice {
  mailboxId: number;
  /** The record of the report. */
  emailId: number;
  /** Message-ID of the mail that came back. */
  messageId: string;
  recipients: { address: string; action: string; status: string; diagnostic: string }[];
}

export interface Bounced {
  id: number;
  recipient: string;
  status: string;
}

/**
 * Notes that mail of ours came back. A report counts only when it names a Message-ID that we gave, in the mailbox that
 * the mail was sent from: anybody can write a report about anything (failures, section 21).
 */
export async function noteBounces(tx: Tx, notices: readonly BounceNotice[]): Promise<Bounced[]> {
  const bounced: Bounced[] = [];
  for (const { mailboxId, emailId, messageId, recipients } of notices) {
    const first = recipients.find(({ action }) => action === 'failed') ?? recipients[0];
    const tidy = (text: string | undefined): string => toStorableText(text ?? '', LIMITS.reasonChars);
    const bounce = {
      incomingEmailId: emailId,
      recipient: tidy(first?.address),
      status: tidy(first?.status),
      diagnostic: tidy(first?.diagnostic),
    };
    const { rows } = await sql<{ id: number }>`
      update outgoing_email set bounce = ${JSON.stringify(bounce)}::jsonb, bounced_at = coalesce(bounced_at, now()),
        change_seq = change_seq + 1
      where (message_id = ${messageId} or sent_message_id = ${messageId}) and mailbox_id = ${mailboxId}
        -- What comes back was sent.
        and (handover_at is not null or state = 'sent')
      returning id`.execute(tx);
    bounced.push(...rows.map(({ id }) => ({ id, recipient: bounce.recipient, status: bounce.status })));
  }
  return bounced;
}
