/** `/EmailRule` (halo-api.md section 5), and the test of rules against one message, which is ours. */
import { isDeepStrictEqual } from 'node:util';
import Type from 'typebox';
import { fail, PenstockError } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { orderRules } from '../../rule/compile.ts';
import { fold, isBlank } from '../../rule/fold.ts';
import type { Rule } from '../../rule/rule.ts';
import { requireValidRule, validateRule } from '../../rule/validate.ts';
import { writeAudit } from '../../store/audit-log.ts';
import type { Database, Tx } from '../../store/database.ts';
import { findMailbox } from '../../store/mailboxes.ts';
import { lockRuleSet } from '../../store/row-locks.ts';
import { listRules, mailboxNames, takeMappingIds } from '../../store/rule-queries.ts';
import { deleteRule, findRule, saveRule } from '../../store/rules.ts';
import { actorOf } from '../auth/guard.ts';
import { draftRule, haloFieldOf, viewRule } from '../halo/email-rule.ts';
import { HaloRule, type RuleItem } from '../halo/email-rule-fields.ts';
import { eachItem } from '../http/items.ts';
import { invalid } from '../http/problem.ts';
import { byId, listOf, oneOrMany, saved } from '../http/shapes.ts';
import type { Api } from '../route.ts';
import type { ApiContext } from '../services.ts';
import { ruleTestRoute } from './rule-test.ts';

/** Comparing new rules with all others is quadratic; beyond this many pairs only the rule itself is looked at. */
const MOST_COMPARISONS = 200_000;

export function ruleRoutes(app: Api, context: ApiContext): void {
  const { db } = context;
  app.get(
    '/EmailRule',
    {
      config: { access: 'admin' },
      schema: {
        tags: ['EmailRule'],
        summary: 'List rules, in the order in which they are tried',
        querystring: Type.Object({
          fromaddress: Type.Optional(
            Type.String({ description: 'Only rules whose sender condition accepts this address.' }),
          ),
          type: Type.Optional(Type.Integer({ description: 'Only rules of this type.' })),
        }),
        response: { 200: Type.Array(HaloRule) },
      },
    },
    async (request) => {
      const { fromaddress, type } = request.query;
      const rules = orderRules(await listRules(db)).filter(
        (rule) => fromaddress === undefined || acceptsSender(rule, fromaddress),
      );
      const views = await view(db, rules, false);
      return type === undefined ? views : views.filter((shown) => shown.type === type);
    },
  );

  app.post(
    '/EmailRule',
    {
      config: { access: 'admin' },
      bodyLimit: LIMITS.recordRequestBytes,
      schema: {
        tags: ['EmailRule'],
        summary: 'Create or update rules',
        description:
          'An item with an id is updated, and what it leaves out stays. A given fieldmappings replaces the whole set. ' +
          'A create that repeats an existing rule in everything answers with that one.',
        body: listOf(HaloRule),
        response: { 201: oneOrMany(HaloRule) },
      },
    },
    async (request, reply) => {
      const actor = actorOf(request);
      const views = await db.transaction().execute(async (tx) => {
        await lockRuleSet(tx);
        const rules = new Map((await listRules(tx)).map((rule) => [rule.id, rule]));
        return await eachItem(request.body, (item) => save(tx, item, rules, request.body.length, actor));
      });
      return await saved(reply, views);
    },
  );

  app.get(
    '/EmailRule/:id',
    {
      config: { access: 'admin' },
      schema: {
        tags: ['EmailRule'],
        summary: 'Read a rule',
        params: byId,
        querystring: Type.Object({
          includedetails: Type.Optional(Type.Boolean({ description: 'With fieldmappings.' })),
        }),
        response: { 200: HaloRule },
      },
    },
    async (request) => {
      const rule = await find(db, request.params.id);
      return (await view(db, [rule], request.query.includedetails === true))[0]!;
    },
  );

  app.delete(
    '/EmailRule/:id',
    {
      config: { access: 'admin' },
      schema: {
        tags: ['EmailRule'],
        summary: 'Delete a rule and its field mappings',
        params: byId,
        response: { 200: HaloRule },
      },
    },
    async (request) =>
      await db.transaction().execute(async (tx) => {
        const { id } = request.params;
        await lockRuleSet(tx);
        const rule = await find(tx, id);
        const [shown] = await view(tx, [rule], true);
        const actor = actorOf(request);
        await deleteRule(tx, id, actor);
        await writeAudit(tx, {
          actor,
          action: 'delete',
          entity: 'email_rule',
          entityId: id,
          change: { before: shown },
        });
        return shown!;
      }),
  );

  ruleTestRoute(app, context);
}

async function find(db: Database | Tx, id: number): Promise<Rule> {
  const rule = await findRule(db, id);
  if (rule === null) throw fail('not_found', `There is no rule ${id}.`);
  return rule;
}

/** Whether the sender condition alone would accept an address; a blank one accepts all. */
function acceptsSender(rule: Rule, address: string): boolean {
  if (isBlank(rule.from)) return true;
  const [wanted, actual] = [fold(rule.from).trim(), fold(address).trim()];
  return rule.fromExact ? wanted === actual : actual.includes(wanted);
}

async function view(db: Database | Tx, rules: Rule[], details: boolean): Promise<RuleItem[]> {
  const limited = new Set(rules.flatMap(({ mailboxId }) => (mailboxId === null ? [] : [mailboxId])));
  const names = await mailboxNames(db, [...limited]);
  return rules.map((rule) => viewRule(rule, names.get(rule.mailboxId ?? 0) ?? null, details));
}

async function save(
  tx: Tx,
  item: RuleItem,
  rules: Map<number, Rule>,
  items: number,
  actor: string,
): Promise<RuleItem> {
  const current = item.id ? (rules.get(item.id) ?? null) : null;
  if (item.id && current === null) throw fail('not_found', `There is no rule ${item.id}.`);
  const draft = draftRule(item, current);
  requireValid(draft);
  if (draft.mailboxId !== null && draft.mailboxId !== current?.mailboxId) {
    const mailbox = await findMailbox(tx, draft.mailboxId);
    if (mailbox === null)
      throw invalid('pop3serverid', `is ${draft.mailboxId}, and there is no such mailbox`);
  }
  const repeated = current === null ? [...rules.values()].find((rule) => isRepeat(rule, draft)) : undefined;
  const rule = repeated ?? (await store(tx, draft, current, rules, actor));
  const others = items * rules.size > MOST_COMPARISONS ? [] : [...rules.values()];
  const warnings = validateRule(rule, others).warnings.map(({ field, message }) =>
    field === 'conditions' ? message : `${haloFieldOf(field)}: ${message}`,
  );
  if (repeated !== undefined)
    warnings.unshift(`Rule ${rule.id} is the same in everything, so no second one was made.`);
  const [shown] = await view(tx, [rule], true);
  return { ...shown!, _warning: warnings.length === 0 ? null : warnings.join('\n') };
}

/** Names the field as the client knows it. */
function requireValid(rule: Rule): void {
  try {
    requireValidRule(rule);
  } catch (thrown) {
    if (!(thrown instanceof PenstockError) || thrown.code !== 'rule_invalid') throw thrown;
    throw fail('rule_invalid', thrown.message, {
      ...thrown.fields,
      field: haloFieldOf(String(thrown.fields.field)),
    });
  }
}

/** Clients repeat a request whose answer they did not get. A second rule that says the same could never win. */
function isRepeat(known: Rule, draft: Rule): boolean {
  const comparable = (rule: Rule): object => ({
    ...rule,
    id: 0,
    guid: '',
    fieldMappings: rule.fieldMappings.map((mapping) => ({ ...mapping, id: 0 })),
  });
  return known.name === draft.name && isDeepStrictEqual(comparable(known), comparable(draft));
}

async function store(
  tx: Tx,
  draft: Rule,
  current: Rule | null,
  rules: Map<number, Rule>,
  actor: string,
): Promise<Rule> {
  if (current === null && rules.size >= LIMITS.ruleCount) {
    throw fail('rule_invalid', `There are ${rules.size} rules, and no more are taken.`);
  }
  const ids = await takeMappingIds(tx, draft.fieldMappings.filter(({ id }) => id === 0).length);
  const fieldMappings = draft.fieldMappings.map((mapping) =>
    mapping.id === 0 ? { ...mapping, id: ids.shift()! } : mapping,
  );
  const rule = await saveRule(tx, { ...draft, fieldMappings }, actor);
  rules.set(rule.id, rule);
  await writeAudit(tx, {
    actor,
    action: current === null ? 'create' : 'update',
    entity: 'email_rule',
    entityId: rule.id,
    change: current === null ? { after: rule } : { before: current, after: rule },
  });
  return rule;
}
