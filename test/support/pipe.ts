/** What runs on a site: the whole pipe inside the test's process, or a daemon as a process of its own. */
import { onTestFinished } from 'vitest';
import type { IntakeContext } from '../../src/intake/context.ts';
import { makePressure } from '../../src/intake/pressure.ts';
import { Supervisor } from '../../src/intake/supervisor.ts';
import { tellLogin } from '../../src/login-events.ts';
import { type EventData, type EventName, Events } from '../../src/observe/events.ts';
import { openRuntime, type Runtime } from '../../src/runtime.ts';
import type { Session, Source, SourceKind } from '../../src/source/source.ts';
import { Work, type WorkOptions } from '../../src/work.ts';
import { type Running, startPenstock } from './process.ts';
import { type Site, until } from './site.ts';

export interface PipeOptions {
  /** Environment variables on top of the site's. */
  env?: Record<string, string>;
  work?: Partial<WorkOptions>;
  /** Without: nobody polls. */
  poll?: boolean;
  /** Stands between pollers and their sessions, to break or change something at a certain step. */
  wrap?(kind: SourceKind, session: Session): Session;
  /** How pollers wait between two attempts: see simulated-clock.ts. */
  rest?: IntakeContext['rest'];
}

interface Told<N extends EventName = EventName> {
  name: N;
  data: EventData[N];
}

export class Pipe {
  readonly runtime: Runtime;
  readonly work: Work;
  readonly supervisor: Supervisor;
  /** Heard first, before the event is kept. */
  readonly events: Events;
  readonly told: Told[];
  #stopped: Promise<void> | null = null;

  private constructor(parts: Pick<Pipe, 'runtime' | 'work' | 'supervisor' | 'events' | 'told'>) {
    this.runtime = parts.runtime;
    this.work = parts.work;
    this.supervisor = parts.supervisor;
    this.events = parts.events;
    this.told = parts.told;
  }

  /** Starts everything but the API; it stops with the test. Lost jobs are made good within a second or two. */
  static async start(site: Site, options: PipeOptions = {}): Promise<Pipe> {
    const events = new Events();
    const told: Told[] = [];
    events.listen((name, data) => void told.push({ name, data }));
    const runtime = await openRuntime(await site.config(options.env), {
      borrow: false,
      onError: (error) => events.emit('engine.error', { engine: 'database', message: error.message }),
      onLogin: (event) => tellLogin(events, event),
    });
    const sweep = { everyMs: 200, lostAfterSeconds: 1 };
    const work = await Work.start(runtime, events, { process: true, sweep, ...options.work });
    const context: IntakeContext = {
      db: runtime.db,
      raw: runtime.raw,
      events,
      enqueue: (kind, mailboxId, emails) => work.enqueue(kind, mailboxId, emails),
      pressure: makePressure(runtime.db, runtime.raw.files),
      rest: options.rest,
    };
    const supervisor = new Supervisor(context, {
      leaseSeconds: runtime.config.poller.leaseSeconds,
      makeSource: async (mailbox) => {
        const source = await runtime.sources.source(mailbox);
        const { wrap } = options;
        if (wrap === undefined) return source;
        const connect: Source['connect'] = async (signal) => wrap(mailbox.kind, await source.connect(signal));
        return { ...source, connect };
      },
    });
    if (options.poll !== false) supervisor.start();
    const pipe = new Pipe({ runtime, work, supervisor, events, told });
    onTestFinished(() => pipe.stop());
    return pipe;
  }

  /** As the daemon does at SIGTERM. */
  stop(): Promise<void> {
    this.#stopped ??= (async () => {
      await this.supervisor.stop();
      await this.work.stop();
      await this.runtime.close();
    })();
    return this.#stopped;
  }

  /** What was told under this name so far. */
  of<N extends EventName>(name: N): EventData[N][] {
    return this.told.filter((one): one is Told<N> => one.name === name).map(({ data }) => data);
  }

  /** Waits until it was told so often. */
  async waitFor(name: EventName, times = 1): Promise<void> {
    await until(
      () => this.of(name).length >= times,
      () => `${name} was told ${this.of(name).length} times instead of ${times}`,
    );
  }
}

/** `penstock start` on a site, without the API. */
export function startDaemon(site: Site, env: Record<string, string> = {}): Running {
  const daemon = startPenstock(['start'], {
    env: { ...site.env, PENSTOCK_ROLES: 'poller,worker', PENSTOCK_LOG_LEVEL: 'debug', ...env },
  });
  onTestFinished(async () => void (await daemon.kill()));
  return daemon;
}
