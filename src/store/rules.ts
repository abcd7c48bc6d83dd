/** Rules and their history. The version of the rule set is the number of its newest change. */
import { isDeepStrictEqual } from 'node:util';
import { sql } from 'kysely';
import type { Rule } from '../rule/rule.ts';
import type { Database, Tx } from './database.ts';
import { notify } from './notify.ts';

export interface RuleSetRows {
  version: number;
  rules: Rule[];
}

/** All rules with the version they belong to, read at one instant. */
export async function loadRuleSet(db: Database): Promise<RuleSetRows> {
  return await db
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute(async (tx) => {
      const version = await rulesVersion(tx);
      const rows = await tx.selectFrom('email_rule').select(['id', 'definition']).execute();
      return { version, rules: rows.map((row) => ({ ...row.definition, id: row.id })) };
    });
}

export async function rulesVersion(db: Database | Tx): Promise<number> {
  const row = await db
    .selectFrom('rule_change')
    .select((eb) => eb.fn.coalesce(eb.fn.max('version'), sql<number>`0`).as('version'))
    .executeTakeFirstOrThrow();
  return Number(row.version);
}

export async function findRule(db: Database | Tx, id: number): Promise<Rule | null> {
  const row = await db
    .selectFrom('email_rule')
    .select(['id', 'definition'])
    .where('id', '=', id)
    .executeTakeFirst();
  return row === undefined ? null : { ...row.definition, id: row.id };
}

/** Creates (id 0) or replaces a rule, and notes the change. Returns it with its id. */
export async function saveRule(tx: Tx, rule: Rule, actor: string): Promise<Rule> {
  const { id, ...definition } = rule;
  const columns = {
    name: rule.name,
    sequence: rule.sequence,
    mailbox_id: rule.mailboxId,
    definition: JSON.stringify(definition),
  };
  const row =
    id === 0
      ? await tx.insertInto('email_rule').values(columns).returning('id').executeTakeFirstOrThrow()
      : await tx
          .updateTable('email_rule')
          .set({ ...columns, updated_at: sql<Date>`now()` })
          .where('id', '=', id)
          .returning('id')
          .executeTakeFirstOrThrow();
  await noteChange(tx, row.id, actor, definition);
  return { ...rule, id: row.id };
}

export async function deleteRule(tx: Tx, id: number, actor: string): Promise<boolean> {
  const { numDeletedRows } = await tx.deleteFrom('email_rule').where('id', '=', id).executeTakeFirst();
  if (numDeletedRows !== 1n) return false;
  await noteChange(tx, id, actor, null);
  return true;
}

/** Switches a rule off and says why. Null when it is gone, off already, or no longer the one that was judged. */
export async function disableRule(
  tx: Tx,
  judged: Pick<Rule, 'id' | 'patterns'>,
  reason: string,
  actor: string,
): Promise<Rule | null> {
  const rule = await findRule(tx, judged.id);
  if (rule === null || !rule.enabled || !isDeepStrictEqual(rule.patterns, judged.patterns)) return null;
  return await saveRule(tx, { ...rule, enabled: false, disabledReason: reason }, actor);
}

async function noteChange(tx: Tx, ruleId: number, actor: string, definition: object | null): Promise<void> {
  await tx
    .insertInto('rule_change')
    .values({ rule_id: ruleId, actor, definition: definition === null ? null : JSON.stringify(definition) })
    .execute();
  await notify(tx, 'rules');
}
