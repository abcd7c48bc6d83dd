import type { RuleSet } from './compile.ts';
import type { AddressCondition, AttachmentCondition, CompiledRule } from './compiled-rule.ts';
import { extract } from './extract.ts';
import { newPatternBudget } from './pattern.ts';
import { PatternRun, requiredPatternsHold } from './pattern-run.ts';
import type { RuleResult, RuleVerdict } from './rule.ts';
import { ruleVerdict } from './verdict.ts';
import type { MatchContext, MessageView } from './view.ts';

/**
 * Finds the first rule that matches, and what it takes from the message. All conditions of a rule must hold; a
 * rule without conditions matches everything (halo-api 5.7). A rule that cannot be evaluated is passed over.
 * Never throws because of a rule or a message.
 */
export function matchRules(set: RuleSet, view: MessageView, context: MatchContext): RuleResult {
  const budget = newPatternBudget();
  const passedOver: RuleVerdict[] = [];
  for (const rank of set.candidates(view, context.mailboxId)) {
    const compiled = set.compiled[rank]!;
    if (!plainConditionsHold(set, compiled, view, context)) continue;
    const run = new PatternRun(compiled.rule.patterns, set.patterns, view, compiled.bodyText);
    const verdict = requiredPatternsHold(run, budget);
    if (verdict === 'no') continue;
    if (verdict === 'unknown') {
      passedOver.push(ruleVerdict(compiled, view, context, run, budget));
      continue;
    }
    return {
      rule: compiled.rule,
      verdict: ruleVerdict(compiled, view, context, run, budget),
      passedOver,
      ...extract(compiled, view, run, budget),
    };
  }
  return { rule: null, verdict: null, passedOver, extractions: [], closes: false };
}

function plainConditionsHold(
  set: RuleSet,
  { rule, from, to, subject, body, attachment, bodyText, literals }: CompiledRule,
  view: MessageView,
  { mailboxId }: MatchContext,
): boolean {
  if (rule.mailboxId !== null && rule.mailboxId !== mailboxId) return false;
  if (subject !== null && !set.occurs('subject', subject.id)) return false;
  if (body !== null && !set.occurs(bodyText, body.id)) return false;
  if (!literals.every(({ scope, id }) => set.occurs(scope, id))) return false;
  if (from !== null && !addressHolds(set, 'from', from, rule.matchCcAndBcc, view)) return false;
  if (to !== null && !addressHolds(set, 'to', to, rule.matchCcAndBcc, view)) return false;
  return attachment === null || attachmentHolds(set, attachment, view);
}

function addressHolds(
  set: RuleSet,
  field: 'from' | 'to',
  { exact, needle, id }: AddressCondition,
  withCopies: boolean,
  view: MessageView,
): boolean {
  if (exact) return view[field].includes(needle) || (withCopies && view.copies.includes(needle));
  return set.occurs(field, id) || (withCopies && set.occurs('copies', id));
}

function attachmentHolds(set: RuleSet, condition: AttachmentCondition, view: MessageView): boolean {
  // Every kind of match contains its needle.
  if (!set.occurs('attachments', condition.id)) return false;
  return view.attachments.some((name) => attachmentMatches(condition, name));
}

function attachmentMatches({ match, needle }: AttachmentCondition, name: string): boolean {
  switch (match) {
    case 'contains':
      return name.includes(needle);
    case 'equals':
      return name === needle;
    case 'starts_with':
      return name.startsWith(needle);
    case 'ends_with':
      return name.endsWith(needle);
  }
}
