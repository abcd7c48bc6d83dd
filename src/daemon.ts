/** The daemon: the only file that knows all parts. Puts them together in order, and takes them apart in reverse. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type AdminClient, ensureAdminClient } from './admin-client.ts';
import type { ApiServer } from './api-server.ts';
import type { Config } from './config/settings.ts';
import { Deliverer } from './deliver/deliverer.ts';
import { makeSender } from './delivery.ts';
import type { PenstockError } from './errors.ts';
import type { IntakeContext } from './intake/context.ts';
import { makePressure } from './intake/pressure.ts';
import { SubscriptionKeeper } from './intake/subscription-keeper.ts';
import type { PushAddresses } from './intake/subscription-plan.ts';
import { Supervisor } from './intake/supervisor.ts';
import { LIMITS } from './limits.ts';
import { tellLogin } from './login-events.ts';
import { hostOf } from './mailbox-source.ts';
import { Maintenance } from './maintenance.ts';
import { Events } from './observe/events.ts';
import { createFactReader } from './observe/facts.ts';
import { watchHealth } from './observe/health-watch.ts';
import { logEvents } from './observe/logger.ts';
import { openRuntime, type Runtime } from './runtime.ts';
import { budgetedSource } from './source/budgeted-source.ts';
import { ConnectionBudget } from './source/connection-budget.ts';
import { NoticeListener } from './store/notify.ts';
import { VERSION } from './version.ts';
import { Work } from './work.ts';

export interface Daemon {
  /** Where the API is; null when this process has no api role. */
  url: string | null;
  /** The same on this machine, when another server stands in front. */
  localUrl: string | null;
  /** Set at the first start only. */
  adminClient: AdminClient | null;
  events: Events;
  runtime: Runtime;
  work: Work;
  /** Resolves when the daemon cannot go on, and had better be stopped and started again. */
  failed: Promise<PenstockError>;
  /** Stops within {@link STOP_STAGES}: pollers between two batches, workers after their jobs, the database last. */
  stop(reason?: string): Promise<void>;
}

/**
 * How a stop goes, stage by stage, and how long each may take (milliseconds). Parts of one stage stop side by side.
 * What hangs must not keep the next stage waiting: it ends with the database, and the rows say where to go on.
 */
const STOP_STAGES = {
  /** What takes in or works off mail: requests, pollers, running jobs. */
  traffic: 4_000,
  /** What they worked with: analysis threads and the queue. */
  tools: 1_500,
  /** The database: an embedded one writes what it holds. */
  engines: 2 * LIMITS.engineStopMs + 1_000,
} as const;
/** How long deliveries that are under way may take to end. */
const DELIVERY_GRACE_MS = 3_000;
type StopStage = keyof typeof STOP_STAGES;
type OnStop = (stage: StopStage, step: () => Promise<void>) => void;

/** Starts everything the configured roles need. What was started is stopped again when a later part fails. */
export async function startDaemon(config: Config, logger: Logger): Promise<Daemon> {
  const events = new Events();
  logEvents(events, logger);
  const steps: Record<StopStage, (() => Promise<void>)[]> = { traffic: [], tools: [], engines: [] };
  const onStop: OnStop = (stage, step) => void steps[stage].push(step);
  let stopping: Promise<void> | null = null;
  const stop = (reason = 'request'): Promise<void> => {
    stopping ??= (async () => {
      const started = performance.now();
      events.emit('daemon.stopping', { signal: reason });
      for (const stage of Object.keys(STOP_STAGES) as StopStage[]) {
        const stopped = steps[stage].map((step) =>
          step().catch((error: Error) =>
            events.emit('engine.error', { engine: 'database', message: error.message }),
          ),
        );
        await within(STOP_STAGES[stage], Promise.all(stopped));
      }
      events.emit('daemon.stopped', { milliseconds: Math.round(performance.now() - started) });
    })();
    return stopping;
  };
  try {
    const daemon = await startParts(config, logger, events, onStop);
    return { ...daemon, stop };
  } catch (error) {
    await stop('failed start');
    throw error;
  }
}

async function startParts(
  config: Config,
  logger: Logger,
  events: Events,
  onStop: OnStop,
): Promise<Omit<Daemon, 'stop'>> {
  const has = (role: Config['roles'][number]): boolean => config.roles.includes(role);
  const onError = (error: Error): void =>
    events.emit('engine.error', { engine: 'database', message: error.message });
  // What one role alone needs is loaded for it alone: other processes start sooner and are smaller.
  const serving = has('api')
    ? { ...(await import('./api-server.ts')), ...(await import('./observe/metrics.ts')) }
    : null;
  // Listens from the beginning, so that nothing that happens while the parts start goes uncounted.
  const metrics = serving?.createMetrics({ events, readFacts: () => readFacts() });
  const { promise: failed, resolve: onFailure } = Promise.withResolvers<PenstockError>();
  const engineLog = logger.child({ part: 'engine' });
  const runtime = await openRuntime(config, {
    borrow: false,
    logger: engineLog,
    onError,
    onLogin: (event) => tellLogin(events, event),
    onFailure,
  });
  onStop('engines', () => runtime.close());
  const adminClient = await ensureAdminClient(runtime);

  const work = await Work.start(runtime, events, { process: has('worker') });
  onStop('traffic', () => work.drain());
  onStop('tools', () => work.close());
  const intake: IntakeContext = {
    db: runtime.db,
    raw: runtime.raw,
    events,
    enqueue: (kind, mailboxId, emails) => work.enqueue(kind, mailboxId, emails),
    pressure: makePressure(runtime.db, runtime.raw.files),
  };
  const { leaseSeconds, connectionsPerHost: connections, connectsPerMinute } = config.poller;
  const budget = new ConnectionBudget({ connections, connectsPerMinute });
  const supervisor = has('poller')
    ? new Supervisor(intake, {
        leaseSeconds,
        makeSource: async (mailbox) =>
          budgetedSource(await runtime.sources.source(mailbox), hostOf(mailbox), budget),
      })
    : null;
  if (supervisor !== null) {
    supervisor.start();
    onStop('traffic', () => supervisor.stop());
  }
  const readFacts = createFactReader({
    db: runtime.db,
    queueDepth: () => work.queue.depth(),
    data: runtime.dataDirectory,
    staleIntervals: config.poller.staleIntervals,
  });
  const stopWatching = watchHealth(readFacts, events);
  onStop('traffic', async () => stopWatching());
  const sender = makeSender(runtime, work);
  if (has('worker')) {
    const deliverer = new Deliverer(runtime.db, events, sender);
    deliverer.start();
    onStop('traffic', () => deliverer.stop(DELIVERY_GRACE_MS));
    const maintenance = new Maintenance(runtime.db, runtime.raw, events, config.retention.processedDays);
    maintenance.start();
    onStop('traffic', () => maintenance.stop());
  }
  let api: ApiServer | null = null;
  if (serving !== null && metrics !== undefined) {
    api = await serving.serveApi({ runtime, events, work, sender, metrics, readFacts });
    const { close } = api;
    onStop('traffic', close);
  }
  // After the API: providers call it before they give a subscription.
  const keeper =
    supervisor === null
      ? null
      : new SubscriptionKeeper({
          db: runtime.db,
          events,
          addresses: pushAddresses(config),
          subscriptionsOf: (id) => runtime.sources.subscriptions(id),
          held: () => supervisor.held(),
          onMail: (id) => supervisor.hint(id),
        });
  if (keeper !== null) {
    keeper.start();
    onStop('traffic', () => keeper.stop());
  }
  const pull =
    has('poller') && config.pubsub.subscription !== null
      ? await (await import('./gmail-pull.ts')).gmailPull(runtime, events)
      : null;
  if (pull !== null) {
    pull.start();
    onStop('traffic', () => pull.stop());
  }
  const listener = listenForNotices(runtime, work, supervisor, keeper);
  await listener.start();
  onStop('traffic', () => listener.close());
  await announce(runtime, api?.url ?? null, onStop);
  events.emit('daemon.started', {
    version: VERSION,
    roles: config.roles,
    queue: work.queue.backend,
    database: runtime.embedded ? 'embedded' : 'server',
  });
  return {
    url: api?.url ?? null,
    localUrl: api?.localUrl ?? null,
    adminClient,
    events,
    runtime,
    work,
    failed,
  };
}

/** Notices make changes felt at once; without them each part looks by itself within seconds. */
function listenForNotices(
  runtime: Runtime,
  work: Work,
  supervisor: Supervisor | null,
  keeper: SubscriptionKeeper | null,
): NoticeListener {
  const lookAgain = (): void => {
    // What cannot be forgotten now is forgotten at the next change of a mailbox.
    runtime.sources.forgetRemoved().catch(() => undefined);
    work.rules.invalidate();
    work.policies.invalidate();
    work.destinations.invalidate();
    work.dispatcher?.wake();
    void supervisor?.review();
    void keeper?.review();
  };
  const onNotice = (notice: string): void => {
    if (notice === 'rules') work.rules.invalidate();
    else if (notice === 'destinations') work.destinations.invalidate();
    else if (notice.startsWith('poll:')) supervisor?.wake(Number(notice.slice('poll:'.length)));
    else if (notice.startsWith('mail:')) supervisor?.hint(Number(notice.slice('mail:'.length)));
    else if (notice === 'outgoing') work.dispatcher?.wake();
    else if (notice === 'subscriptions') void keeper?.review();
    else lookAgain();
  };
  return new NoticeListener(runtime.connection, onNotice, lookAgain);
}

/** Where providers can tell us of new mail. Graph calls https addresses only. */
function pushAddresses({ server, gmail }: Config): PushAddresses {
  const url = server.publicUrl?.replace(/\/+$/, '') ?? '';
  return { graph: url.startsWith('https://') ? `${url}/notifications/graph` : null, gmail: gmail.topic };
}

/** Leaves the address where tools on this machine find it. */
async function announce(runtime: Runtime, url: string | null, onStop: OnStop): Promise<void> {
  const file = join(runtime.dataDirectory, 'running.json');
  await writeFile(file, `${JSON.stringify({ pid: process.pid, url })}\n`);
  onStop('traffic', () => rm(file, { force: true }));
}

/** Resolves when `work` is done, or the time is over. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const done = new AbortController();
  const late = sleep(ms, undefined, { signal: done.signal }).catch(() => undefined);
  await Promise.race([work, late]);
  done.abort();
}
