/** The clock of the host jumps. What must not be early or late goes by the database's clock, or by one that only runs. */
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { makePressure } from '../../src/intake/pressure.ts';
import { LIMITS } from '../../src/limits.ts';
import { Events } from '../../src/observe/events.ts';
import { RuleCache } from '../../src/process/rule-cache.ts';
import { saveRule } from '../../src/store/rules.ts';
import { makeRule } from '../rule/fixtures.ts';
import { expectExactlyOnce } from '../support/exactly-once.ts';
import { simpleMessage } from '../support/messages.ts';
import { Pipe } from '../support/pipe.ts';
import { BACKENDS, Site } from '../support/site.ts';

const HOUR_MS = 60 * 60_000;

afterEach(() => void vi.useRealTimers());

describe.each(BACKENDS)('T25.2 the clock jumps under a running pipe (queue on %s)', (backend) => {
  it('T25.2 by hours, forth and back: the lease stays, the session stays, mail goes through', async () => {
    const site = await Site.start({ backend });
    await site.addMailbox('ann', { after: 'seen' });
    const pipe = await Pipe.start(site);
    await pipe.waitFor('mailbox.listed');
    const connections = site.server.accepted;
    const real = Date.now();
    vi.useFakeTimers({ toFake: ['Date'], now: real });
    for (const hours of [3, -3]) {
      vi.setSystemTime(real + hours * HOUR_MS);
      // While the session waits, and nothing has moved since the jump.
      void pipe.supervisor.review();
      await sleep(200);
      for (let index = 0; index < 3; index += 1) site.deliver('ann', simpleMessage(`at-${hours}-${index}`));
      await site.waitUntilProcessed();
      // Through a poll by the interval and a renewal of the lease.
      await pipe.waitFor('mailbox.listed', pipe.of('mailbox.listed').length + 2);
    }
    vi.useRealTimers();
    expect(pipe.of('lease.lost')).toEqual([]);
    expect(pipe.of('mailbox.failed')).toEqual([]);
    expect(pipe.of('lease.acquired')).toHaveLength(1);
    expect(site.server.accepted).toBe(connections);
    // The whole folder is compared with the ledger once in an hour, not at every poll of a clock that is ahead.
    expect(pipe.of('audit.finished')).toHaveLength(1);
    await expectExactlyOnce(site);
  });
});

it('T25.2 a retry is due when the database says so', async () => {
  const site = await Site.start({ backend: 'postgres' });
  await site.addMailbox('ann', { after: 'seen' });
  await sql`
    create function refuse() returns trigger language plpgsql as $$
    begin
      if new.state = 'processed' then raise exception 'not now' using errcode = 'P0001'; end if;
      return new;
    end $$`.execute(site.runtime.db);
  await sql`
    create trigger refuse before update on incoming_email for each row execute function refuse()`.execute(
    site.runtime.db,
  );
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 5 * HOUR_MS });
  site.deliver('ann', simpleMessage('retried'));
  const pipe = await Pipe.start(site);
  await pipe.waitFor('message.retrying');
  const { rows } = await sql<{ seconds: number }>`
    select extract(epoch from next_attempt_at - now())::float8 as seconds from incoming_email`.execute(
    site.runtime.db,
  );
  expect(rows[0]!.seconds).toBeGreaterThan(0);
  expect(rows[0]!.seconds).toBeLessThan(2 * 60);
  await sql`drop trigger refuse on incoming_email`.execute(site.runtime.db);
  await site.passTime(2 * 60);
  await site.waitUntilProcessed();
  await expectExactlyOnce(site);
});

describe('T25.2 what is remembered for seconds is not remembered for hours when the clock goes back', () => {
  it('T25.2 a pause for want of room ends', async () => {
    const site = await Site.start({ backend: 'postgres' });
    vi.useFakeTimers({ toFake: ['Date', 'performance'], now: Date.now() });
    let free = 0;
    const files = { freeBytes: async () => free };
    const pressure = makePressure(site.runtime.db, files);
    expect(await pressure()).toMatch(/disk/);
    free = 2 * LIMITS.diskFreeBytes;
    expect(await pressure()).toMatch(/disk/);
    vi.advanceTimersByTime(3_000);
    vi.setSystemTime(Date.now() - HOUR_MS);
    expect(await pressure()).toBeNull();
  });

  it('T25.2 a changed rule is seen', async () => {
    const site = await Site.start({ backend: 'postgres' });
    const { db } = site.runtime;
    vi.useFakeTimers({ toFake: ['Date', 'performance'], now: Date.now() });
    const rules = new RuleCache(db, new Events());
    expect((await rules.current()).rules).toEqual([]);
    await db.transaction().execute((tx) => saveRule(tx, makeRule({ id: 0, name: 'new' }), 'test'));
    vi.advanceTimersByTime(6_000);
    vi.setSystemTime(Date.now() - HOUR_MS);
    expect((await rules.current()).rules).toMatchObject([{ name: 'new' }]);
  });
});
