/** What the intake needs from the rest of the daemon. */
import type { Events } from '../observe/events.ts';
import type { RawStore } from '../raw/raw-store.ts';
import type { SourceKind } from '../source/source.ts';
import type { Database } from '../store/database.ts';
import type { StoredEmail } from '../store/intake.ts';
import type { Mailbox } from '../store/mailboxes.ts';

export interface IntakeContext {
  db: Database;
  raw: RawStore;
  events: Events;
  /** Enqueues committed records. Never fails: what is not enqueued is swept up later. */
  enqueue(kind: SourceKind, mailboxId: number, emails: StoredEmail[]): Promise<void>;
  /** Why intake must pause now, or null. */
  pressure(): Promise<string | null>;
  /** Waits between two attempts until the time is over or `signal` ends it; a timer when left out. */
  rest?(ms: number, signal: AbortSignal): Promise<void>;
}

/** A mailbox in the hands of this process. Every write carries the token. */
export interface HeldMailbox {
  mailbox: Mailbox;
  leaseToken: number;
}
