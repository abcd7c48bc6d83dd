/** The database goes away in mid-load and comes back. A connection that breaks ends what was asked, not the process. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { startDebianPostgres } from '../support/debian-postgres.ts';
import { expectExactlyOnce } from '../support/exactly-once.ts';
import { simpleMessage } from '../support/messages.ts';
import { Pipe } from '../support/pipe.ts';
import { BACKENDS, Site, until } from '../support/site.ts';

describe.each(BACKENDS)('T4b.1 the database restarts in mid-load (queue on %s)', (backend) => {
  // An error event that nobody hears, or a promise that nobody watches, fails the run.
  it('T4b.1 killed, then stopped: the process lives, nothing is touched without a row, all of it catches up', async () => {
    const database = await startDebianPostgres();
    const site = await Site.start({ backend, databaseUrl: database.url });
    await site.addMailbox('ann', { after: 'move', afterFolder: 'Done' });
    let made = 0;
    const deliver = (count: number): void => {
      for (let index = 0; index < count; index += 1) site.deliver('ann', simpleMessage(`m-${made + index}`));
      made += count;
    };
    const pipe = await Pipe.start(site);
    deliver(1);
    await site.waitUntilProcessed();
    for (const end of [database.kill, database.stop]) {
      const before = pipe.of('message.processed').length;
      deliver(150);
      await until(() => pipe.of('message.processed').length > before);
      await end();
      deliver(5);
      await sleep(300);
      await database.start();
      expect((await site.touched()).withoutRow).toEqual([]);
      // What a worker held when its connection broke is free again when its claim has expired.
      await site.passTime(600);
      await site.waitUntilProcessed();
      await expectExactlyOnce(site);
    }
    expect(pipe.of('engine.error')).toContainEqual(expect.objectContaining({ engine: 'database' }));
    expect(pipe.of('message.quarantined')).toEqual([]);
  });
});
