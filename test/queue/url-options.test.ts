import { afterAll, beforeAll, expect, it } from 'vitest';
import { openQueue } from '../../src/queue/queue.ts';
import { type Connection, openDatabase } from '../../src/store/database.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';

let database: TestDatabase;
let connection: Connection;

beforeAll(async () => {
  database = await createTestDatabase();
  const url = new URL(database.url);
  url.searchParams.set('options', '-c client_min_messages=warning');
  connection = openDatabase(url.href, { connections: 1, onError: () => {} });
});

afterAll(async () => {
  await connection.close();
  await database.drop();
});

it('finds its tables when DATABASE_URL has options of its own', async () => {
  const errors: Error[] = [];
  const queue = await openQueue({ postgres: connection.settings }, (error) => errors.push(error));
  await queue.add('IMAPMessage', [{ mailbox: 1, ids: [1, 2] }], '0');
  expect(await queue.depth()).toBe(1);
  const handled = new Promise((resolve) => queue.work(1, async (job) => resolve(job.ids)));
  expect(await handled).toEqual([1, 2]);
  await queue.close();
  expect(errors).toEqual([]);
});
