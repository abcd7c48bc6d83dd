/**
 * The catalogue of everything worth telling. Log lines, metrics and the per-message trace all come from these
 * events, so that they can never tell different stories. Data holds ids, counts and codes; never bodies, never
 * secrets.
 */
import type { ErrorCode } from '../errors.ts';

/**
 * Why a mailbox was listed: a session began, its provider sent a notification, its server told over the session (for
 * Gmail: its history was looked at), the poll interval was over, a person asked.
 */
export type ListedBy = 'start' | 'notification' | 'server' | 'interval' | 'request';

export type Level = 'debug' | 'info' | 'warn' | 'error';

/** Stages of processing, as measured and as named in quarantine. */
export const STAGES = ['load', 'parse', 'classify', 'match', 'thread', 'commit'] as const;
export type Stage = (typeof STAGES)[number];

export interface EventData {
  'daemon.started': {
    version: string;
    roles: string[];
    queue: 'redis' | 'postgres';
    database: 'server' | 'embedded';
  };
  'daemon.stopping': { signal: string };
  'daemon.stopped': { milliseconds: number };

  'mailbox.phase': { mailbox: number; phase: string };
  'mailbox.listed': { mailbox: number; milliseconds: number; added: number; by: ListedBy };
  'mailbox.failed': {
    mailbox: number;
    code: ErrorCode;
    message: string;
    retryInMs: number;
    consecutive: number;
  };
  'mailbox.recovered': { mailbox: number; failures: number };
  'mailbox.blocked': { mailbox: number; code: ErrorCode; message: string };
  'mailbox.progress': {
    mailbox: number;
    done: number;
    total: number;
    perSecond: number;
    secondsLeft: number | null;
  };
  'mailbox.paused': { mailbox: number; reason: string };
  /** Told once when a mailbox has made no progress for a while, and once when it does again. */
  'mailbox.unhealthy': { mailbox: number; status: string; reason: string };
  'mailbox.healthy': { mailbox: number; unhealthySeconds: number };
  'token.renewed': { mailbox: number; lifeSeconds: number };
  /** Told once for each answer. `retryInMs` null: it is not asked for again until the credential changes. */
  'token.failed': {
    mailbox: number;
    code: ErrorCode;
    reason: string;
    message: string;
    attempts: number;
    retryInMs: number | null;
  };
  /** Told when a mailbox begins to use a credential: the first one, or the next when that is refused. */
  'credential.used': { mailbox: number; credential: number };
  /** The mail server lets nobody in with it; a further credential is tried, where there is one. */
  'credential.refused': { mailbox: number; credential: number; code: ErrorCode; message: string };
  'lease.acquired': { mailbox: number; fence: number };
  'lease.lost': { mailbox: number; fence: number };
  /** Told once when a folder of the mailbox is not on the server, and once when it is there again. */
  'folder.missing': { mailbox: number; folder: string };
  'folder.found': { mailbox: number; folder: string };
  'folder.resync': { mailbox: number; folder: string; reason: string };
  'folder.resynced': { mailbox: number; folder: string; matched: number; added: number; gone: number };

  /** There is no address for the providers of these kinds of mailboxes: they are only polled. */
  'subscription.off': { kinds: string[] };
  /** `folder` is empty for a subscription to a whole account. */
  'subscription.changed': { mailbox: number; folder: string; did: 'made' | 'renewed' | 'removed' };
  'subscription.failed': {
    mailbox: number;
    folder: string;
    code: ErrorCode;
    message: string;
    retryInMs: number;
    consecutive: number;
  };
  /** Told once for all notifications that were noted together. `unknown`: not of a subscription of ours. */
  'notification.noted': { kind: 'graph' | 'gmail'; subscriptions: number; unknown: number };
  /** A fetch of notifications came back, with so many; nothing is told of most. */
  'pull.answered': { messages: number };
  'pull.failed': { code: ErrorCode; message: string; retryInMs: number; consecutive: number };

  'batch.stored': {
    mailbox: number;
    stored: number;
    duplicates: number;
    skipped: number;
    oversized: number;
    bytes: number;
    milliseconds: number;
  };
  'message.fetch_failed': {
    mailbox: number;
    key: string;
    code: ErrorCode;
    message: string;
    attempts: number;
    final: boolean;
  };
  'disposition.done': { mailbox: number; what: string; done: number; gone: number };
  'disposition.failed': { mailbox: number; what: string; failed: number; code: ErrorCode; message: string };

  'job.enqueued': { mailbox: number; messages: number };
  'job.swept': { messages: number };
  'message.processed': {
    mailbox: number;
    id: number;
    outcome: string;
    class: string;
    rule: number | null;
    seconds: number;
  };
  'message.retrying': {
    mailbox: number;
    id: number;
    stage: Stage;
    code: ErrorCode;
    message: string;
    attempts: number;
  };
  'message.quarantined': { mailbox: number; id: number; stage: Stage; code: ErrorCode; message: string };
  'outgoing.sent': { mailbox: number; id: number; kind: string; seconds: number; waitedSeconds: number };
  'outgoing.retrying': {
    mailbox: number;
    id: number;
    code: ErrorCode;
    message: string;
    attempts: number;
    retryInSeconds: number;
  };
  'outgoing.failed': { mailbox: number; id: number; code: ErrorCode; message: string };
  /** It may have been sent, and the server cannot be asked: a person must decide. */
  'outgoing.in_doubt': { mailbox: number; id: number; message: string };
  'outgoing.bounced': { mailbox: number; id: number; recipient: string; status: string };
  /** An address that gets so much from us by ourselves is answered no more for now: a loop, most likely. */
  'answer.limited': { mailbox: number; email: number };
  /** Nothing is sent from the mailbox for a while. */
  'sending.paused': { mailbox: number; code: ErrorCode; message: string; seconds: number };
  'sending.resumed': { mailbox: number };
  'stage.timed': { stage: Stage; milliseconds: number; messages: number };
  /** Too expensive too often, so it was switched off. */
  'rule.disabled': { rule: number; overruns: number };
  'rules.loaded': { version: number; rules: number; milliseconds: number };

  /** Outcomes were put into the outbox for destinations. */
  'delivery.queued': { deliveries: number };
  /** `seconds`: from the outcome to its delivery. */
  'delivery.delivered': {
    destination: number;
    id: number;
    type: string;
    attempts: number;
    seconds: number;
  };
  'delivery.failed': {
    destination: number;
    id: number;
    code: ErrorCode;
    message: string;
    attempts: number;
    retryInSeconds: number;
  };
  /** Given up: a person decides. */
  'delivery.dead': { destination: number; id: number; code: ErrorCode; message: string; attempts: number };
  /** Too many failures in a row, or asked to wait: nothing is sent for a while. */
  'destination.left_alone': { destination: number; consecutive: number; seconds: number; code: ErrorCode };
  'destination.recovered': { destination: number };
  /** The receiver wants nothing any more. */
  'destination.disabled': { destination: number; message: string };

  /** `folder`: only this folder was compared. */
  'audit.finished': {
    mailbox: number;
    folder?: string;
    listed: number;
    accounted: number;
    unaccounted: number;
  };
  /** Files of large messages that were never committed. */
  'raw.orphans_removed': { files: number };
  'retention.purged': { emails: number; raw: number; deliveries: number; sent: number };
  'engine.error': { engine: 'database' | 'queue'; message: string };
  'api.answered': {
    method: string;
    route: string;
    status: number;
    milliseconds: number;
    client: string | null;
  };
  'api.failed': { method: string; path: string; code: ErrorCode; message: string };
}

export type EventName = keyof EventData;

/** How each event is logged. */
export const EVENTS: Record<EventName, { level: Level; text: string }> = {
  'daemon.started': { level: 'info', text: 'Penstock started' },
  'daemon.stopping': { level: 'info', text: 'Stopping' },
  'daemon.stopped': { level: 'info', text: 'Stopped' },
  'mailbox.phase': { level: 'debug', text: 'Mailbox phase' },
  'mailbox.listed': { level: 'debug', text: 'Mailbox listed' },
  'mailbox.failed': { level: 'warn', text: 'Mailbox failed, will try again' },
  'mailbox.recovered': { level: 'info', text: 'Mailbox works again' },
  'mailbox.blocked': { level: 'error', text: 'Mailbox needs a person' },
  'mailbox.progress': { level: 'info', text: 'Mailbox sync' },
  'mailbox.paused': { level: 'warn', text: 'Mailbox paused' },
  'mailbox.unhealthy': { level: 'error', text: 'Mailbox makes no progress' },
  'mailbox.healthy': { level: 'info', text: 'Mailbox makes progress again' },
  'token.renewed': { level: 'debug', text: 'Access token renewed' },
  'token.failed': { level: 'error', text: 'No access token' },
  'credential.used': { level: 'debug', text: 'Credential in use' },
  'credential.refused': { level: 'warn', text: 'Mail server refuses a credential' },
  'lease.acquired': { level: 'debug', text: 'Mailbox taken' },
  'lease.lost': {
    level: 'warn',
    text: 'Lease of a mailbox lost; it is taken again, here or by another process',
  },
  'folder.missing': { level: 'error', text: 'Folder is not on the server; the others are read' },
  'folder.found': { level: 'info', text: 'Folder is on the server again' },
  'folder.resync': { level: 'warn', text: 'Cursor lost, listing the whole folder' },
  'folder.resynced': { level: 'info', text: 'Folder listed anew' },
  'subscription.off': { level: 'info', text: 'No address for notifications: mailboxes are polled' },
  'subscription.changed': { level: 'info', text: 'Subscription to new mail' },
  'subscription.failed': {
    level: 'warn',
    text: 'Subscription failed, will try again; the mailbox is polled',
  },
  'notification.noted': { level: 'debug', text: 'Told of new mail' },
  'pull.answered': { level: 'debug', text: 'Notifications fetched' },
  'pull.failed': { level: 'warn', text: 'Notifications could not be fetched; mailboxes are polled' },
  'batch.stored': { level: 'debug', text: 'Batch stored' },
  'message.fetch_failed': { level: 'warn', text: 'Message could not be fetched' },
  'disposition.done': { level: 'debug', text: 'Server brought up to date' },
  'disposition.failed': { level: 'warn', text: 'Server could not be brought up to date' },
  'job.enqueued': { level: 'debug', text: 'Job enqueued' },
  'job.swept': { level: 'info', text: 'Lost jobs enqueued again' },
  'message.processed': { level: 'debug', text: 'Message processed' },
  'message.retrying': { level: 'warn', text: 'Message failed, will try again' },
  'message.quarantined': { level: 'error', text: 'Message quarantined' },
  'outgoing.sent': { level: 'debug', text: 'Mail sent' },
  'outgoing.retrying': { level: 'warn', text: 'Mail could not be sent, will try again' },
  'outgoing.failed': { level: 'error', text: 'Mail could not be sent' },
  'outgoing.in_doubt': { level: 'error', text: 'Mail may have been sent; a person must look' },
  'outgoing.bounced': { level: 'warn', text: 'Mail of ours came back' },
  'answer.limited': { level: 'warn', text: 'Not answered: this address got too many answers' },
  'sending.paused': { level: 'warn', text: 'Sending pauses, will try again' },
  'sending.resumed': { level: 'info', text: 'Sending works again' },
  'stage.timed': { level: 'debug', text: 'Stage' },
  'rule.disabled': { level: 'error', text: 'Rule switched off: its patterns are too expensive' },
  'rules.loaded': { level: 'info', text: 'Rules loaded' },
  'delivery.queued': { level: 'debug', text: 'Outcomes queued for destinations' },
  'delivery.delivered': { level: 'debug', text: 'Outcome delivered' },
  'delivery.failed': { level: 'warn', text: 'Delivery failed, will try again' },
  'delivery.dead': { level: 'error', text: 'Delivery given up' },
  'destination.left_alone': { level: 'warn', text: 'Destination left alone for a while' },
  'destination.recovered': { level: 'info', text: 'Destination works again' },
  'destination.disabled': { level: 'error', text: 'Destination wants no more deliveries, switched off' },
  'audit.finished': { level: 'info', text: 'Audit finished' },
  'raw.orphans_removed': { level: 'info', text: 'Files of messages that were never committed removed' },
  'retention.purged': { level: 'info', text: 'Old records removed' },
  'engine.error': { level: 'error', text: 'Engine error' },
  'api.answered': { level: 'debug', text: 'Request answered' },
  'api.failed': { level: 'error', text: 'Request failed' },
};

type Listener = <N extends EventName>(name: N, data: EventData[N]) => void;

/** Where events go in and listeners hear them. A listener that throws never breaks what it watches. */
export class Events {
  readonly #listeners: Listener[] = [];

  listen(listener: Listener): void {
    this.#listeners.push(listener);
  }

  emit<N extends EventName>(name: N, data: EventData[N]): void {
    for (const listener of this.#listeners) {
      try {
        listener(name, data);
      } catch (error) {
        process.stderr.write(`event listener failed on ${name}: ${String(error)}\n`);
      }
    }
  }
}
