/** Columns of rows on their way into the database: what arrives is what was sent. */
import { type RawBuilder, sql } from 'kysely';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  bigints,
  booleans,
  byteas,
  floats,
  ints,
  jsonbs,
  jsons,
  smallints,
  texts,
  timestamps,
  uuids,
} from '../../src/store/columns.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { onCleanup } from '../support/cleanup.ts';
import { createTestDatabase } from '../support/postgres.ts';

let db: Database;

beforeAll(async () => {
  const { url } = await createTestDatabase();
  const connection = openDatabase(url, { connections: 1, onError: () => undefined });
  onCleanup(() => connection.close());
  db = connection.db;
});

async function arrives(column: RawBuilder<unknown>): Promise<unknown[]> {
  const { rows } = await sql<{ value: unknown }>`select value from unnest(${column}) as value`.execute(db);
  return rows.map(({ value }) => value);
}

describe('a column', () => {
  const texty = ['', 'plain', 'a,b', '"quoted"', '\\', '{}', 'NULL', 'Größe 日本 🎉', '\u0001\n\r\t', null];
  it.each<[string, RawBuilder<unknown>, unknown[]]>([
    ['texts', texts(texty), texty],
    ['a lone surrogate', texts(['a\ud800b']), ['a\ufffdb']],
    ['jsons', jsons(['{"a":"\\"b\\\\"}', '[1,null]', 'null', null]), [{ a: '"b\\' }, [1, null], null, null]],
    ['jsonbs', jsonbs(['{"a":"é"}', null]), [{ a: 'é' }, null]],
    [
      'byteas',
      byteas([Buffer.of(0, 92, 255), Buffer.alloc(0), null]),
      [Buffer.of(0, 92, 255), Buffer.alloc(0), null],
    ],
    ['booleans', booleans([true, false, null]), [true, false, null]],
    ['smallints', smallints([-32_768, 0, 32_767, null]), [-32_768, 0, 32_767, null]],
    ['ints', ints([-2_147_483_648, 0, 2_147_483_647, null]), [-2_147_483_648, 0, 2_147_483_647, null]],
    [
      'bigints',
      bigints([Number.MIN_SAFE_INTEGER, 0, Number.MAX_SAFE_INTEGER, null]),
      [Number.MIN_SAFE_INTEGER, 0, Number.MAX_SAFE_INTEGER, null],
    ],
    ['floats', floats([0.1, -1e300, null]), [0.1, -1e300, null]],
    [
      'uuids',
      uuids(['0f8fad5b-d9cb-469f-a165-70867728950e', null]),
      ['0f8fad5b-d9cb-469f-a165-70867728950e', null],
    ],
    [
      'timestamps',
      timestamps(['2026-11-26T12:00:00.123Z', '1969-12-31T23:59:59.999Z', '2026-01-01T00:00:00+02:00', null]),
      [new Date('2026-11-26T12:00:00.123Z'), new Date(-1), new Date('2025-12-31T22:00:00Z'), null],
    ],
    ['nothing', texts([]), []],
    ['nulls only', ints([null, null]), [null, null]],
  ])('%s', async (_, column, values) => {
    expect(await arrives(column)).toEqual(values);
  });

  it.each<[string, () => RawBuilder<unknown>]>([
    ['U+0000', () => texts(['a\0b'])],
    ['what is no JSON', () => jsons(['{'])],
    ['a number that is too large', () => ints([2_147_483_648])],
    ['what is no time', () => timestamps(['yesterday'])],
  ])('refuses %s', async (_, column) => {
    await expect((async () => await arrives(column()))()).rejects.toThrow();
  });
});
