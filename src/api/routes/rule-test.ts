/** `POST /EmailRule/test`: runs rules over one message and explains every verdict. Changes nothing. */
import Type, { type Static } from 'typebox';
import { fail } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import type { Explanation } from '../../rule/explain.ts';
import type { Rule } from '../../rule/rule.ts';
import { requireValidRule } from '../../rule/validate.ts';
import { findEmail } from '../../store/email-queries.ts';
import { listRules } from '../../store/rule-queries.ts';
import { rulesVersion } from '../../store/rules.ts';
import { draftRule } from '../halo/email-rule.ts';
import { HaloRule } from '../halo/email-rule-fields.ts';
import { base64, bigId, int } from '../halo/fields.ts';
import { decodeBase64 } from '../http/base64.ts';
import { invalid } from '../http/problem.ts';
import { listOf } from '../http/shapes.ts';
import type { Api } from '../route.ts';
import type { ApiContext } from '../services.ts';

const Body = Type.Object({
  rules: Type.Optional(listOf(HaloRule)),
  rule_ids: Type.Optional(
    Type.Array(Type.Integer(), { minItems: 1, maxItems: LIMITS.batchItems, description: 'Stored rules.' }),
  ),
  raw: base64('The message, base64 of its RFC 5322 bytes.'),
  incomingemail_id: bigId('Or a stored message.'),
  mailbox_id: int('Mailbox the message is taken to have come to. Default that of the stored message.'),
});

const Verdict = Type.Object(
  {
    rule_id: Type.Integer({ description: '0 for a posted rule without id; they are numbered by position.' }),
    position: Type.Integer({ description: 'Place in the order in which rules are tried, from 1.' }),
    name: Type.String(),
    matched: Type.Boolean(),
    error: Type.Union([Type.String(), Type.Null()]),
    conditions: Type.Array(
      Type.Object({
        condition: Type.String(),
        wanted: Type.String(),
        actual: Type.String(),
        matched: Type.Boolean(),
      }),
    ),
  },
  { title: 'RuleVerdict' },
);

const Answer = Type.Object(
  {
    rules_version: Type.Union([Type.Integer(), Type.Null()], {
      description: 'Of the stored rules; null for posted ones.',
    }),
    rule: Type.Union([Type.Object({ id: Type.Integer(), name: Type.String() }), Type.Null()], {
      description: 'The rule that wins: the first that matches.',
    }),
    closes: Type.Boolean({ description: 'The message closes the ticket of its alert.' }),
    verdicts: Type.Array(Verdict),
    extracted: Type.Array(
      Type.Object({
        target: Type.String(),
        value: Type.String(),
        source: Type.String(),
        start: Type.Integer({ description: 'UTF-16 offset in the source text; -1 for a constant.' }),
        end: Type.Integer(),
      }),
    ),
  },
  { title: 'RuleTest' },
);

export function ruleTestRoute(app: Api, context: ApiContext): void {
  app.post(
    '/EmailRule/test',
    {
      config: { access: 'admin' },
      bodyLimit: LIMITS.requestBytes,
      schema: {
        tags: ['EmailRule'],
        summary: 'Explain what rules do with one message (ours)',
        description:
          'Give rules or rule_ids, or neither for all stored rules; and raw or incomingemail_id. Posted rules count ' +
          'as enabled unless they say otherwise.',
        body: Body,
        response: { 200: Answer },
      },
    },
    async (request) => {
      const { rules, version } = await rulesOf(context, request.body);
      const { bytes, mailboxId } = await messageOf(context, request.body);
      return answer(await context.services.explain(rules, bytes, mailboxId), version);
    },
  );
}

type Body = Static<typeof Body>;

async function rulesOf(context: ApiContext, body: Body): Promise<{ rules: Rule[]; version: number | null }> {
  if (body.rules !== undefined) {
    const rules = body.rules.map((item, index) => {
      const rule = draftRule({ enabled: true, ...item }, null);
      requireValidRule(rule);
      return { ...rule, id: item.id ?? -(index + 1) };
    });
    return { rules, version: null };
  }
  const [stored, version] = await Promise.all([listRules(context.db), rulesVersion(context.db)]);
  if (body.rule_ids === undefined) return { rules: stored, version };
  const chosen = stored.filter(({ id }) => body.rule_ids!.includes(id));
  const missing = body.rule_ids.find((id) => !chosen.some((rule) => rule.id === id));
  if (missing !== undefined) throw fail('not_found', `There is no rule ${missing}.`, { field: 'rule_ids' });
  return { rules: chosen, version };
}

async function messageOf(context: ApiContext, body: Body): Promise<{ bytes: Buffer; mailboxId: number }> {
  if (body.raw) return { bytes: decodeBase64(body.raw, 'raw'), mailboxId: body.mailbox_id ?? 0 };
  if (!body.incomingemail_id) throw invalid('raw', 'or incomingemail_id must be given');
  const email = await findEmail(context.db, body.incomingemail_id);
  if (email === null) throw fail('not_found', `There is no incoming email ${body.incomingemail_id}.`);
  if (email.size > LIMITS.messageBytes)
    throw fail('message_oversized', 'The message is too large for a test.');
  return {
    bytes: await context.services.raw.read(email.rawSha256),
    mailboxId: body.mailbox_id ?? email.mailboxId,
  };
}

function answer({ verdicts, result }: Explanation, version: number | null): Static<typeof Answer> {
  const shownId = (id: number): number => Math.max(0, id);
  return {
    rules_version: version,
    rule: result.rule === null ? null : { id: shownId(result.rule.id), name: result.rule.name },
    closes: result.closes,
    verdicts: verdicts.map((verdict, index) => ({
      rule_id: shownId(verdict.ruleId),
      position: index + 1,
      name: verdict.name,
      matched: verdict.matched,
      error: verdict.error,
      conditions: verdict.conditions,
    })),
    extracted: result.extractions.map(({ target, value, source, start, end }) => ({
      target,
      value,
      source,
      start,
      end,
    })),
  };
}
