/** Questions about rules that lists and saves ask. */
import { sql } from 'kysely';
import type { Rule } from '../rule/rule.ts';
import type { Database, Tx } from './database.ts';

/** All rules, in no particular order. */
export async function listRules(db: Database | Tx): Promise<Rule[]> {
  const rows = await db.selectFrom('email_rule').select(['id', 'definition']).execute();
  return rows.map((row) => ({ ...row.definition, id: row.id }));
}

/** Names of the mailboxes that rules are limited to; deleted ones keep theirs. */
export async function mailboxNames(db: Database | Tx, ids: number[]): Promise<Map<number, string>> {
  if (ids.length === 0) return new Map();
  const rows = await db.selectFrom('mailbox').select(['id', 'name']).where('id', 'in', ids).execute();
  return new Map(rows.map(({ id, name }) => [id, name]));
}

/** Takes new ids for field mappings. */
export async function takeMappingIds(tx: Tx, count: number): Promise<number[]> {
  if (count === 0) return [];
  const { rows } = await sql<{ id: number }>`
    select nextval('field_mapping')::int as id from generate_series(1, ${count}::int)`.execute(tx);
  return rows.map(({ id }) => id);
}
