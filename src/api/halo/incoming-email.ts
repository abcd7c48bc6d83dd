/** A record of incoming mail as Halo's clients see it. */

import type { SourceKind } from '../../source/source.ts';
import type { EmailDetails, EmailRow, OrderColumn } from '../../store/email-queries.ts';
import type { RequesterRow } from '../../store/requester-queries.ts';
import { EMAIL_SOURCE, EMAIL_STATUS, MAILBOX_TYPE } from './enums.ts';
import { printDate } from './fields.ts';
import type { EmailItem } from './incoming-email-fields.ts';

/** `processed` is true for these (6.1). */
const FINISHED: readonly EmailRow['state'][] = ['processed', 'ignored'];

export interface WholeEmail {
  details: EmailDetails;
  /** Null when it is too large for JSON. */
  raw: Buffer | null;
  /** The body, parsed anew from the raw message; null when it cannot be parsed. */
  text: string | null;
  html: string | null;
  mailbox: object | null;
  requester: RequesterRow | null;
}

/** A record as lists show it, or with everything when `whole` is given. */
export function viewEmail(
  row: EmailRow,
  kind: SourceKind | null,
  whole: WholeEmail | null,
): EmailItem & Record<string, unknown> {
  return {
    id: row.id,
    old_id: null,
    mbid: row.mailboxId,
    agentid: row.agentId,
    addactiontofaultid: row.addToTicketId,
    datecreated: printDate(row.createdAt),
    dateprocessed: printDate(row.processedAt),
    processed: FINISHED.includes(row.state),
    delete: false,
    issalesmb: false,
    from: row.fromText,
    to: row.toText,
    subject: row.subject,
    mailid: row.mailId,
    source: EMAIL_SOURCE.code(row.source),
    status: EMAIL_STATUS.code(row.state),
    removed_from_mailbox: row.removedFromServer,
    retry_remaining: row.retryRemaining,
    last_attempt_date: printDate(row.lastAttemptAt),
    mailbox_type_int: kind === null ? null : MAILBOX_TYPE.code(kind),
    outbound: row.outbound,
    _warning: null,
    penstock: { ...viewExtension(row), ...(whole === null ? {} : { details: viewDetails(whole.details) }) },
    ...(whole === null
      ? {}
      : {
          memo: whole.text,
          html: whole.html,
          data: whole.raw?.toString('base64') ?? null,
          mailbox: whole.mailbox,
          user: whole.requester === null ? null : viewUser(whole.requester),
        }),
  };
}

function viewExtension(row: EmailRow): object {
  return {
    class: row.class,
    rule_id: row.ruleId,
    rules_version: row.rulesVersion,
    ticket_id: row.ticketId,
    outcome: row.outcome,
    from_address: row.fromAddress,
    cc: row.ccText,
    message_id: row.messageId,
    header_date: printDate(row.headerDate),
    received_at: printDate(row.receivedAt),
    size: row.size,
    sha256: row.rawSha256.toString('hex'),
    attempts: row.attempts,
    next_attempt: printDate(row.nextAttemptAt),
    error:
      row.errorCode === null
        ? null
        : {
            code: row.errorCode,
            stage: row.errorStage,
            message: row.errorMessage,
            fingerprint: row.errorFingerprint,
          },
  };
}

function viewDetails(details: EmailDetails): object {
  return {
    parts: details.parts,
    class_evidence: details.classEvidence,
    rule_evidence: details.ruleEvidence,
    extractions: details.extractions,
    thread_evidence: details.threadEvidence,
  };
}

function viewUser(requester: RequesterRow): object {
  return {
    id: requester.id,
    name: requester.name,
    firstname: requester.first_name,
    surname: requester.surname,
    emailaddress: requester.address,
    login: requester.login,
    site_id: requester.site_id,
    client_id: requester.client_id,
    inactive: requester.inactive,
  };
}

/** Fields a list can be ordered by, by Halo's name. */
export const ORDER_FIELDS: ReadonlyMap<string, OrderColumn> = new Map([
  ['id', 'id'],
  ['mbid', 'mailbox_id'],
  ['agentid', 'agent_id'],
  ['datecreated', 'created_at'],
  ['dateprocessed', 'processed_at'],
  ['last_attempt_date', 'last_attempt_at'],
  ['from', 'from_text'],
  ['to', 'to_text'],
  ['subject', 'subject'],
  ['status', 'state'],
  ['source', 'source'],
  ['mailid', 'mail_id'],
  ['retry_remaining', 'retry_remaining'],
]);
