/**
 * Is Penstock doing its work? Decided from facts alone, so that every case is a line in a table test. Progress is
 * health: a mailbox is well because its last complete listing is recent, never because no error was seen. A poller
 * that hangs, or is not running at all, produces no errors.
 */
import { ERROR_KINDS, hintFor } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { DestinationStanding } from '../store/deliveries.ts';
import type { WatchedMailbox } from '../store/watch.ts';

/** An engine answered, or why it did not. */
export type Reached = { ok: true } | { ok: false; error: string };

export interface HealthFacts {
  database: Reached;
  queue: Reached;
  /** Free bytes where the data directory is; null when that could not be read. */
  diskFreeBytes: number | null;
  /** Records that wait for processing; null when the database did not answer. */
  backlog: { waiting: number; oldestSeconds: number } | null;
  mailboxes: WatchedMailbox[];
  destinations: DestinationStanding[];
  /** From the configuration: poll intervals without a complete listing until a mailbox is stale. */
  staleIntervals: number;
}

/** A folder that is missing for a moment, while the server is being changed, is no reason to call anybody. */
const PASSES_UNTIL_MISSING = 3;
const FOLDERS_SHOWN = 5;

export type MailboxStatus = 'ok' | 'syncing' | 'off' | 'stale' | 'blocked';

export interface MailboxHealth {
  id: number;
  status: MailboxStatus;
  healthy: boolean;
  /** For a person: what was seen and, when that is known, what to do. Never text from a mail server. */
  reason: string;
}

export interface HealthReason {
  check: 'database' | 'queue' | 'disk' | 'backlog' | 'mailboxes' | 'destinations';
  /** True when it makes the process not ready. The others are reported only. */
  blocks: boolean;
  text: string;
}

export interface Health {
  /** This process can do its work. A sick mailbox does not change that: no restart would cure it. */
  ready: boolean;
  status: 'ok' | 'degraded' | 'failing';
  reasons: HealthReason[];
  mailboxes: MailboxHealth[];
}

/** Judges facts at the time `now`, which is the database's where there is one. */
export function judgeHealth(facts: HealthFacts, now: Date): Health {
  const mailboxes = facts.mailboxes.map((mailbox) => judgeMailbox(mailbox, facts.staleIntervals, now));
  const reasons = [
    ...judgeEngines(facts),
    ...judgeDisk(facts),
    ...judgeBacklog(facts),
    ...sum(mailboxes),
    ...facts.destinations.flatMap(judgeDestination),
  ];
  const ready = !reasons.some((reason) => reason.blocks);
  const status = reasons.length === 0 ? 'ok' : ready ? 'degraded' : 'failing';
  return { ready, status, reasons, mailboxes };
}

function judgeEngines(facts: HealthFacts): HealthReason[] {
  const reasons: HealthReason[] = [];
  if (!facts.database.ok) {
    const hint = ERROR_KINDS.database_unavailable.hint;
    reasons.push({
      check: 'database',
      blocks: true,
      text: `PostgreSQL does not answer (${facts.database.error}). ${hint}`,
    });
  }
  if (!facts.queue.ok) {
    const hint = ERROR_KINDS.queue_unavailable.hint;
    reasons.push({
      check: 'queue',
      blocks: true,
      text: `The queue does not answer (${facts.queue.error}). ${hint}`,
    });
  }
  return reasons;
}

function judgeDisk({ diskFreeBytes: free }: HealthFacts): HealthReason[] {
  if (free === null) {
    return [{ check: 'disk', blocks: true, text: 'The free space of the data directory cannot be read.' }];
  }
  if (free >= LIMITS.diskFreeBytes) return [];
  const text = `${megabytes(free)} are free and ${megabytes(LIMITS.diskFreeBytes)} are needed. ${ERROR_KINDS.disk_low.hint}`;
  return [{ check: 'disk', blocks: true, text }];
}

function judgeBacklog({ backlog }: HealthFacts): HealthReason[] {
  if (backlog === null || backlog.oldestSeconds <= LIMITS.unprocessedSeconds) return [];
  const text = `${backlog.waiting} messages wait for processing, the oldest for ${duration(backlog.oldestSeconds)}.`;
  return [{ check: 'backlog', blocks: false, text }];
}

/** What a person must know about a destination. One that a person paused is silent, as they asked for. */
function judgeDestination(destination: DestinationStanding): HealthReason[] {
  const { id, enabled, disabledReason, pending, dead, oldestSeconds, lastErrorCode } = destination;
  const reason = (text: string): HealthReason[] => [
    { check: 'destinations', blocks: false, text: `Destination ${id}: ${text}` },
  ];
  if (!enabled && disabledReason !== null)
    return reason(
      `it was switched off, and ${pending} deliveries wait. ${hintFor('destination_gone') ?? ''}`,
    );
  if (dead > 0)
    return reason(
      `${dead} deliveries were given up. \`penstock destination deliveries ${id} --state dead\` shows why.`,
    );
  if (!enabled || oldestSeconds <= LIMITS.undeliveredSeconds) return [];
  const error =
    lastErrorCode === null ? '' : ` Last error: ${lastErrorCode}. ${hintFor(lastErrorCode) ?? ''}`;
  return reason(`${pending} deliveries wait, the oldest for ${duration(oldestSeconds)}.${error}`);
}

function sum(mailboxes: MailboxHealth[]): HealthReason[] {
  const sick = mailboxes.filter((mailbox) => !mailbox.healthy);
  if (sick.length === 0) return [];
  const watched = mailboxes.filter((mailbox) => mailbox.status !== 'off').length;
  const text = `${sick.length} of ${watched} mailboxes make no progress.`;
  return [{ check: 'mailboxes', blocks: false, text }];
}

/** How long a mailbox may go without a complete listing, in seconds. */
export function staleAfterSeconds(pollSeconds: number, staleIntervals: number): number {
  return Math.max(LIMITS.staleSecondsLeast, pollSeconds * staleIntervals);
}

/** Judges one mailbox. The order of the questions matters: what a person must do comes first. */
export function judgeMailbox(mailbox: WatchedMailbox, staleIntervals: number, now: Date): MailboxHealth {
  const answer = (status: MailboxStatus, reason: string): MailboxHealth => ({
    id: mailbox.id,
    status,
    healthy: status !== 'stale' && status !== 'blocked',
    reason,
  });
  if (!mailbox.enabled) return answer('off', 'It is switched off.');
  if (isBlocked(mailbox)) return answer('blocked', blockedReason(mailbox));

  const allowed = staleAfterSeconds(mailbox.pollSeconds, staleIntervals);
  const since = mailbox.lastListedAt ?? mailbox.createdAt;
  const age = secondsBetween(since, now);
  if (age <= allowed) {
    return mailbox.lastListedAt === null
      ? answer('ok', 'It is new and was not listed yet.')
      : answer('ok', `Last listed completely ${duration(age)} ago.`);
  }
  if (isAdvancing(mailbox, allowed, now)) {
    return answer('syncing', `A long sync is at ${mailbox.syncDone} of ${mailbox.syncTotal} messages.`);
  }
  return answer('stale', staleReason(mailbox, age, allowed));
}

/** A first sync of a large folder takes longer than any interval. It is fine as long as it stores messages. */
function isAdvancing(mailbox: WatchedMailbox, allowed: number, now: Date): boolean {
  if (mailbox.syncProgressAt === null || mailbox.syncDone >= mailbox.syncTotal) return false;
  return secondsBetween(mailbox.syncProgressAt, now) <= Math.max(allowed, LIMITS.syncProgressSeconds);
}

function staleReason(mailbox: WatchedMailbox, age: number, allowed: number): string {
  const listed =
    mailbox.lastListedAt === null
      ? `It was never listed completely since it was added ${duration(age)} ago`
      : `Its last complete listing was ${duration(age)} ago`;
  const error =
    mailbox.lastErrorCode === null
      ? 'No error was seen: its poller hangs or does not run.'
      : `Last error: ${mailbox.lastErrorCode}. ${hintFor(mailbox.lastErrorCode) ?? ''}`;
  return `${listed}; ${duration(allowed)} are allowed. It is ${mailbox.phase}. ${error}`;
}

function isBlocked({ phase, consecutiveErrors }: WatchedMailbox): boolean {
  if (phase === 'folder_missing') return consecutiveErrors >= PASSES_UNTIL_MISSING;
  return phase === 'auth_blocked' || phase === 'blocked';
}

function blockedReason(mailbox: WatchedMailbox): string {
  const code = mailbox.lastErrorCode ?? 'auth_failed';
  const folders = code === 'folder_missing' ? ` (${foldersText(mailbox.missingFolders)})` : '';
  const others = mailbox.phase === 'folder_missing' ? ' Its other folders are read.' : '';
  return `It waits for a person: ${code}${folders}. ${hintFor(code) ?? ''}${others} \`penstock mailbox test ${mailbox.id}\` shows the step that fails.`;
}

function foldersText(folders: readonly string[]): string {
  const shown = folders.slice(0, FOLDERS_SHOWN).map((folder) => `"${folder}"`);
  if (folders.length > shown.length) shown.push(`${folders.length - shown.length} more`);
  return shown.join(', ');
}

/** Health as it is answered: with thousands of mailboxes it stays small, and those that matter are in it. */
export function healthAnswer(health: Health): Health {
  const mailboxes = health.mailboxes
    .toSorted((a, b) => Number(a.healthy) - Number(b.healthy) || a.id - b.id)
    .slice(0, LIMITS.healthMailboxes);
  return { ...health, mailboxes };
}

/** Is this process alive? `lagMs`: how late its event loop was at worst since the last question. */
export function judgeLiveness(lagMs: number): { live: boolean; reason: string } {
  return lagMs < LIMITS.eventLoopLagMs
    ? { live: true, reason: 'The event loop runs.' }
    : { live: false, reason: `The event loop was blocked for ${duration(lagMs / 1000)}.` };
}

function secondsBetween(from: Date, to: Date): number {
  return Math.max(0, (to.getTime() - from.getTime()) / 1000);
}

/** A span of time as people say it: `45 s`, `12 min`, `3 h`, `5 d`. */
export function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

function megabytes(bytes: number): string {
  return `${Math.floor(bytes / (1024 * 1024))} MiB`;
}
