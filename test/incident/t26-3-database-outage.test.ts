/**
 * The database is away for an hour, just after the mail servers were away for some minutes. Nothing happens on those
 * meanwhile, everything is made up for within a minute, and nobody is called for a mailbox. The time is simulated.
 */
import { expect, it } from 'vitest';
import type { Ailing } from '../../src/observe/alert.ts';
import { EVENTS } from '../../src/observe/events.ts';
import { type Facts, readFacts } from '../../src/observe/facts.ts';
import { judgeHealth } from '../../src/observe/health.ts';
import { tell } from '../../src/observe/health-watch.ts';
import { expectExactlyOnce } from '../support/exactly-once.ts';
import { simpleMessage } from '../support/messages.ts';
import { Pipe } from '../support/pipe.ts';
import { resting, SimulatedClock } from '../support/simulated-clock.ts';
import { Site } from '../support/site.ts';
import { wireToDatabase } from '../support/wire.ts';

const USERS = ['ann', 'bob', 'cho'];
const MINUTE_MS = 60_000;
const LEASE_SECONDS = 90;
const STEP_MS = (LEASE_SECONDS * 1000) / 3;

it('T26.3 an hour without the database: nothing is touched, all is made up for, and nobody is called', async () => {
  const site = await Site.start({ backend: 'postgres' });
  const clock = await SimulatedClock.start(site.env.DATABASE_URL!);
  await site.attach();
  await site.addMailbox('ann', { after: 'seen', pollSeconds: 60 });
  await site.addMailbox('bob', { after: 'move', afterFolder: 'Done', pollSeconds: 60 });
  await site.addMailbox('cho', { after: 'delete', pollSeconds: 60 }, 'pop3');
  const { wire } = await wireToDatabase(site.env.DATABASE_URL!);
  const through = new URL(site.env.DATABASE_URL!);
  through.hostname = '127.0.0.1';
  through.port = String(wire.port);
  through.search = '';
  const pipe = await Pipe.start(site, {
    env: { DATABASE_URL: through.href, PENSTOCK_LEASE_SECONDS: String(LEASE_SECONDS) },
    poll: false,
    rest: clock.rest,
    wrap: (_kind, session) => resting(session, clock),
  });

  let delivered = 0;
  const deliver = (): void => {
    for (const user of USERS) site.deliver(user, simpleMessage(`${user}-${delivered}`));
    delivered += 1;
  };
  let ailing: ReadonlyMap<number, Ailing> = new Map();
  let facts: Facts;
  const look = async (): Promise<void> => {
    const { db, config, dataDirectory: data } = pipe.runtime;
    const { staleIntervals } = config.poller;
    facts = await readFacts({ db, data, staleIntervals, queueDepth: () => pipe.work.queue.depth() });
    ailing = tell(ailing, facts, pipe.events);
  };
  /** As the daemon does it: the supervisor reviews, and somebody looks at the health, every so often. */
  const pass = async (
    minutes: number,
    onStep: () => Promise<void> = async () => undefined,
  ): Promise<void> => {
    for (const end = clock.now + minutes * MINUTE_MS; clock.now < end; ) {
      const next = clock.now + STEP_MS;
      while (clock.now < next) {
        await clock.quiet(USERS.length);
        await clock.leap(next);
      }
      await look();
      await pipe.supervisor.review();
      await onStep();
    }
    await clock.quiet(USERS.length);
  };
  await pipe.supervisor.review();
  deliver();
  await pass(2);
  await site.waitUntilProcessed();
  expect(judgeHealth(facts!, facts!.now).reasons).toEqual([]);

  const undo = [site.server, site.pop3].map(({ faults }) =>
    faults.add({ at: 'connect', action: { do: 'drop' } }),
  );
  site.server.disconnectAll();
  await pass(3.5);
  expect([...ailing.values()].map(({ told }) => told)).toEqual(USERS.map(() => false));
  for (const mend of undo) mend();

  wire.cut();
  const before = { logins: site.server.accepted + site.pop3.accepted, told: pipe.told.length };
  await pass(60, async () => {
    if (clock.now % (10 * MINUTE_MS) === 0) deliver();
    expect((await site.touched()).count).toBe((await site.emails()).length);
  });
  expect(judgeHealth(facts!, facts!.now)).toMatchObject({
    ready: false,
    mailboxes: [],
    reasons: [{ check: 'database' }, { check: 'queue' }],
  });
  expect(delivered).toBeGreaterThan(6);
  expect(await site.emails()).toHaveLength(USERS.length);
  // The pause between two attempts grows to minutes: the mail servers are left alone.
  expect(site.server.accepted + site.pop3.accepted - before.logins).toBeLessThan(USERS.length * 30);

  await wire.mend();
  await look();
  // A daemon hears at once that the database is there again. Its leases are over.
  await pipe.supervisor.review();
  await pass(1);
  await site.waitUntilProcessed();
  await pass(5);
  expect(judgeHealth(facts!, facts!.now).reasons).toEqual([]);
  const calls = pipe.told
    .slice(before.told)
    .filter(({ name }) => EVENTS[name].level === 'error' && name !== 'engine.error');
  expect(calls).toEqual([]);
  await expectExactlyOnce(site);
}, 120_000);
