/**
 * PostgreSQL restarts while a transaction is open: in its middle, or when it is durable and nobody has heard so. A
 * trigger makes the transaction of the moment wait there.
 */
import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { startDebianPostgres } from '../support/debian-postgres.ts';
import { expectExactlyOnce } from '../support/exactly-once.ts';
import { simpleMessage } from '../support/messages.ts';
import { Pipe } from '../support/pipe.ts';
import { Site, until } from '../support/site.ts';

const LOCK = 262;

interface Stop {
  /** What the transaction does there while somebody holds the lock. */
  body: string;
  /** How the server calls what it waits for then. */
  waitsFor: string;
}

const IN_THE_MIDDLE: Stop = { body: `perform pg_advisory_xact_lock_shared(${LOCK})`, waitsFor: 'advisory' };
/** It is durable, and its client is told when a standby has it too, which does not exist. */
const AFTER_THE_COMMIT: Stop = {
  body: `
    if not pg_try_advisory_xact_lock_shared(${LOCK}) then
      perform set_config('synchronous_commit', 'on', true);
    end if`,
  waitsFor: 'SyncRep',
};

const TRANSACTIONS: [what: string, event: string, table: string, when: string][] = [
  ['the intake', 'insert', 'ledger', 'true'],
  ['the outcome', 'insert', 'ticket', 'true'],
  ['what was done on the server', 'update', 'ledger', `new.disposition = 'done'`],
];

it('T26.2 PostgreSQL restarts in the middle of a transaction, or right after its commit: everything once', async () => {
  const database = await startDebianPostgres();
  const site = await Site.start({ backend: 'postgres', databaseUrl: database.url });
  await site.addMailbox('ann', { after: 'move', afterFolder: 'Done' });
  await site.addMailbox('bob', { after: 'delete' }, 'pop3');
  const ask = async (text: string): Promise<pg.QueryResult> => {
    const client = new pg.Client(database.url);
    client.on('error', () => {});
    await client.connect();
    try {
      return await client.query(text);
    } finally {
      await client.end();
    }
  };
  await ask(`alter database penstock set synchronous_commit = local`);
  await ask(`alter system set synchronous_standby_names = 'nobody'`);
  await ask('select pg_reload_conf()');
  const pipe = await Pipe.start(site);

  let made = 0;
  const deliver = (): void => {
    for (const user of ['ann', 'bob']) site.deliver(user, simpleMessage(`${user}-${made}`));
    made += 1;
  };
  const restartIn = async (
    [what, event, table, when]: (typeof TRANSACTIONS)[number],
    { body, waitsFor }: Stop,
    end: () => Promise<void>,
  ): Promise<void> => {
    await ask(`
      create or replace function stand_still() returns trigger language plpgsql as $$
      begin ${body}; return null; end $$;
      create trigger stand_still after ${event} on ${table} for each row when (${when})
      execute function stand_still()`);
    const holder = new pg.Client(database.url);
    holder.on('error', () => {});
    await holder.connect();
    onTestFinished(() => void holder.end().catch(() => undefined));
    await holder.query(`select pg_advisory_lock(${LOCK})`);
    deliver();
    const standing = `
      select 1 from pg_stat_activity where application_name = 'penstock' and wait_event = '${waitsFor}'`;
    await until(
      async () => (await ask(standing)).rowCount! > 0,
      () => `no transaction of ${what} waits for ${waitsFor}`,
    );
    expect((await site.touched()).withoutRow).toEqual([]);
    await end();
    await database.start();
    await ask(`drop trigger stand_still on ${table}`);
    // What a worker held when its connection broke is free again when its claim has expired.
    await site.passTime(600);
    await site.waitUntilProcessed();
    await expectExactlyOnce(site);
  };
  for (const transaction of TRANSACTIONS) {
    await restartIn(transaction, IN_THE_MIDDLE, database.kill);
    await restartIn(transaction, AFTER_THE_COMMIT, database.stop);
  }
  expect(pipe.of('message.quarantined')).toEqual([]);
});
