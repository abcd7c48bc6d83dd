/** Reads the facts that health and metrics are made of. Never throws and never hangs: silence is a fact too. */
import { statfs } from 'node:fs/promises';
import { LIMITS } from '../limits.ts';
import type { Database } from '../store/database.ts';
import { destinationStandings } from '../store/deliveries.ts';
import { backlog } from '../store/emails.ts';
import { type OutgoingStanding, outgoingStandings } from '../store/outgoing-watch.ts';
import { type SubscriptionStanding, subscriptionStandings } from '../store/subscriptions.ts';
import { countHeldUp, credentialEnds, failingCredentials, watchMailboxes } from '../store/watch.ts';
import type { HealthFacts, Reached } from './health.ts';

export interface FactSources {
  db: Database;
  /** Jobs not yet started; fails when the queue does not answer. */
  queueDepth(): Promise<number>;
  /** The data directory. */
  data: string;
  staleIntervals: number;
  /** Time for all questions together (ms). */
  deadlineMs?: number;
}

export interface Facts extends HealthFacts {
  /** By the database's clock; by this machine's when the database did not answer. */
  now: Date;
  queueJobs: number | null;
  heldUp: Awaited<ReturnType<typeof countHeldUp>>;
  subscriptions: SubscriptionStanding[];
  credentialEnds: Awaited<ReturnType<typeof credentialEnds>>;
  outgoing: OutgoingStanding[];
  failingCredentials: Awaited<ReturnType<typeof failingCredentials>>;
}

/** Asks every source once, all at the same time, each within one deadline. */
export async function readFacts(sources: FactSources): Promise<Facts> {
  const { db, deadlineMs = LIMITS.healthDeadlineMs } = sources;
  const attempt = <T>(ask: () => Promise<T>) => attemptWithin(deadlineMs, ask);
  const [fromDatabase, jobs, free] = await Promise.all([
    attempt(async () => ({
      ...(await watchMailboxes(db)),
      backlog: await backlog(db, LIMITS.queueDepth),
      heldUp: await countHeldUp(db, LIMITS.heldUpCount),
      subscriptions: await subscriptionStandings(db),
      credentialEnds: await credentialEnds(db),
      outgoing: await outgoingStandings(db),
      failingCredentials: await failingCredentials(db),
      destinations: await destinationStandings(db, LIMITS.heldUpCount),
    })),
    attempt(() => sources.queueDepth()),
    attempt(async () => {
      const disk = await statfs(sources.data);
      return disk.bavail * disk.bsize;
    }),
  ]);
  const known = fromDatabase.ok ? fromDatabase.value : null;
  return {
    now: known?.now ?? new Date(),
    database: reached(fromDatabase),
    queue: reached(jobs),
    queueJobs: jobs.ok ? jobs.value : null,
    diskFreeBytes: free.ok ? free.value : null,
    backlog: known?.backlog ?? null,
    mailboxes: known?.mailboxes ?? [],
    heldUp: known?.heldUp ?? [],
    subscriptions: known?.subscriptions ?? [],
    credentialEnds: known?.credentialEnds ?? [],
    outgoing: known?.outgoing ?? [],
    failingCredentials: known?.failingCredentials ?? [],
    destinations: known?.destinations ?? [],
    staleIntervals: sources.staleIntervals,
  };
}

/**
 * Makes a reader for many askers: those who ask at the same time or shortly after one another share one answer,
 * so that health checks cannot load the database.
 */
export function createFactReader(
  sources: FactSources,
  clock: () => number = () => performance.now(),
): () => Promise<Facts> {
  let last: { facts: Promise<Facts>; answeredAt: number | null } | null = null;
  return () => {
    const isFresh =
      last !== null && (last.answeredAt === null || clock() - last.answeredAt < LIMITS.healthReuseMs);
    if (last !== null && isFresh) return last.facts;
    const asked: typeof last = { facts: readFacts(sources), answeredAt: null };
    last = asked;
    return asked.facts.finally(() => {
      asked.answeredAt = clock();
    });
  };
}

type Attempt<T> = { ok: true; value: T } | { ok: false; error: string };

async function attemptWithin<T>(ms: number, ask: () => Promise<T>): Promise<Attempt<T>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Attempt<T>>((resolve) => {
    const error = `no answer within ${ms / 1000} s`;
    timer = setTimeout(() => resolve({ ok: false, error }), ms);
  });
  // A source may throw before it returns a promise; one that is late must not reject into nowhere.
  const asked = Promise.resolve()
    .then(ask)
    .then(
      (value): Attempt<T> => ({ ok: true, value }),
      (error: unknown): Attempt<T> => ({ ok: false, error: briefly(error) }),
    );
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The code says enough and, unlike the text, never holds an address or a name. */
function briefly(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return String(code ?? name ?? 'unknown error');
}

function reached(result: Attempt<unknown>): Reached {
  return result.ok ? { ok: true } : { ok: false, error: result.error };
}
