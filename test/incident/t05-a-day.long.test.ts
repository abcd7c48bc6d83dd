/**
 * A day of four mailboxes, one of each kind: tokens that end, subscriptions and watches that are renewed, notifications
 * that get lost, a provider that is away for an hour, and every cursor lost once. Pollers, keeper, tokens, receiver and
 * workers are the real ones; only the clock is not.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished, vi } from 'vitest';
import { auditMailbox } from '../../src/intake/audit.ts';
import { SubscriptionKeeper } from '../../src/intake/subscription-keeper.ts';
import { Supervisor } from '../../src/intake/supervisor.ts';
import { ROUTES as GMAIL_ROUTES } from '../../src/lab/gmail/routes.ts';
import type { LabPush } from '../../src/lab/gmail/watches.ts';
import { call } from '../../src/lab/graph/notifier.ts';
import { tellLogin } from '../../src/login-events.ts';
import { type EventData, type EventName, Events } from '../../src/observe/events.ts';
import { openRuntime } from '../../src/runtime.ts';
import { pushKeys } from '../../src/source/gmail/push.ts';
import { DEFAULT_GMAIL_OPTIONS } from '../../src/source/gmail/settings.ts';
import type { Source, SourceKind } from '../../src/source/source.ts';
import { listMailboxes } from '../../src/store/mailboxes.ts';
import { NoticeListener } from '../../src/store/notify.ts';
import { Work } from '../../src/work.ts';
import { expectEachOnce } from '../support/each-once.ts';
import { labCertificate } from '../support/graph-lab.ts';
import { hasten } from '../support/hasten.ts';
import { subjectsOf } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';
import { KINDS, type OauthSite, startOauthSite } from '../support/oauth-site.ts';
import { startReceiver } from '../support/push.ts';
import { resting, SimulatedClock } from '../support/simulated-clock.ts';

vi.setConfig({ testTimeout: 600_000 });
hasten(DEFAULT_GMAIL_OPTIONS);

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const POLL_MS = 10 * MINUTE_MS;
const PUSHER = 'push@project.iam.gserviceaccount.com';
/** A token is renewed at 80 % of its hour. */
const MOST_RENEWALS = Math.ceil(DAY_MS / (0.8 * HOUR_MS));

/** Nobody can be reached. Ends with the returned function. */
function cutOff({ graph, gmail, imap, pop3, oauth }: OauthSite): () => void {
  const undo = [
    graph.faults.add({ action: { do: 'reset' } }),
    imap.faults.add({ at: 'connect', action: { do: 'drop' } }),
    pop3.faults.add({ at: 'connect', action: { do: 'drop' } }),
    oauth.faults.add({ at: 'token', action: { do: 'drop' } }),
    ...[...GMAIL_ROUTES.map(({ name }) => name), 'watch', 'stop'].map((at) =>
      gmail.faults.add({ at, action: { do: 'drop' } }),
    ),
  ];
  imap.disconnectAll();
  return () => {
    for (const mend of undo) mend();
  };
}

it('T5.4 T7.2 24 hours: all mail once, the audit clean, and no more tokens than their lives demand', async () => {
  const lab = await startOauthSite();
  const { site, oauth, graph, gmail } = lab;
  const clock = await SimulatedClock.start(site.env.DATABASE_URL!);
  // What the proof at the end asks with lives in the same time.
  await site.attach();
  const events = new Events();
  const told: { name: EventName; data: EventData[EventName] }[] = [];
  events.listen((name, data) => void told.push({ name, data }));
  const toldOf = <N extends EventName>(name: N) =>
    told.filter((one) => one.name === name).map(({ data }) => data as EventData[N]);
  const runtime = await openRuntime(await site.config(), {
    borrow: true,
    onError: () => {},
    onLogin: (event) => tellLogin(events, event),
  });
  const { db, raw, sources } = runtime;
  for (const kind of KINDS) {
    // Nothing but content tells a POP3 message that has another unique-id.
    const dedup = kind === 'pop3' ? 'content' : 'none';
    await lab.addMailbox(kind, { after: 'leave', dedup, pollSeconds: POLL_MS / 1000 });
  }
  const work = await Work.start(runtime, events, { process: true });
  const supervisor = new Supervisor(
    {
      db,
      raw,
      events,
      enqueue: (kind, mailboxId, emails) => work.enqueue(kind, mailboxId, emails),
      pressure: async () => null,
      rest: clock.rest,
    },
    {
      leaseSeconds: 3_600,
      async makeSource(mailbox) {
        const source = await sources.source(mailbox);
        const connect: Source['connect'] = async (signal) => resting(await source.connect(signal), clock);
        return { ...source, connect };
      },
    },
  );
  const listener = new NoticeListener(
    runtime.connection,
    (notice) => void (notice.startsWith('mail:') && supervisor.hint(Number(notice.slice(5)))),
    () => {},
  );
  await listener.start();
  const keys = pushKeys(oauth.jwksUrl, oauth.certificate.cert);
  const receiver = await startReceiver({
    db,
    events,
    folder: runtime.dataDirectory,
    gmail: { account: PUSHER, keys },
  });
  const keeper = new SubscriptionKeeper({
    db,
    events,
    addresses: { graph: `${receiver.url}/notifications/graph`, gmail: 'projects/lab-project/topics/mail' },
    subscriptionsOf: (id) => sources.subscriptions(id),
    held: () => supervisor.held(),
    onMail: (id) => supervisor.hint(id),
  });
  onTestFinished(async () => {
    await keeper.stop();
    await supervisor.stop();
    await work.stop();
    await listener.close();
    await receiver.close();
    await runtime.close();
  });

  const losing = { now: false, lost: 0 };
  const sending = new Set<Promise<unknown>>();
  const url = `${receiver.url}/notifications/gmail`;
  const push = async (message: LabPush): Promise<void> => {
    const iat = Math.floor(Date.now() / 1000);
    const claims = { iss: 'https://accounts.google.com', aud: url, email: PUSHER, email_verified: true };
    const authorization = `Bearer ${await oauth.sign({ ...claims, iat, exp: iat + 3_600 })}`;
    await call(url, JSON.stringify(message), 'application/json', labCertificate().cert, { authorization });
  };
  gmail.watches.lifeMs = 12 * HOUR_MS;
  gmail.watches.onPush = (message) => {
    if (losing.now) losing.lost += 1;
    else sending.add(push(message));
  };
  graph.subscriptions.grantMinutes = 6 * 60;

  let delivered = 0;
  let seenAtOnce = 0;
  /** Mail for all; those whose provider tells of it have it before any time passes. */
  const bring = async (areTold: boolean): Promise<void> => {
    delivered += 1;
    const subject = `m${delivered}`;
    const before = sending.size;
    if (losing.now) {
      graph.subscriptions.dropNext += 1;
      losing.lost += 1;
    }
    for (const kind of KINDS) lab.deliver(kind, simpleMessage(`${kind}-${subject}`));
    await graph.subscriptions.settled();
    await Promise.all(sending);
    if (!areTold) return;
    expect(sending.size).toBe(before + 1);
    const wanted = [`graph-${subject}`, `gmail-${subject}`];
    const isThere = async (): Promise<boolean> => {
      const there = new Set(await subjectsOf(db, raw));
      return wanted.every((one) => there.has(one));
    };
    while (!(await isThere())) await sleep(5);
    seenAtOnce += 2;
  };

  /** Nobody works: neither a poller nor a worker. */
  const atRest = async (): Promise<void> => {
    await clock.quiet(KINDS.length);
    const open = db
      .selectFrom('incoming_email')
      .select('id')
      .where('state', 'in', ['queued', 'retrying', 'waiting']);
    while ((await open.executeTakeFirst()) !== undefined) await sleep(5);
  };

  let mend = (): void => {};
  let isOut = false;
  const script: [hours: number, act: () => Promise<void> | void][] = [
    [5, () => void Object.assign(losing, { now: true })],
    [6, () => void Object.assign(losing, { now: false })],
    [
      9,
      () => {
        isOut = true;
        mend = cutOff(lab);
      },
    ],
    [
      10,
      () => {
        isOut = false;
        mend();
      },
    ],
    ...KINDS.map((kind, index): [number, () => void] => [13.1 + index, () => lab.loseCursor(kind)]),
    // Microsoft ends IMAP sessions with their tokens.
    ...Array.from({ length: 23 }, (_, hour): [number, () => void] => [
      hour + 0.99,
      () => lab.imap.disconnectAll(),
    ]),
    ...Array.from({ length: 47 }, (_, half): [number, () => Promise<void>] => [
      half / 2 + 0.25,
      () => bring(!losing.now && !isOut),
    ]),
    ...Array.from({ length: DAY_MS / POLL_MS }, (_, index): [number, () => Promise<void>] => [
      (index * POLL_MS) / HOUR_MS,
      async () => {
        await supervisor.review();
        await keeper.review();
      },
    ]),
  ];
  script.sort(([a], [b]) => a - b);
  for (const [hours, act] of script) {
    while (clock.now < hours * HOUR_MS) {
      await atRest();
      await clock.leap(hours * HOUR_MS);
    }
    await act();
  }
  // The last poll of everybody.
  for (const end = DAY_MS + 2 * POLL_MS; clock.now < end; ) {
    await atRest();
    await clock.leap(end);
  }
  await atRest();

  const subjects = await subjectsOf(db, raw);
  const wanted = KINDS.flatMap((kind) =>
    Array.from({ length: delivered }, (_, index) => `${kind}-m${index + 1}`),
  );
  const mailboxes = await listMailboxes(db);
  const renewals: Partial<Record<SourceKind, number>> = {};
  for (const { id, kind } of mailboxes)
    renewals[kind] = toldOf('token.renewed').filter(({ mailbox }) => mailbox === id).length;
  const changes = (kind: SourceKind, did: string): number => {
    const { id } = mailboxes.find((mailbox) => mailbox.kind === kind)!;
    return toldOf('subscription.changed').filter((one) => one.mailbox === id && one.did === did).length;
  };
  const figures = {
    messages: wanted.length,
    records: subjects.length,
    duplicates: subjects.length - new Set(subjects).size,
    toldAndTakenAtOnce: seenAtOnce,
    notificationsLost: losing.lost,
    tokenRenewals: renewals,
    tokenRenewalsAllowed: MOST_RENEWALS,
    tokenFailures: toldOf('token.failed').length,
    subscription: { made: changes('graph', 'made'), renewed: changes('graph', 'renewed') },
    watch: { made: changes('gmail', 'made'), renewed: changes('gmail', 'renewed') },
    subscriptionFailures: toldOf('subscription.failed').length,
    resyncs: toldOf('folder.resynced').length,
    passesFailed: toldOf('mailbox.failed').length,
  };
  console.log(JSON.stringify(figures));
  expect(subjects).toEqual(wanted.sort());
  await expectEachOnce(lab);
  for (const mailbox of mailboxes) {
    const source = await sources.source(mailbox);
    const audit = await auditMailbox(db, source, mailbox, 0, new AbortController().signal);
    expect(audit.unaccounted, mailbox.kind).toEqual([]);
    expect(audit.listed).toBe(delivered);
    expect(renewals[mailbox.kind], mailbox.kind).toBeLessThanOrEqual(MOST_RENEWALS);
    // A token that was used for longer than it lives would have been refused.
    expect(renewals[mailbox.kind]).toBeGreaterThanOrEqual(Math.floor(23 / 1.2));
  }
  expect(toldOf('mailbox.blocked')).toEqual([]);
  expect(toldOf('subscription.failed').length).toBeLessThanOrEqual(2 * 6);
  expect(figures).toMatchObject({ duplicates: 0, subscription: { made: 1 }, watch: { made: 1 } });
  // Half of six hours, half of twelve: seven and three times before the day is over.
  expect(figures.subscription.renewed).toBeGreaterThanOrEqual(6);
  expect(figures.subscription.renewed).toBeLessThanOrEqual(8);
  expect(figures.watch.renewed).toBe(3);
  expect(figures.resyncs).toBeGreaterThanOrEqual(3);
});
