import type pg from 'pg';
import { describe, expect, it } from 'vitest';
import { fail } from '../../src/errors.ts';
import { openDatabase } from '../../src/store/database.ts';
import { isOutage } from '../../src/store/outage.ts';
import { freePort } from '../support/port.ts';
import { createTestDatabase } from '../support/postgres.ts';

async function errorOf(target: string | pg.ClientConfig, text: string): Promise<unknown> {
  const { pool, close } = openDatabase(target, { connections: 1, onError: () => {} });
  try {
    return await pool.query(text).catch((error: unknown) => error);
  } finally {
    await close();
  }
}

describe('isOutage', () => {
  it.each([
    ['a value out of range', "select '999999'::smallint", false],
    ['text that is no timestamp', "select '32 Foo'::timestamptz", false],
    ['a statement that is wrong', 'select nothing from nowhere', false],
    [
      'a row that is there already',
      'create temp table t (n int unique); insert into t values (1), (1)',
      false,
    ],
    ['a connection that an operator ends', 'select pg_terminate_backend(pg_backend_pid())', true],
    ['a lock that is not to be had', "do $$ begin raise exception 'x' using errcode = '55P03'; end $$", true],
    ['a deadlock', "do $$ begin raise exception 'x' using errcode = '40P01'; end $$", true],
  ])('%s', async (_name, text, outage) => {
    const database = await createTestDatabase({ empty: true });
    const error = await errorOf(database.url, text);
    expect(error).toBeInstanceOf(Error);
    expect(isOutage(error)).toBe(outage);
    await database.drop();
  });

  it('nobody listens', async () => {
    const error = await errorOf({ host: '127.0.0.1', port: await freePort(), user: 'x', database: 'x' }, '');
    expect(isOutage(error)).toBe(true);
  });

  it('an error of ours, a mistake in our code, something that is no error', () => {
    expect(isOutage(fail('raw_missing', 'gone'))).toBe(false);
    expect(isOutage(new TypeError('x is undefined'))).toBe(false);
    expect(isOutage('text')).toBe(false);
  });
});
