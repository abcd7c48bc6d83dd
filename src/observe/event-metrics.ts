/** Metrics that count what happens: each one is fed by an event of the catalogue and by nothing else. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { ERROR_KINDS, type ErrorCode } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { EventData, EventName, Events } from './events.ts';

/** From a millisecond to minutes: one message of 6 KB takes a few, one of 50 MB takes seconds. */
const STAGE_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** From a tenth of a second, which is normal, to hours, which is a backlog. */
const LATENCY_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 900, 3_600, 14_400];
const LISTING_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 900, 3_600];

type Handlers = { [N in EventName]?: (data: EventData[N]) => void };

/** Registers the metrics and begins to listen. */
export function countEvents(events: Events, registry: Registry): void {
  const handlers: Handlers = {
    ...mailboxHandlers(registry),
    ...intakeHandlers(registry),
    ...processingHandlers(registry),
    ...sendingHandlers(registry),
    ...deliveryHandlers(registry),
    ...daemonHandlers(registry),
  };
  events.listen((name, data) => handlers[name]?.(data));
}

/** Whether trying again can help: the two classes of errors. */
function errorClass(code: ErrorCode): 'temporary' | 'permanent' {
  return ERROR_KINDS[code].temporary ? 'temporary' : 'permanent';
}

function makers(registry: Registry) {
  const registers = [registry];
  return {
    counter: <L extends string>(name: string, help: string, labelNames: L[] = []) =>
      new Counter({ name: `penstock_${name}`, help, labelNames, registers }),
    gauge: <L extends string>(name: string, help: string, labelNames: L[] = []) =>
      new Gauge({ name: `penstock_${name}`, help, labelNames, registers }),
    histogram: <L extends string>(name: string, help: string, buckets: number[], labelNames: L[] = []) =>
      new Histogram({ name: `penstock_${name}`, help, labelNames, buckets, registers }),
  };
}

function mailboxHandlers(registry: Registry): Handlers {
  const { counter, gauge, histogram } = makers(registry);
  const listings = counter('mailbox_listings_total', 'Complete listings of all folders.', ['mailbox']);
  const found = counter(
    'mailbox_found_messages_total',
    'New messages by what made us look: for a mailbox with a subscription, all but `notification` were told of late or never.',
    ['mailbox', 'by'],
  );
  const listingSeconds = histogram(
    'mailbox_listing_seconds',
    'Time of a complete listing, with everything that was taken on the way.',
    LISTING_SECONDS,
  );
  const errors = counter('mailbox_errors_total', 'Failed attempts of pollers.', ['mailbox', 'class', 'code']);
  const pauses = counter('mailbox_pauses_total', 'Times intake paused for want of room.', ['mailbox']);
  const tokenRenewals = counter('token_renewals_total', 'Access tokens that were got.', ['mailbox']);
  const subscriptionChanges = counter(
    'subscription_changes_total',
    'Subscriptions to notifications that were made, renewed or removed.',
    ['mailbox', 'did'],
  );
  const tokenFailures = counter(
    'token_failures_total',
    'Requests for an access token that were refused or came to nothing.',
    ['mailbox', 'class', 'code'],
  );
  const taken = counter('lease_acquisitions_total', 'Mailboxes that this process took over.');
  const lost = counter('lease_losses_total', 'Mailboxes whose lease ran out or went to another process.');
  const resyncs = counter('resyncs_total', 'Folders listed anew after a lost cursor.', ['mailbox']);
  const rebound = counter(
    'resync_messages_total',
    'Messages met while a folder was listed anew: matched with known ones, added, or gone from the server.',
    ['mailbox', 'result'],
  );
  const unaccounted = gauge(
    'unaccounted_messages',
    'Messages on the server that the ledger does not have, at the last comparison. Anything but 0 is a fault.',
    ['mailbox'],
  );
  const compared = gauge(
    'audit_listed_messages',
    'Messages on the server at the last comparison with the ledger.',
    ['mailbox'],
  );
  const comparedAt = gauge('audit_timestamp_seconds', 'When a comparison with the ledger last ended.', [
    'mailbox',
  ]);
  const subscriptionErrors = counter(
    'subscription_errors_total',
    'Failed attempts to make, renew or remove a subscription to notifications.',
    ['mailbox', 'class', 'code'],
  );
  const notifications = counter(
    'notifications_total',
    'Notifications of providers, those that came together counted once. `unknown`: about no subscription of ours.',
    ['kind', 'result'],
  );
  const pulls = counter('notification_pulls_total', 'Fetches of notifications that came to an end.', [
    'result',
  ]);
  const comparisons = createComparisons();
  return {
    'pull.answered': () => pulls.inc({ result: 'answered' }),
    'pull.failed': () => pulls.inc({ result: 'failed' }),
    'subscription.changed': ({ mailbox, did }) => subscriptionChanges.inc({ mailbox, did }),
    'subscription.failed': ({ mailbox, code }) =>
      subscriptionErrors.inc({ mailbox, class: errorClass(code), code }),
    'notification.noted': ({ kind, subscriptions, unknown }) => {
      notifications.inc({ kind, result: 'noted' }, subscriptions);
      notifications.inc({ kind, result: 'unknown' }, unknown);
    },
    'mailbox.listed': ({ mailbox, milliseconds, added, by }) => {
      found.inc({ mailbox, by }, added);
      listings.inc({ mailbox });
      listingSeconds.observe(milliseconds / 1000);
    },
    'folder.missing': ({ mailbox }) =>
      errors.inc({ mailbox, class: errorClass('folder_missing'), code: 'folder_missing' }),
    'mailbox.failed': ({ mailbox, code }) => errors.inc({ mailbox, class: errorClass(code), code }),
    'mailbox.blocked': ({ mailbox, code }) => errors.inc({ mailbox, class: errorClass(code), code }),
    'token.renewed': ({ mailbox }) => tokenRenewals.inc({ mailbox }),
    'token.failed': ({ mailbox, code }) => tokenFailures.inc({ mailbox, class: errorClass(code), code }),
    'mailbox.paused': ({ mailbox }) => pauses.inc({ mailbox }),
    'lease.acquired': ({ mailbox }) => {
      taken.inc();
      comparisons.forget(mailbox);
    },
    'lease.lost': ({ mailbox }) => {
      lost.inc();
      // The new owner compares from now on; what this process found must not stay for ever.
      for (const each of [unaccounted, compared, comparedAt]) each.remove({ mailbox });
    },
    'folder.resync': ({ mailbox }) => resyncs.inc({ mailbox }),
    'folder.resynced': ({ mailbox, matched, added, gone }) => {
      for (const [result, count] of Object.entries({ matched, added, gone })) {
        rebound.inc({ mailbox, result }, count);
      }
    },
    'audit.finished': ({ mailbox, folder, listed, unaccounted: missing }) => {
      const total = comparisons.add(mailbox, folder ?? null, { listed, missing });
      unaccounted.set({ mailbox }, total.missing);
      compared.set({ mailbox }, total.listed);
      comparedAt.setToCurrentTime({ mailbox });
    },
  };
}

interface Comparison {
  listed: number;
  missing: number;
}

interface Comparisons {
  /** Adds a comparison and returns the sum of the mailbox. Without a folder it stands for the whole mailbox. */
  add(mailbox: number, folder: string | null, comparison: Comparison): Comparison;
  forget(mailbox: number): void;
}

/** Sums comparisons by mailbox: folders are compared one after the other, and a good one must not hide a bad one. */
export function createComparisons(): Comparisons {
  const known = new Map<number, Map<string | null, Comparison>>();
  return {
    add(mailbox, folder, comparison) {
      const folders = known.get(mailbox) ?? new Map<string | null, Comparison>();
      if (folder === null) folders.clear();
      else folders.delete(null);
      folders.set(folder, comparison);
      known.set(mailbox, folders);
      const total = { listed: 0, missing: 0 };
      for (const { listed, missing } of folders.values()) {
        total.listed += listed;
        total.missing += missing;
      }
      return total;
    },
    forget: (mailbox) => void known.delete(mailbox),
  };
}

function intakeHandlers(registry: Registry): Handlers {
  const { counter, histogram } = makers(registry);
  const messages = counter('intake_messages_total', 'Messages accounted for, by what became of them.', [
    'mailbox',
    'result',
  ]);
  const bytes = counter('intake_bytes_total', 'Bytes of messages that were stored.', ['mailbox']);
  const batches = histogram('intake_commit_seconds', 'Time to make a batch durable.', STAGE_SECONDS);
  const fetches = counter(
    'fetch_failures_total',
    'Messages a server did not deliver. `final`: set aside, not tried again by itself.',
    ['mailbox', 'code', 'final'],
  );
  const dispositions = counter('dispositions_total', 'Effects on the mail server after the commit.', [
    'mailbox',
    'result',
  ]);
  const failures = counter('disposition_errors_total', 'Failed effects on the mail server.', [
    'mailbox',
    'class',
    'code',
  ]);
  const enqueued = counter('jobs_enqueued_total', 'Jobs given to the queue.');
  const swept = counter('messages_swept_total', 'Messages enqueued again because their job was lost or due.');
  return {
    'batch.stored': (data) => {
      const { mailbox } = data;
      messages.inc({ mailbox, result: 'stored' }, data.stored);
      messages.inc({ mailbox, result: 'duplicate' }, data.duplicates);
      messages.inc({ mailbox, result: 'skipped' }, data.skipped);
      messages.inc({ mailbox, result: 'oversized' }, data.oversized);
      bytes.inc({ mailbox }, data.bytes);
      batches.observe(data.milliseconds / 1000);
    },
    'message.fetch_failed': ({ mailbox, code, final }) =>
      fetches.inc({ mailbox, code, final: String(final) }),
    'disposition.done': ({ mailbox, done, gone }) => {
      dispositions.inc({ mailbox, result: 'done' }, done);
      dispositions.inc({ mailbox, result: 'gone' }, gone);
    },
    'disposition.failed': ({ mailbox, failed, code }) => {
      dispositions.inc({ mailbox, result: 'failed' }, failed);
      failures.inc({ mailbox, class: errorClass(code), code }, failed);
    },
    'job.enqueued': () => enqueued.inc(),
    'job.swept': ({ messages: count }) => swept.inc(count),
  };
}

function processingHandlers(registry: Registry): Handlers {
  const { counter, gauge, histogram } = makers(registry);
  const processed = counter('messages_processed_total', 'Messages with an outcome.', ['mailbox', 'outcome']);
  const classes = counter('message_classes_total', 'Messages by what kind of sender wrote them.', ['class']);
  const latency = histogram(
    'message_latency_seconds',
    'From the intake of a message to its outcome.',
    LATENCY_SECONDS,
  );
  const retries = counter('message_retries_total', 'Attempts at processing that failed and are repeated.', [
    'stage',
    'class',
    'code',
  ]);
  const quarantined = counter('messages_quarantined_total', 'Messages set aside because they failed.', [
    'mailbox',
    'stage',
    'code',
  ]);
  const stages = histogram('stage_seconds', 'Time of a stage for all messages of a job.', STAGE_SECONDS, [
    'stage',
  ]);
  const stageMessages = counter('stage_messages_total', 'Messages that went through a stage.', ['stage']);
  const hits = counter('rule_hits_total', 'Messages a rule won. Past the first rules, `rule` is other.', [
    'rule',
  ]);
  const rules = gauge('rules', 'Rules in use.');
  const disabled = counter(
    'rules_disabled_total',
    'Rules that were switched off because their patterns were too expensive too often.',
  );
  const version = gauge('rules_version', 'Version of the rules in use.');
  const ruleLabel = createRuleLabel(LIMITS.metricRules);
  return {
    'message.processed': (data) => {
      processed.inc({ mailbox: data.mailbox, outcome: data.outcome });
      classes.inc({ class: data.class });
      latency.observe(data.seconds);
      if (data.rule !== null) hits.inc({ rule: ruleLabel(data.rule) });
    },
    'message.retrying': ({ stage, code }) => retries.inc({ stage, class: errorClass(code), code }),
    'message.quarantined': ({ mailbox, stage, code }) => quarantined.inc({ mailbox, stage, code }),
    'stage.timed': ({ stage, milliseconds, messages }) => {
      stages.observe({ stage }, milliseconds / 1000);
      stageMessages.inc({ stage }, messages);
    },
    'rule.disabled': () => disabled.inc(),
    'rules.loaded': (data) => {
      rules.set(data.rules);
      version.set(data.version);
    },
  };
}

function deliveryHandlers(registry: Registry): Handlers {
  const { counter, histogram } = makers(registry);
  const queued = counter(
    'deliveries_queued_total',
    'Outcomes put into the outbox, once for each destination.',
  );
  const ended = counter('deliveries_total', 'Deliveries that ended: delivered, or dead.', [
    'destination',
    'result',
  ]);
  const errors = counter('delivery_errors_total', 'Failed attempts to deliver.', [
    'destination',
    'class',
    'code',
  ]);
  const latency = histogram('delivery_latency_seconds', 'From an outcome to its delivery.', LATENCY_SECONDS);
  const pauses = counter('destination_pauses_total', 'Times a destination was left alone for a while.', [
    'destination',
  ]);
  return {
    'delivery.queued': ({ deliveries }) => queued.inc(deliveries),
    'delivery.delivered': ({ destination, seconds }) => {
      ended.inc({ destination, result: 'delivered' });
      latency.observe(seconds);
    },
    'delivery.failed': ({ destination, code }) => errors.inc({ destination, class: errorClass(code), code }),
    'delivery.dead': ({ destination, code }) => {
      ended.inc({ destination, result: 'dead' });
      errors.inc({ destination, class: errorClass(code), code });
    },
    'destination.left_alone': ({ destination }) => pauses.inc({ destination }),
  };
}

/** The first `most` rules that hit keep their id as a label, so that thousands of rules cannot flood Prometheus. */
export function createRuleLabel(most: number): (rule: number) => string {
  const known = new Set<number>();
  return (rule) => {
    if (known.size < most) known.add(rule);
    return known.has(rule) ? String(rule) : 'other';
  };
}

function sendingHandlers(registry: Registry): Handlers {
  const { counter, histogram } = makers(registry);
  const sent = counter('outgoing_sent_total', 'Mails that were sent.', ['mailbox', 'kind']);
  const took = histogram('outgoing_send_seconds', 'Time that the server took for a mail.', LATENCY_SECONDS);
  const waited = histogram(
    'outgoing_latency_seconds',
    'From the queueing of a mail to its sending.',
    LATENCY_SECONDS,
  );
  const failed = counter('outgoing_failed_total', 'Mails that failed for good.', ['mailbox', 'code']);
  const retried = counter('outgoing_retries_total', 'Attempts that failed and are repeated.', [
    'mailbox',
    'code',
  ]);
  const doubted = counter(
    'outgoing_in_doubt_total',
    'Mails left to a person, who must look whether they were sent.',
    ['mailbox'],
  );
  const bounced = counter('outgoing_bounced_total', 'Mails of ours that came back.', ['mailbox']);
  const paused = counter('sending_pauses_total', 'Times that sending from a mailbox paused.', [
    'mailbox',
    'code',
  ]);
  const limited = counter(
    'answers_limited_total',
    'Mails that were not answered because their sender got too many answers: a loop, most likely.',
    ['mailbox'],
  );
  return {
    'outgoing.sent': ({ mailbox, kind, seconds, waitedSeconds }) => {
      sent.inc({ mailbox, kind });
      took.observe(seconds);
      waited.observe(waitedSeconds);
    },
    'outgoing.failed': ({ mailbox, code }) => failed.inc({ mailbox, code }),
    'outgoing.retrying': ({ mailbox, code }) => retried.inc({ mailbox, code }),
    'outgoing.in_doubt': ({ mailbox }) => doubted.inc({ mailbox }),
    'outgoing.bounced': ({ mailbox }) => bounced.inc({ mailbox }),
    'sending.paused': ({ mailbox, code }) => paused.inc({ mailbox, code }),
    'answer.limited': ({ mailbox }) => limited.inc({ mailbox }),
  };
}

function daemonHandlers(registry: Registry): Handlers {
  const { counter, gauge } = makers(registry);
  const build = gauge('build_info', 'Always 1; the labels say what runs here.', [
    'version',
    'node',
    'queue',
    'database',
  ]);
  const engines = counter('engine_errors_total', 'Errors of connections to the engines.', ['engine']);
  const requests = counter('api_errors_total', 'Requests that failed through a fault of ours.', ['code']);
  const purged = counter(
    'retention_purged_total',
    'Records, raw messages, deliveries and sent mail removed by age.',
    ['kind'],
  );
  return {
    'daemon.started': ({ version, queue, database }) =>
      build.set({ version, node: process.versions.node, queue, database }, 1),
    'engine.error': ({ engine }) => engines.inc({ engine }),
    'api.failed': ({ code }) => requests.inc({ code }),
    'retention.purged': ({ emails, raw, deliveries, sent }) => {
      purged.inc({ kind: 'email' }, emails);
      purged.inc({ kind: 'raw' }, raw);
      purged.inc({ kind: 'delivery' }, deliveries);
      purged.inc({ kind: 'sent' }, sent);
    },
  };
}
