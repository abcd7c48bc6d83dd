/**
 * Brings a database to the schema of this version. Migrations are plain SQL files, applied in the order of
 * their names, each in one transaction with its own bookkeeping; a file never changes once released.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import type pg from 'pg';
import { fail } from '../errors.ts';

const FOLDER = new URL('./migrations/', import.meta.url);
/** Any constant: it keeps two starting processes from migrating at once. */
const LOCK = 728_341_901;

/**
 * Applies what is missing, under a lock. Fails with `database_unavailable` when a released file was changed or
 * the database is newer than this program. Returns the names that were applied.
 */
export async function migrate(pool: pg.Pool): Promise<string[]> {
  const files = (await readdir(FOLDER)).filter((name) => name.endsWith('.sql')).sort();
  const client = await pool.connect();
  try {
    await client.query('select pg_advisory_lock($1)', [LOCK]);
    await client.query(
      'create table if not exists migration (name text primary key, digest text not null, at timestamptz not null default now())',
    );
    const known = new Map(
      (await client.query<{ name: string; digest: string }>('select name, digest from migration')).rows.map(
        (row) => [row.name, row.digest],
      ),
    );
    for (const name of known.keys()) {
      if (!files.includes(name)) {
        throw fail('database_unavailable', `The database was made by a newer Penstock (${name}).`, { name });
      }
    }
    const applied: string[] = [];
    for (const name of files) {
      const text = await readFile(new URL(name, FOLDER), 'utf8');
      const digest = createHash('sha256').update(text).digest('hex');
      const before = known.get(name);
      if (before === digest) continue;
      if (before !== undefined) {
        throw fail('database_unavailable', `Migration ${name} differs from the one that was applied.`, {
          name,
        });
      }
      await client.query('begin');
      try {
        await client.query(text);
        await client.query('insert into migration (name, digest) values ($1, $2)', [name, digest]);
        await client.query('commit');
      } catch (error) {
        await client.query('rollback');
        throw error;
      }
      applied.push(name);
    }
    return applied;
  } finally {
    await client.query('select pg_advisory_unlock($1)', [LOCK]).catch(() => undefined);
    client.release();
  }
}
