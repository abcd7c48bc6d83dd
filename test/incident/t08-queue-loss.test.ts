/** The queue is a hint. Whatever it loses, refuses or never answers, the rows say what is left to do. */
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { expectExactlyOnce } from '../support/exactly-once.ts';
import { simpleMessage } from '../support/messages.ts';
import { Pipe } from '../support/pipe.ts';
import { BACKENDS, Site, until } from '../support/site.ts';

let made = 0;

function deliver(site: Site, count: number): void {
  for (let index = 0; index < count; index += 1) {
    made += 1;
    site.deliver('ann', simpleMessage(`message-${made}`));
  }
}

/** Everything is stored and marked on the server; nobody asked whether there is a queue. */
async function waitUntilStored(site: Site): Promise<void> {
  const done = async (): Promise<number> => {
    const { rows } = await sql<{ done: number }>`
      select count(*)::int as done from ledger where disposition = 'done'`.execute(site.runtime.db);
    return rows[0]!.done;
  };
  await until(
    async () => (await done()) === site.delivered.length,
    async () => `${await done()} of ${site.delivered.length} are stored and marked`,
  );
}

describe.each(BACKENDS)('T8.1 the queue is emptied (on %s)', (backend) => {
  it('T8.1 before anybody took a job: every job is derived again', async () => {
    const site = await Site.start({ backend });
    await site.addMailbox('ann', { after: 'seen' });
    deliver(site, 120);
    const poller = await Pipe.start(site, { work: { process: false } });
    await waitUntilStored(site);
    await until(async () => (await poller.work.queue.depth()) > 0);
    await site.emptyQueue();
    expect(await poller.work.queue.depth()).toBe(0);
    expect(await site.states()).toEqual({ queued: 120 });

    const worker = await Pipe.start(site, { poll: false });
    await site.waitUntilProcessed();
    await expectExactlyOnce(site);
    const swept = worker.of('job.swept').reduce((sum, { messages }) => sum + messages, 0);
    expect(swept).toBeGreaterThanOrEqual(120);
  });

  it('T8.1 again and again in mid-load', async () => {
    const site = await Site.start({ backend });
    await site.addMailbox('ann', { after: 'seen' });
    await Pipe.start(site);
    for (let round = 1; round <= 6; round += 1) {
      deliver(site, 20);
      // In different moments of a job's life.
      await until(async () => (await site.emails()).length > (round - 1) * 20);
      await site.emptyQueue();
    }
    await site.waitUntilProcessed();
    await expectExactlyOnce(site);
  });
});

describe('T8.2 Redis is away', () => {
  it('T8.2 killed: mail is stored and marked meanwhile, and processed afterwards', async () => {
    const site = await Site.start({ backend: 'redis' });
    const redis = site.redis!;
    await site.addMailbox('ann', { after: 'seen' });
    const pipe = await Pipe.start(site);
    deliver(site, 3);
    await site.waitUntilProcessed();
    await redis.kill();
    deliver(site, 20);
    await waitUntilStored(site);
    expect((await site.touched()).withoutRow).toEqual([]);
    expect(await site.states()).toEqual({ processed: 3, queued: 20 });
    expect(pipe.of('engine.error')).toContainEqual(expect.objectContaining({ engine: 'queue' }));
    await redis.start();
    await site.waitUntilProcessed();
    await expectExactlyOnce(site);
  });

  it.each(['killed', 'hung'] as const)('T8.2 %s: a stop does not wait for it', async (how) => {
    const site = await Site.start({ backend: 'redis' });
    const redis = site.redis!;
    await site.addMailbox('ann', { after: 'seen' });
    const pipe = await Pipe.start(site);
    deliver(site, 1);
    await site.waitUntilProcessed();
    if (how === 'killed') await redis.kill();
    else redis.freeze();
    deliver(site, 5);
    await waitUntilStored(site);
    await pipe.stop();
    if (how === 'killed') await redis.start();
    else redis.thaw();
    await Pipe.start(site);
    await site.waitUntilProcessed();
    await expectExactlyOnce(site);
  });
});

it('T8.3 Redis is full: what it refuses is enqueued when there is room again', async () => {
  const site = await Site.start({ backend: 'redis' });
  const redis = site.redis!;
  await site.addMailbox('ann', { after: 'seen' });
  const pipe = await Pipe.start(site);
  await pipe.waitFor('mailbox.listed');
  await redis.command('config', 'set', 'maxmemory', 1);
  deliver(site, 20);
  await waitUntilStored(site);
  await until(() => pipe.of('engine.error').some(({ message }) => message.includes('OOM')));
  expect(await site.states()).toEqual({ queued: 20 });
  await redis.command('config', 'set', 'maxmemory', 0);
  await site.waitUntilProcessed();
  await expectExactlyOnce(site);
});
