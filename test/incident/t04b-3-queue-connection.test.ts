/** T04b: a connection of the queue that breaks in the middle of a transaction ends with an error, not the process. */
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openQueue } from '../../src/queue/queue.ts';
import { createTestDatabase } from '../support/postgres.ts';
import { until } from '../support/site.ts';

describe('T04b: a connection of the queue is terminated between two statements', () => {
  it('fails what was under way, and nothing else', async () => {
    const { url } = await createTestDatabase({ empty: true });
    const [holder, admin] = [new pg.Client(url), new pg.Client(url)];
    for (const client of [holder, admin]) await client.connect();
    onTestFinished(async () => void (await Promise.all([holder.end(), admin.end()])));
    // The queue makes its schema in a transaction, and has to wait for somebody who makes the same one.
    await holder.query('begin; create schema bullmq');
    const opening = openQueue({ postgres: { connectionString: url } }, () => undefined).then(
      () => 'opened',
      (error: Error) => error.message,
    );
    const waiting = `application_name = 'penstock-queue' and datname = current_database() and xact_start is not null`;
    const terminate = `select pg_terminate_backend(pid) from pg_stat_activity where ${waiting}`;
    await until(async () => (await admin.query(terminate)).rowCount === 1);
    expect(await opening).toMatch(/terminat|connection error/);
  });
});
