/**
 * A day in seconds: time stands still while anybody works, and leaps to the next moment for which somebody waits when
 * all are at rest. Everything that asks what time it is gets the same answer: this process by `Date` and
 * `performance.now`, the database by `now()` and `clock_timestamp()`. Timers are left alone: those of libraries guard
 * real connections.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { onTestFinished, vi } from 'vitest';
import type { Session } from '../../src/source/source.ts';
import { stepping } from './intake.ts';

interface Sleeper {
  until: number;
  wake(): void;
}

export class SimulatedClock {
  /** Milliseconds since the beginning. */
  now = 0;
  readonly #database: Client;
  readonly #sleepers = new Set<Sleeper>();

  private constructor(database: Client) {
    this.#database = database;
  }

  /** For connections to this database that are opened from now on. Ends with the test. */
  static async start(databaseUrl: string): Promise<SimulatedClock> {
    const database = new Client({ connectionString: databaseUrl });
    await database.connect();
    // Functions of the catalogue come first only where the path does not name it.
    await database.query(`
      create schema simulation;
      create table simulation.clock (ahead interval not null);
      insert into simulation.clock values ('0');
      create function simulation.now() returns timestamptz stable language sql
        return pg_catalog.now() + (select ahead from simulation.clock);
      create function simulation.clock_timestamp() returns timestamptz volatile language sql
        return pg_catalog.clock_timestamp() + (select ahead from simulation.clock);
      do $$ begin
        execute format('alter database %I set search_path = public, simulation, pg_catalog', current_database());
      end $$`);
    vi.useFakeTimers({ toFake: ['Date', 'performance'], now: Date.now() });
    onTestFinished(async () => {
      vi.useRealTimers();
      await database.end();
    });
    return new SimulatedClock(database);
  }

  /** Resolves when so much time has passed, or `signal` ends it. */
  rest = async (ms: number, signal: AbortSignal): Promise<void> => {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const sleeper = { until: this.now + ms, wake: resolve };
    this.#sleepers.add(sleeper);
    signal.addEventListener('abort', () => resolve(), { once: true });
    await promise;
    this.#sleepers.delete(sleeper);
  };

  /** Waits until `count` rest: nobody works then. */
  async quiet(count: number): Promise<void> {
    while (this.#sleepers.size < count) await sleep(1);
  }

  /** Lets time pass up to `until` at most: to the first who wakes before. */
  async leap(until: number): Promise<void> {
    const first = Math.min(until, ...[...this.#sleepers].map((sleeper) => sleeper.until));
    const ms = Math.max(0, first - this.now);
    await this.#database.query(`update simulation.clock set ahead = ahead + make_interval(secs => $1)`, [
      ms / 1000,
    ]);
    vi.advanceTimersByTime(ms);
    this.now += ms;
    for (const sleeper of this.#sleepers) {
      if (sleeper.until > this.now) continue;
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
  }
}

/** Waits by the simulated clock where the real session would wait for the server. */
export function resting(session: Session, clock: SimulatedClock): Session {
  return {
    ...stepping(session, () => {}),
    async wait(ms, signal) {
      if (session.snapshot) {
        await session.wait(0, signal);
        await session.close();
      }
      await clock.rest(ms, signal);
      return session.snapshot ? 'parted' : 'timeout';
    },
  };
}
