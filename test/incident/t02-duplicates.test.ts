/** No message becomes two records, and no two messages become one. */
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { Supervisor } from '../../src/intake/supervisor.ts';
import { LIMITS } from '../../src/limits.ts';
import { MailSources } from '../../src/mailbox-source.ts';
import { Events } from '../../src/observe/events.ts';
import { analyse } from '../../src/process/analysis.ts';
import { PolicyCache } from '../../src/process/policy-cache.ts';
import { Processor } from '../../src/process/processor.ts';
import { RuleCache } from '../../src/process/rule-cache.ts';
import { cutIntoJobs, type JobData } from '../../src/queue/job.ts';
import { RawStore } from '../../src/raw/raw-store.ts';
import { openDatabase } from '../../src/store/database.ts';
import { commitIntake, type IntakeItem } from '../../src/store/intake.ts';
import { expectExactlyOnce } from '../support/exactly-once.ts';
import { simpleMessage } from '../support/messages.ts';
import { Pipe } from '../support/pipe.ts';
import { BACKENDS, Site } from '../support/site.ts';
import { wireToDatabase } from '../support/wire.ts';

/** A process that polls and works, on a queue that is a mere list: the test loses and repeats its jobs. */
class Actor {
  readonly events: Events;
  readonly supervisor: Supervisor;
  readonly #processor: Processor;
  readonly #close: () => Promise<void>;
  readonly #cut: () => void;
  readonly #working = new Set<Promise<void>>();

  private constructor(
    parts: { events: Events; supervisor: Supervisor; processor: Processor },
    close: () => Promise<void>,
    cut: () => void,
  ) {
    this.events = parts.events;
    this.supervisor = parts.supervisor;
    this.#processor = parts.processor;
    this.#close = close;
    this.#cut = cut;
  }

  static async start(site: Site, jobs: JobData[]): Promise<Actor> {
    const { wire, settings } = await wireToDatabase(site.env.DATABASE_URL!);
    const { db, close } = openDatabase(settings, { connections: 6, onError: () => {} });
    const events = new Events();
    const raw = new RawStore(db, site.runtime.dataDirectory);
    const policies = new PolicyCache({ ...site.runtime, db });
    const processor = new Processor({
      db,
      raw,
      events,
      rules: new RuleCache(db, events),
      pool: { run: analyse },
      timeouts: { messageMs: LIMITS.parseTimeoutMs, perMegabyteMs: LIMITS.parseTimeoutPerMegabyteMs },
      instanceId: site.runtime.instanceId,
      destinations: async () => [],
      policyOf: (mailboxId) => policies.of(mailboxId),
    });
    const sources = new MailSources(db, site.runtime.keys);
    const supervisor = new Supervisor(
      {
        db,
        raw,
        events,
        enqueue: async (_kind, mailboxId, emails) => {
          jobs.push(
            ...cutIntoJobs(
              emails.map(({ id }) => ({ id, mailboxId })),
              2,
            ),
          );
        },
        pressure: async () => null,
      },
      { leaseSeconds: 2, makeSource: (mailbox) => sources.source(mailbox) },
    );
    supervisor.start();
    return new Actor({ events, supervisor, processor }, close, () => wire.cut());
  }

  work(job: JobData): void {
    const working = this.#processor.handle(job);
    this.#working.add(working);
    void working.finally(() => this.#working.delete(working));
  }

  async stop(): Promise<void> {
    await this.supervisor.stop();
    await this.#processor.stop(5_000);
    await Promise.all(this.#working);
    await this.#close();
  }

  /** Loses the database in the middle of everything; nothing of this process reaches it again. */
  async crash(): Promise<void> {
    this.#cut();
    await this.stop();
  }
}

type Step =
  | { do: 'deliver'; messages: number }
  | { do: 'start' | 'stop' | 'crash'; actor: 0 | 1 }
  | { do: 'work'; actor: 0 | 1; job: number }
  | { do: 'lose jobs' }
  | { do: 'pass time' }
  | { do: 'wait'; ms: number };

const actor = fc.constantFrom(0 as const, 1 as const);
const deliver = fc.record({ do: fc.constant('deliver' as const), messages: fc.integer({ min: 1, max: 5 }) });
const some: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: deliver },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('start' as const), actor }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('stop' as const), actor }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('crash' as const), actor }) },
    {
      weight: 6,
      arbitrary: fc.record({ do: fc.constant('work' as const), actor, job: fc.nat({ max: 9 }) }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('lose jobs' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('pass time' as const) }) },
    {
      weight: 6,
      arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 40 }) }),
    },
  ),
  { minLength: 10, maxLength: 40 },
);
const steps = fc.tuple(deliver, some).map(([first, rest]): Step[] => [first, ...rest]);
/** More would use up the attempts of a message, which is then set aside, as it should be. */
const MOST_CRASHES = 3;

/** Lets an actor end what the steps left, and looks at the result. */
async function settle(site: Site, jobs: JobData[]): Promise<void> {
  await site.passTime(LIMITS.claimSeconds + 1);
  const last = await Actor.start(site, jobs);
  const settled = site.waitUntilProcessed();
  let done = false;
  settled.then(
    () => {
      done = true;
    },
    () => {
      done = true;
    },
  );
  while (!done) {
    await site.hurryRetries();
    for (const { id, mailbox, state } of await site.emails()) {
      if (state === 'queued' || state === 'retrying') last.work({ mailbox, ids: [id] });
    }
    await sleep(50);
  }
  await settled;
  await last.stop();
}

it('T2.1 any interleaving of two processes, their crashes, and jobs lost and repeated: exactly one record each', async () => {
  let subject = 0;
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      const site = await Site.start({ backend: 'postgres' });
      await site.addMailbox('ann', { after: 'move', afterFolder: 'Done' });
      const jobs: JobData[] = [];
      const actors: [Actor | null, Actor | null] = [null, null];
      const ended: Promise<void>[] = [];
      let crashes = 0;
      for (const step of script) {
        if (step.do === 'wait') await sleep(step.ms);
        else if (step.do === 'lose jobs') jobs.length = 0;
        else if (step.do === 'pass time') await site.passTime(LIMITS.claimSeconds + 1);
        else if (step.do === 'deliver') {
          for (let count = 0; count < step.messages; count += 1)
            site.deliver('ann', simpleMessage(`m${++subject}`));
        } else if (step.do === 'start') actors[step.actor] ??= await Actor.start(site, jobs);
        else if (step.do === 'work') {
          const job = jobs[step.job % Math.max(jobs.length, 1)];
          if (job !== undefined) actors[step.actor]?.work(job);
        } else {
          const leaving = actors[step.actor];
          if (leaving === null) continue;
          actors[step.actor] = null;
          const crashing = step.do === 'crash' && crashes < MOST_CRASHES;
          if (crashing) crashes += 1;
          ended.push(crashing ? leaving.crash() : leaving.stop());
        }
        expect((await site.touched()).withoutRow).toEqual([]);
      }
      await Promise.all([...ended, actors[0]?.stop(), actors[1]?.stop()]);
      await settle(site, jobs);
      await expectExactlyOnce(site);
    }),
    { numRuns: 8, endOnFailure: true },
  );
});

it('T2.1 a batch that is committed again, because nobody heard of its commit, adds nothing and undoes nothing', async () => {
  const site = await Site.start({ backend: 'postgres' });
  await site.addMailbox('ann', { after: 'seen' });
  for (const name of ['one', 'two']) site.deliver('ann', simpleMessage(name));
  const pipe = await Pipe.start(site);
  await site.waitUntilProcessed();
  await pipe.stop();
  const { db, raw } = site.runtime;
  const folder = await db.selectFrom('folder').select(['id', 'path', 'epoch']).executeTakeFirstOrThrow();
  const items: IntakeItem[] = [];
  for (const { uid, bytes } of site.delivered) {
    const result = { state: 'stored' as const, raw: await raw.put(bytes) };
    items.push({ key: String(uid), size: bytes.length, internalDate: null, result });
  }
  items.push({ key: '2', size: 0, internalDate: null, result: { state: 'gone', reason: 'a stale answer' } });
  for (const part of [items.slice(0, 2), items.slice(2)]) {
    const again = await commitIntake(db, {
      mailboxId: 1,
      leaseToken: null,
      folder,
      epoch: folder.epoch!,
      source: 'imap',
      dropCopies: true,
      dispose: true,
      cursor: null,
      items: part,
    });
    expect(again).toEqual({ stored: [], duplicates: [], known: part.map(({ key }) => key) });
  }
  await expectExactlyOnce(site);
});

describe.each(BACKENDS)('T2.2 one mail in two mailboxes (queue on %s)', (backend) => {
  it('T2.2 is two records, on one copy of the bytes', async () => {
    const site = await Site.start({ backend });
    const settings = { after: 'move', afterFolder: 'Done' } as const;
    await site.addMailbox('ann', settings);
    await site.addMailbox('bob', settings);
    const mail = simpleMessage('to both');
    site.deliver('ann', mail);
    site.deliver('bob', mail);
    await Pipe.start(site);
    await site.waitUntilProcessed();
    await expectExactlyOnce(site);
    const copies = await site.runtime.db.selectFrom('raw_message').select('size').execute();
    expect(copies).toEqual([{ size: mail.length }]);
  });
});

it('T2.4 one Message-ID with two bodies is two records, and the trace says so', async () => {
  const site = await Site.start({ backend: 'postgres' });
  await site.addMailbox('ann', { after: 'seen' });
  site.deliver('ann', simpleMessage('same', 'The first.\r\n'));
  await Pipe.start(site);
  await site.waitUntilProcessed();
  site.deliver('ann', simpleMessage('same', 'The second.\r\n'));
  await site.waitUntilProcessed();
  await expectExactlyOnce(site);
  const [first, second] = await site.emails();
  const { rows } = await sql`select distinct message_id as id from incoming_email`.execute(site.runtime.db);
  expect(rows).toEqual([{ id: 'same@example.org' }]);
  const warnings = async (email: typeof first): Promise<string[]> =>
    (await site.trace(email!)).flatMap((event) => (event.event === 'parsed' ? event.warnings : []));
  expect(await warnings(first)).toEqual([]);
  expect(await warnings(second)).toEqual([expect.stringContaining(`message_id_reuse: record ${first!.id}`)]);
});
