import { describe, expect, it } from 'vitest';
import { createComparisons, createRuleLabel } from '../../src/observe/event-metrics.ts';
import { Events } from '../../src/observe/events.ts';
import type { Facts } from '../../src/observe/facts.ts';
import { createMetrics, type Metrics } from '../../src/observe/metrics.ts';

const NOW = new Date('2026-03-01T12:00:00Z');

const facts: Facts = {
  now: NOW,
  database: { ok: true },
  queue: { ok: true },
  queueJobs: 2,
  diskFreeBytes: 1e12,
  backlog: { waiting: 40, oldestSeconds: 12.5 },
  staleIntervals: 3,
  destinations: [],
  heldUp: [{ mailboxId: 1, why: 'quarantined', messages: 4 }],
  subscriptions: [
    {
      mailboxId: 1,
      expiresAt: new Date('2026-03-03T12:00:00Z'),
      notifiedAt: null,
      providerId: 's',
      live: true,
      failures: 2,
    },
  ],
  failingCredentials: [{ mailboxId: 1, failing: 0 }],
  credentialEnds: [{ mailboxId: 1, at: new Date('2026-03-01T00:00:00Z') }],
  outgoing: [{ mailboxId: 1, waiting: 3, overdueSeconds: 90, inDoubt: 1, pausedErrors: 0 }],
  mailboxes: [
    {
      id: 1,
      name: 'Support "one"\n',
      kind: 'imap',
      enabled: true,
      pollSeconds: 60,
      createdAt: new Date('2026-01-01T00:00:00Z'),
      phase: 'waiting',
      lastListedAt: new Date('2026-03-01T11:59:30Z'),
      lastErrorCode: null,
      consecutiveErrors: 0,
      missingFolders: [],
      syncDone: 10,
      syncTotal: 10,
      syncProgressAt: null,
    },
  ],
};

function start(read: () => Facts = () => facts): { events: Events; metrics: Metrics } {
  const events = new Events();
  return { events, metrics: createMetrics({ events, readFacts: async () => read() }) };
}

/** The lines of one metric, without its HELP and TYPE. */
async function lines(metrics: Metrics, name: string): Promise<string[]> {
  const text = await metrics.render();
  return text
    .split('\n')
    .filter((line) => line.startsWith(`penstock_${name}{`) || line.startsWith(`penstock_${name} `));
}

describe('metrics from events', () => {
  it('counts notifications and failures of subscriptions', async () => {
    const { events, metrics } = start();
    events.emit('notification.noted', { kind: 'graph', subscriptions: 3, unknown: 1 });
    events.emit('subscription.failed', {
      mailbox: 1,
      folder: 'INBOX',
      code: 'push_refused',
      message: 'no',
      retryInMs: 1,
      consecutive: 1,
    });
    expect(await lines(metrics, 'notifications_total')).toEqual([
      'penstock_notifications_total{kind="graph",result="noted"} 3',
      'penstock_notifications_total{kind="graph",result="unknown"} 1',
    ]);
    expect(await lines(metrics, 'subscription_errors_total')).toEqual([
      'penstock_subscription_errors_total{mailbox="1",class="temporary",code="push_refused"} 1',
    ]);
  });

  it('counts what became of tokens and notifications, and new mail by what made us look', async () => {
    const { events, metrics } = start();
    events.emit('pull.answered', { messages: 3 });
    events.emit('pull.failed', { code: 'connect_failed', message: 'no', retryInMs: 1, consecutive: 1 });
    events.emit('token.renewed', { mailbox: 1, lifeSeconds: 3_600 });
    expect(await lines(metrics, 'token_renewals_total')).toEqual([
      'penstock_token_renewals_total{mailbox="1"} 1',
    ]);
    events.emit('subscription.changed', { mailbox: 1, folder: '', did: 'renewed' });
    expect(await lines(metrics, 'subscription_changes_total')).toEqual([
      'penstock_subscription_changes_total{mailbox="1",did="renewed"} 1',
    ]);
    expect(await lines(metrics, 'notification_pulls_total')).toEqual([
      'penstock_notification_pulls_total{result="answered"} 1',
      'penstock_notification_pulls_total{result="failed"} 1',
    ]);
    for (const [by, added] of [
      ['notification', 3],
      ['interval', 1],
      ['notification', 0],
    ] as const) {
      events.emit('mailbox.listed', { mailbox: 1, milliseconds: 5, added, by });
    }
    expect(await lines(metrics, 'mailbox_found_messages_total')).toEqual([
      'penstock_mailbox_found_messages_total{mailbox="1",by="notification"} 3',
      'penstock_mailbox_found_messages_total{mailbox="1",by="interval"} 1',
    ]);
  });

  it('shows what is known of subscriptions, and nothing that is not', async () => {
    const { metrics } = start();
    expect(await lines(metrics, 'subscription_expiry_timestamp_seconds')).toEqual([
      `penstock_subscription_expiry_timestamp_seconds{mailbox="1"} ${Date.parse('2026-03-03T12:00:00Z') / 1000}`,
    ]);
    expect(await lines(metrics, 'subscription_consecutive_errors')).toEqual([
      'penstock_subscription_consecutive_errors{mailbox="1"} 2',
    ]);
    expect(await lines(metrics, 'subscription_last_notification_timestamp_seconds')).toEqual([]);
  });

  it('counts intake by mailbox and result', async () => {
    const { events, metrics } = start();
    const batch = {
      mailbox: 1,
      stored: 5,
      duplicates: 2,
      skipped: 0,
      oversized: 1,
      bytes: 900,
      milliseconds: 40,
    };
    events.emit('batch.stored', batch);
    events.emit('batch.stored', batch);
    expect(await lines(metrics, 'intake_messages_total')).toEqual([
      'penstock_intake_messages_total{mailbox="1",result="stored"} 10',
      'penstock_intake_messages_total{mailbox="1",result="duplicate"} 4',
      'penstock_intake_messages_total{mailbox="1",result="skipped"} 0',
      'penstock_intake_messages_total{mailbox="1",result="oversized"} 2',
    ]);
    expect(await lines(metrics, 'intake_bytes_total')).toEqual([
      'penstock_intake_bytes_total{mailbox="1"} 1800',
    ]);
    expect(await lines(metrics, 'intake_commit_seconds_sum')).toEqual([
      'penstock_intake_commit_seconds_sum 0.08',
    ]);
  });

  it('counts errors with their class and code', async () => {
    const { events, metrics } = start();
    events.emit('mailbox.failed', {
      mailbox: 1,
      code: 'connection_lost',
      message: 'x',
      retryInMs: 1,
      consecutive: 1,
    });
    events.emit('mailbox.blocked', { mailbox: 1, code: 'auth_failed', message: 'x' });
    expect(await lines(metrics, 'mailbox_errors_total')).toEqual([
      'penstock_mailbox_errors_total{mailbox="1",class="temporary",code="connection_lost"} 1',
      'penstock_mailbox_errors_total{mailbox="1",class="permanent",code="auth_failed"} 1',
    ]);
  });

  it('measures stages in seconds and counts their messages', async () => {
    const { events, metrics } = start();
    events.emit('stage.timed', { stage: 'parse', milliseconds: 300, messages: 50 });
    expect(await lines(metrics, 'stage_seconds_sum')).toEqual([
      'penstock_stage_seconds_sum{stage="parse"} 0.3',
    ]);
    expect(await lines(metrics, 'stage_messages_total')).toEqual([
      'penstock_stage_messages_total{stage="parse"} 50',
    ]);
    const text = await metrics.render();
    expect(text).toContain('penstock_stage_seconds_bucket{le="0.25",stage="parse"} 0');
    expect(text).toContain('penstock_stage_seconds_bucket{le="0.5",stage="parse"} 1');
  });

  it('counts outcomes, and hits of rules when there is one', async () => {
    const { events, metrics } = start();
    const message = { mailbox: 1, id: 9, outcome: 'create', class: 'human', seconds: 0.2 };
    events.emit('message.processed', { ...message, rule: 12 });
    events.emit('message.processed', { ...message, rule: null });
    expect(await lines(metrics, 'messages_processed_total')).toEqual([
      'penstock_messages_processed_total{mailbox="1",outcome="create"} 2',
    ]);
    expect(await lines(metrics, 'rule_hits_total')).toEqual(['penstock_rule_hits_total{rule="12"} 1']);
    expect(await lines(metrics, 'message_latency_seconds_count')).toEqual([
      'penstock_message_latency_seconds_count 2',
    ]);
  });

  it('says what runs here', async () => {
    const { events, metrics } = start();
    events.emit('daemon.started', { version: '1.2.3', roles: ['api'], queue: 'redis', database: 'server' });
    expect(await lines(metrics, 'build_info')).toEqual([
      `penstock_build_info{version="1.2.3",node="${process.versions.node}",queue="redis",database="server"} 1`,
    ]);
  });

  it('lets no folder that is fine hide one that is not', async () => {
    const { events, metrics } = start();
    events.emit('audit.finished', { mailbox: 1, folder: 'A', listed: 10, accounted: 7, unaccounted: 3 });
    events.emit('audit.finished', { mailbox: 1, folder: 'B', listed: 20, accounted: 20, unaccounted: 0 });
    expect(await lines(metrics, 'unaccounted_messages')).toEqual([
      'penstock_unaccounted_messages{mailbox="1"} 3',
    ]);
    expect(await lines(metrics, 'audit_listed_messages')).toEqual([
      'penstock_audit_listed_messages{mailbox="1"} 30',
    ]);
  });
});

describe('a mailbox that went to another process', () => {
  it('leaves no comparison behind', async () => {
    const { events, metrics } = start();
    for (const mailbox of [1, 2]) {
      events.emit('audit.finished', { mailbox, folder: 'A', listed: 10, accounted: 7, unaccounted: 3 });
    }
    events.emit('lease.lost', { mailbox: 1, fence: 4 });
    expect(await lines(metrics, 'unaccounted_messages')).toEqual([
      'penstock_unaccounted_messages{mailbox="2"} 3',
    ]);
    expect(await lines(metrics, 'lease_losses_total')).toEqual(['penstock_lease_losses_total 1']);
  });
});

describe('sums of comparisons', () => {
  it('replaces the comparison of a folder, and all of them by one of the whole mailbox', () => {
    const { add, forget } = createComparisons();
    expect(add(1, 'A', { listed: 5, missing: 2 })).toEqual({ listed: 5, missing: 2 });
    expect(add(1, 'A', { listed: 6, missing: 0 })).toEqual({ listed: 6, missing: 0 });
    expect(add(2, 'A', { listed: 1, missing: 1 })).toEqual({ listed: 1, missing: 1 });
    expect(add(1, 'B', { listed: 4, missing: 1 })).toEqual({ listed: 10, missing: 1 });
    expect(add(1, null, { listed: 12, missing: 0 })).toEqual({ listed: 12, missing: 0 });
    expect(add(1, 'A', { listed: 6, missing: 0 })).toEqual({ listed: 6, missing: 0 });
    forget(1);
    expect(add(1, 'B', { listed: 4, missing: 0 })).toEqual({ listed: 4, missing: 0 });
  });
});

describe('labels of rules', () => {
  it('are bounded, and those that are known stay', () => {
    const label = createRuleLabel(2);
    expect([10, 11, 12, 10, 13].map(label)).toEqual(['10', '11', 'other', '10', 'other']);
  });
});

describe('metrics from facts', () => {
  it('shows each mailbox, with lag by the clock of the database', async () => {
    const { metrics } = start();
    expect(await lines(metrics, 'mailbox_lag_seconds')).toEqual([
      'penstock_mailbox_lag_seconds{mailbox="1"} 30',
    ]);
    expect(await lines(metrics, 'mailbox_last_listed_timestamp_seconds')).toEqual([
      `penstock_mailbox_last_listed_timestamp_seconds{mailbox="1"} ${NOW.getTime() / 1000 - 30}`,
    ]);
    expect(await lines(metrics, 'mailbox_healthy')).toEqual(['penstock_mailbox_healthy{mailbox="1"} 1']);
    expect(await lines(metrics, 'mailbox_phase')).toEqual([
      'penstock_mailbox_phase{mailbox="1",phase="waiting"} 1',
    ]);
    expect(await lines(metrics, 'mailbox_info')).toEqual([
      'penstock_mailbox_info{mailbox="1",name="Support \\"one\\"\\n",kind="imap"} 1',
    ]);
    expect(await lines(metrics, 'quarantined_messages')).toEqual([
      'penstock_quarantined_messages{mailbox="1"} 4',
    ]);
    expect(await lines(metrics, 'fetch_failed_messages')).toEqual([
      'penstock_fetch_failed_messages{mailbox="1"} 0',
    ]);
    expect(await lines(metrics, 'queue_messages')).toEqual(['penstock_queue_messages 40']);
    expect(await lines(metrics, 'queue_oldest_seconds')).toEqual(['penstock_queue_oldest_seconds 12.5']);
    expect(await lines(metrics, 'ready')).toEqual(['penstock_ready 1']);
  });

  it('gives a mailbox that is switched off no lag and no health', async () => {
    const off = { ...facts, mailboxes: [{ ...facts.mailboxes[0]!, enabled: false }] };
    const { metrics } = start(() => off);
    expect(await lines(metrics, 'mailbox_lag_seconds')).toEqual([]);
    expect(await lines(metrics, 'mailbox_healthy')).toEqual([]);
    expect(await lines(metrics, 'mailbox_info')).toHaveLength(1);
  });

  it('forgets what it no longer knows, and keeps what it counted', async () => {
    let now = facts;
    const { events, metrics } = start(() => now);
    events.emit('job.swept', { messages: 3 });
    await metrics.render();
    now = {
      ...facts,
      database: { ok: false, error: 'ECONNREFUSED' },
      queue: { ok: false, error: 'ECONNREFUSED' },
      queueJobs: null,
      diskFreeBytes: null,
      backlog: null,
      mailboxes: [],
      heldUp: [],
      credentialEnds: [],
      failingCredentials: [],
    };
    for (const name of [
      'mailbox_healthy',
      'mailbox_info',
      'quarantined_messages',
      'queue_messages',
      'queue_jobs',
      'disk_free_bytes',
    ]) {
      expect(await lines(metrics, name), name).toEqual([]);
    }
    expect(await lines(metrics, 'database_up')).toEqual(['penstock_database_up 0']);
    expect(await lines(metrics, 'queue_up')).toEqual(['penstock_queue_up 0']);
    expect(await lines(metrics, 'ready')).toEqual(['penstock_ready 0']);
    expect(await lines(metrics, 'messages_swept_total')).toEqual(['penstock_messages_swept_total 3']);
  });
});

describe('names of metrics', () => {
  it('follow the conventions of Prometheus', async () => {
    const { metrics } = start();
    const text = await metrics.render();
    const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => ({
      name: name!,
      type: type!,
    }));
    expect(types.length).toBeGreaterThan(50);
    for (const { name, type } of types) {
      expect(name).toMatch(/^penstock_[a-z0-9_]+$/);
      // Those of the library about Node itself have older names.
      if (!name.startsWith('penstock_nodejs_'))
        expect(name.endsWith('_total'), name).toBe(type === 'counter');
    }
    expect(metrics.contentType).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(text).toMatch(/^penstock_nodejs_eventloop_lag_p99_seconds /m);
    expect(text).toMatch(/^penstock_process_resident_memory_bytes /m);
  });
});
