/** `penstock destination` on a database, from add to remove. */
import { expect, it } from 'vitest';
import { openDatabase } from '../../src/store/database.ts';
import { queueDeliveries } from '../../src/store/deliveries.ts';
import { runCommand } from '../support/command.ts';
import { tempFolder } from '../support/folder.ts';
import { outcome } from '../support/outbox.ts';
import { createTestDatabase } from '../support/postgres.ts';
import { Receivers, ROUTING_KEY } from '../support/receivers.ts';

it('adds, tests, lists, pauses, replays, releases and removes, with exit codes that scripts can use', async () => {
  const receivers = await Receivers.start();
  const database = await createTestDatabase();
  const env = {
    DATABASE_URL: database.url,
    PENSTOCK_DATA: await tempFolder('cli'),
    PENSTOCK_DESTINATIONS_ALLOW: '127.0.0.1',
  };
  const penstock = (line: string) => runCommand(line.split(' '), { env });

  const added = await penstock(
    `destination add --type webhook --name hub --url ${receivers.origin}/hook --json`,
  );
  expect(added.code).toBe(0);
  const { id, made_secret } = JSON.parse(added.stdout) as { id: number; made_secret: string };
  receivers.webhookKeys = [made_secret];
  const duty = await runCommand(
    [
      ...['destination', 'add', '--type', 'pagerduty', '--name', 'duty', '--secret-stdin'],
      ...['--url', `${receivers.origin}/v2/enqueue`],
    ],
    { env, input: ROUTING_KEY },
  );
  expect([duty.code, duty.stdout.includes(ROUTING_KEY)]).toEqual([0, false]);

  expect((await penstock('destination test 1')).code).toBe(0);
  expect((await penstock('destination test 2 --json')).code).toBe(0);
  expect(receivers.of('webhook')).toHaveLength(1);
  expect(receivers.pages.get('penstock-test')).toEqual({ state: 'resolved', calls: 1 });
  receivers.faults.add({ at: 'webhook', action: { do: 'answer', status: 500 } });
  const failed = await penstock('destination test 1');
  expect([failed.code, failed.stdout]).toEqual([
    1,
    expect.stringMatching(/answered 500[\s\S]*destination_failed/),
  ]);

  const connection = openDatabase(database.url, { connections: 2, onError: () => {} });
  const { db } = connection;
  const events = [outcome(1), outcome(2)];
  await db.transaction().execute((tx) =>
    queueDeliveries(
      tx,
      events.map((event) => ({ destinationId: id, ledgerId: 1, event })),
    ),
  );
  await db
    .updateTable('delivery')
    .set({ state: 'dead', error_code: 'delivery_refused', error: 'no' })
    .execute();
  expect((await penstock('destination pause 1')).code).toBe(0);
  const listed = await penstock('destination list');
  expect(listed.stdout).toMatch(/hub +webhook +paused +0 +0 +2\n/);
  const shown = await penstock('destination deliveries 1 --state dead');
  expect(shown.stdout).toMatch(/hub +ticket\.created +2 +2 +dead +0 +no/);
  const replayed = await penstock('destination replay 1 1 --json');
  expect([replayed.code, JSON.parse(replayed.stdout)]).toEqual([0, { replayed: 1, outdated: 0 }]);
  expect((await penstock('destination release 1 2')).code).toBe(0);
  expect((await penstock('destination replay 1')).code).toBe(1);
  const removed = await penstock('destination remove 1');
  expect(removed.stdout).toBe('Destination 1 is removed; 1 deliveries are dropped.\n');
  expect((await penstock('destination resume 1')).code).toBe(2);
  await connection.close();
});
