/** The named states of rows. Every message is in exactly one of them at any time. */

/** What became of a source key. `pending` is the only one that is not an end. */
export const LEDGER_STATES = [
  'pending',
  'stored',
  'duplicate',
  'oversized',
  'skipped',
  'gone',
  'fetch_failed',
] as const;
export type LedgerState = (typeof LEDGER_STATES)[number];

/** `processing` is shown, not stored: a record that waits and is claimed. See store/emails.ts. */
export const EMAIL_STATES = [
  'queued',
  'processing',
  'processed',
  'ignored',
  'retrying',
  'quarantined',
  'waiting',
  'parked',
] as const;
export type EmailState = (typeof EMAIL_STATES)[number];

/**
 * What a poller is doing. A person must act when it is `auth_blocked` (the login is refused), `blocked` (another error
 * that does not go away by itself) or `folder_missing` (it waits, and reads all folders but those that are missing).
 */
export type MailboxPhase =
  | 'idle'
  | 'connecting'
  | 'listing'
  | 'waiting'
  | 'backing_off'
  | 'auth_blocked'
  | 'blocked'
  | 'folder_missing'
  | 'paused';

/** A lost cursor being repaired. While it is set the folder's cursor is that of the repair, so a crash resumes. */
export interface ResyncState {
  /** Epochs that the folder had when the repair began; more than one when it was lost again meanwhile. */
  oldEpochs: string[];
  reason: string;
}

/** Where a mail of ours is on its way out. `in_doubt`: it may have been sent; a person decides. */
export const OUTGOING_STATES = ['queued', 'sending', 'retrying', 'sent', 'failed', 'in_doubt'] as const;
export type OutgoingState = (typeof OUTGOING_STATES)[number];

/** Why a mail is sent: somebody asked for it, or one of the answers that we give by ourselves. */
export type OutgoingKind = 'stored' | 'acknowledgement' | 'answer' | 'welcome';
/** `dead`: given up, a person decides. `dropped`: nobody wants it any more. */
export const DELIVERY_STATES = ['pending', 'delivered', 'dead', 'dropped'] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];
