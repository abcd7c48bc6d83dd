/**
 * A source that connects only when its host's budget has room. Sessions stay open to hear of new mail at once; when
 * others wait for a connection to the same host, one that merely listens is given up and made again later.
 */
import type { ConnectionBudget, Release } from './connection-budget.ts';
import type { Session, Source } from './source.ts';

/** Bounds `source`, which connects to `host`, by `budget`. */
export function budgetedSource(source: Source, host: string, budget: ConnectionBudget): Source {
  return {
    kind: source.kind,
    async connect(signal) {
      // Before: what waits for its time must not keep a place that others could use.
      await source.ready?.(signal);
      const release = await budget.acquire(host, signal);
      try {
        return budgetedSession(await source.connect(signal), host, budget, release);
      } catch (error) {
        release();
        throw error;
      }
    },
    diagnose: (signal) => source.diagnose(signal),
  };
}

function budgetedSession(
  session: Session,
  host: string,
  budget: ConnectionBudget,
  release: Release,
): Session {
  const close = async (): Promise<void> => {
    await session.close();
    release();
  };
  return {
    snapshot: session.snapshot,
    open: (path) => session.open(path),
    changes: (cursor, until, fetching) => session.changes(cursor, until, fetching),
    currentCursor: () => session.currentCursor(),
    keys: () => session.keys(),
    list: (keys) => session.list(keys),
    fetch: (keys, maxBytes) => session.fetch(keys, maxBytes),
    stream: (key, maxBytes) => session.stream(key, maxBytes),
    fingerprints: (keys) => session.fingerprints(keys),
    existing: (keys) => session.existing(keys),
    dispose: (keys, what, folder) => session.dispose(keys, what, folder),
    async wait(ms, signal) {
      if (session.snapshot) {
        await session.wait(0, signal);
        await close();
        await rest(ms, signal);
        return 'parted';
      }
      const until = performance.now() + ms;
      const asked = new AbortController();
      const takeBack = budget.offer(host, () => asked.abort());
      const heard = await session.wait(ms, AbortSignal.any([signal, asked.signal])).finally(takeBack);
      if (!asked.signal.aborted) return heard;
      await close();
      // Whoever gave way waits its interval out: coming back at once would only take the place of the next.
      if (heard !== 'changed') await rest(until - performance.now(), signal);
      return 'parted';
    },
    close,
  };
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, Math.max(0, ms));
  signal.addEventListener('abort', () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
}
