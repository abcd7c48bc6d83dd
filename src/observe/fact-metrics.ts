/** Metrics that say how things are: set anew from the facts of the database each time somebody asks. */
import { Gauge, type Registry } from 'prom-client';
import { HELD_UP } from '../store/watch.ts';
import type { Facts } from './facts.ts';
import { judgeHealth } from './health.ts';

/**
 * Registers the gauges and returns what sets them. A mailbox that is gone, or a database that does not answer,
 * leaves no old values behind: a wrong number is worse than none.
 */
export function createFactGauges(registry: Registry): (facts: Facts) => void {
  const gauge = <L extends string>(name: string, help: string, labelNames: L[] = []) =>
    new Gauge({ name: `penstock_${name}`, help, labelNames, registers: [registry] });

  const info = gauge('mailbox_info', 'Always 1; the labels name the mailbox.', ['mailbox', 'name', 'kind']);
  const healthy = gauge('mailbox_healthy', '1 when the mailbox makes progress, else 0.', ['mailbox']);
  const blocked = gauge('mailbox_blocked', '1 when the mailbox waits for a person, else 0.', ['mailbox']);
  const phase = gauge('mailbox_phase', '1 for what the poller of the mailbox is doing.', [
    'mailbox',
    'phase',
  ]);
  const listedAt = gauge(
    'mailbox_last_listed_timestamp_seconds',
    'When a listing of every folder last ended.',
    ['mailbox'],
  );
  const lag = gauge(
    'mailbox_lag_seconds',
    'Time since a listing of every folder ended; since the mailbox was added when there was none.',
    ['mailbox'],
  );
  const interval = gauge('mailbox_poll_interval_seconds', 'How often the mailbox is polled.', ['mailbox']);
  const consecutive = gauge('mailbox_consecutive_errors', 'Failed attempts since the last good one.', [
    'mailbox',
  ]);
  const syncDone = gauge('mailbox_sync_done_messages', 'Messages that the running sync has taken.', [
    'mailbox',
  ]);
  const syncAll = gauge(
    'mailbox_sync_found_messages',
    'Messages that the running sync found on the server.',
    ['mailbox'],
  );
  const heldUp = Object.fromEntries(
    HELD_UP.map((why) => [why, gauge(`${HELD_UP_NAMES[why]}_messages`, HELD_UP_HELP[why], ['mailbox'])]),
  );
  const subscribedUntil = gauge(
    'subscription_expiry_timestamp_seconds',
    'When the first subscription of the mailbox to notifications ends.',
    ['mailbox'],
  );
  const notifiedAt = gauge(
    'subscription_last_notification_timestamp_seconds',
    'When the provider last told of mail in the mailbox.',
    ['mailbox'],
  );
  const unsubscribed = gauge(
    'subscription_consecutive_errors',
    'Failed attempts to make or renew a subscription of the mailbox since the last good one.',
    ['mailbox'],
  );
  const bySubscription = [subscribedUntil, notifiedAt, unsubscribed];
  const credentialEnds = gauge(
    'mailbox_credential_ends_timestamp_seconds',
    'When the client secret, certificate or sign-in of the mailbox ends, as far as that is known.',
    ['mailbox'],
  );
  const outgoing = gauge('outgoing_waiting_messages', 'Mails of the mailbox that wait to be sent.', [
    'mailbox',
  ]);
  const overdue = gauge(
    'outgoing_overdue_seconds',
    'For how long a mail of the mailbox could have been sent and was not.',
    ['mailbox'],
  );
  const inDoubt = gauge(
    'outgoing_in_doubt_messages',
    'Mails that may have been sent, and that a person must look at.',
    ['mailbox'],
  );
  const paused = gauge(
    'sending_consecutive_errors',
    'Failed attempts to send anything from the mailbox since the last good one.',
    ['mailbox'],
  );
  const failing = gauge(
    'mailbox_failing_credentials',
    'Credentials of the mailbox that came to nothing when they were last tried: no token, or not let in.',
    ['mailbox'],
  );
  const byMailbox = [
    outgoing,
    overdue,
    inDoubt,
    paused,
    credentialEnds,
    failing,
    info,
    healthy,
    blocked,
    phase,
    listedAt,
    lag,
    interval,
    consecutive,
    syncDone,
    syncAll,
  ];
  const destinationInfo = gauge('destination_info', 'Always 1; the labels name the destination.', [
    'destination',
    'name',
    'kind',
  ]);
  const destinationEnabled = gauge(
    'destination_enabled',
    '1 when outcomes are sent there, 0 when it is paused.',
    ['destination'],
  );
  const destinationOff = gauge(
    'destination_switched_off',
    '1 when Penstock switched it off because its receiver wants nothing any more, else 0.',
    ['destination'],
  );
  const destinationOpen = gauge(
    'destination_left_alone',
    '1 while nothing is sent there after failures, else 0.',
    ['destination'],
  );
  const pending = gauge('destination_pending_deliveries', 'Deliveries that wait.', ['destination']);
  const dead = gauge('destination_dead_deliveries', 'Deliveries that were given up.', ['destination']);
  const oldestDelivery = gauge('destination_oldest_seconds', 'Age of the delivery that has waited longest.', [
    'destination',
  ]);
  const byDestination = [
    destinationInfo,
    destinationEnabled,
    destinationOff,
    destinationOpen,
    pending,
    dead,
    oldestDelivery,
  ];
  const waiting = gauge(
    'queue_messages',
    'Messages that wait for processing, counted up to the queue limit.',
  );
  const oldest = gauge('queue_oldest_seconds', 'Age of the message that has waited longest for processing.');
  const jobs = gauge('queue_jobs', 'Jobs that the queue holds. Messages count; this is only a hint.');
  const databaseUp = gauge('database_up', '1 when PostgreSQL answers, else 0.');
  const queueUp = gauge('queue_up', '1 when the queue answers, else 0.');
  const ready = gauge('ready', '1 when /health/ready says so, else 0.');
  const disk = gauge('disk_free_bytes', 'Free space where the data directory is.');

  return (facts) => {
    for (const each of [...byMailbox, ...bySubscription, ...byDestination, ...Object.values(heldUp)])
      each.reset();
    const health = judgeHealth(facts, facts.now);
    ready.set(health.ready ? 1 : 0);
    databaseUp.set(facts.database.ok ? 1 : 0);
    queueUp.set(facts.queue.ok ? 1 : 0);
    setOrForget(waiting, facts.backlog?.waiting ?? null);
    setOrForget(oldest, facts.backlog?.oldestSeconds ?? null);
    setOrForget(jobs, facts.queueJobs);
    setOrForget(disk, facts.diskFreeBytes);
    // A count that goes from nothing to one is no increase to Prometheus; from 0 to 1 it is.
    for (const { id } of facts.mailboxes) for (const why of HELD_UP) heldUp[why]?.set({ mailbox: id }, 0);
    for (const { mailboxId, why, messages } of facts.heldUp)
      heldUp[why]?.set({ mailbox: mailboxId }, messages);

    for (const one of facts.destinations) {
      const label = { destination: one.id };
      destinationInfo.set({ ...label, name: one.name, kind: one.kind }, 1);
      destinationEnabled.set(label, one.enabled ? 1 : 0);
      destinationOff.set(label, !one.enabled && one.disabledReason !== null ? 1 : 0);
      destinationOpen.set(label, one.open ? 1 : 0);
      pending.set(label, one.pending);
      dead.set(label, one.dead);
      // One that a person paused is late by intention.
      oldestDelivery.set(label, one.enabled ? one.oldestSeconds : 0);
    }
    for (const { mailboxId, expiresAt, notifiedAt: at, failures } of facts.subscriptions) {
      const label = { mailbox: mailboxId };
      unsubscribed.set(label, failures);
      if (expiresAt !== null) subscribedUntil.set(label, expiresAt.getTime() / 1000);
      if (at !== null) notifiedAt.set(label, at.getTime() / 1000);
    }
    for (const standing of facts.outgoing) {
      const label = { mailbox: standing.mailboxId };
      outgoing.set(label, standing.waiting);
      overdue.set(label, standing.overdueSeconds);
      inDoubt.set(label, standing.inDoubt);
      paused.set(label, standing.pausedErrors);
    }
    for (const { mailboxId, at } of facts.credentialEnds) {
      credentialEnds.set({ mailbox: mailboxId }, at.getTime() / 1000);
    }
    for (const { mailboxId, failing: count } of facts.failingCredentials) {
      failing.set({ mailbox: mailboxId }, count);
    }
    const judged = new Map(health.mailboxes.map((mailbox) => [mailbox.id, mailbox]));
    for (const mailbox of facts.mailboxes) {
      const label = { mailbox: mailbox.id };
      info.set({ ...label, name: mailbox.name, kind: mailbox.kind }, 1);
      if (mailbox.lastListedAt !== null) listedAt.set(label, mailbox.lastListedAt.getTime() / 1000);
      // A mailbox that is switched off has no lag and is neither well nor sick.
      if (!mailbox.enabled) continue;
      const verdict = judged.get(mailbox.id)!;
      const since = (mailbox.lastListedAt ?? mailbox.createdAt).getTime();
      healthy.set(label, verdict.healthy ? 1 : 0);
      blocked.set(label, verdict.status === 'blocked' ? 1 : 0);
      phase.set({ ...label, phase: mailbox.phase }, 1);
      lag.set(label, Math.max(0, (facts.now.getTime() - since) / 1000));
      interval.set(label, mailbox.pollSeconds);
      consecutive.set(label, mailbox.consecutiveErrors);
      syncDone.set(label, mailbox.syncDone);
      syncAll.set(label, mailbox.syncTotal);
    }
  };
}

const HELD_UP_NAMES = {
  quarantined: 'quarantined',
  fetch_pending: 'ledger_pending',
  fetch_failed: 'fetch_failed',
  disposition_pending: 'dispositions_pending',
  disposition_failed: 'dispositions_failed',
} as const;

const HELD_UP_HELP = {
  quarantined: 'Messages in quarantine.',
  fetch_pending: 'Messages that were listed and whose bytes are still to be fetched.',
  fetch_failed: 'Messages that the server could not deliver and that are not tried again by themselves.',
  disposition_pending: 'Messages that are safe here and still to be marked, moved or deleted on the server.',
  disposition_failed: 'Messages that could not be marked, moved or deleted on the server.',
} as const;

/** A gauge without labels goes back to 0 when it is reset; one that is not known must not be shown at all. */
function setOrForget(gauge: Gauge<never>, value: number | null): void {
  if (value === null) gauge.remove();
  else gauge.set(value);
}
