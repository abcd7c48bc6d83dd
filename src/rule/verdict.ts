import type { CompiledRule } from './compiled-rule.ts';
import { findFolded, fold, isBlank, type Span } from './fold.ts';
import type { PatternBudget } from './pattern.ts';
import type { PatternRun } from './pattern-run.ts';
import type { ConditionVerdict, Rule, RuleVerdict, TextMatch } from './rule.ts';
import {
  attachmentNames,
  formatAddresses,
  type MatchContext,
  type MessageView,
  type ViewText,
} from './view.ts';

/**
 * Says of one rule and one message what each condition wanted, what it found, and whether it holds. Written
 * without the indexes of the fast path, straight from the rule, so that each checks the other.
 */

/** Characters shown on each side of a match, and of a text that does not match. */
const CONTEXT_CHARS = 40;
const ACTUAL_CHARS = 200;

/** The complete verdict on one rule. `run` holds what its patterns found; those not run yet are run. */
export function ruleVerdict(
  { rule, bodyText }: CompiledRule,
  view: MessageView,
  context: MatchContext,
  run: PatternRun,
  budget: PatternBudget,
): RuleVerdict {
  const conditions = [...plainConditions(rule, view, context, bodyText)];
  let conditionError: string | null = null;
  let fieldError: string | null = null;
  let overran = false;
  for (const [index, pattern] of run.patterns.entries()) {
    const outcome = run.outcome(index, budget);
    if (!pattern.required) {
      fieldError ??= outcome.error;
      continue;
    }
    conditionError ??= outcome.error;
    overran ||= outcome.overran;
    conditions.push({
      condition: 'pattern',
      wanted: `${pattern.field} ~ /${pattern.pattern}/${pattern.flags}`,
      actual: outcome.error ?? excerpt(view.text(outcome.source), outcome.match),
      matched: outcome.match !== null,
    });
  }
  const matched = conditionError === null && conditions.every((condition) => condition.matched);
  return {
    ruleId: rule.id,
    name: rule.name,
    matched,
    conditions,
    error: conditionError ?? (matched ? fieldError : null),
    ...(overran ? { overran } : {}),
  };
}

/** The conditions that are not patterns; those left blank are not listed. */
export function plainConditions(
  rule: Rule,
  view: MessageView,
  { mailboxId }: MatchContext,
  bodyText: ViewText,
): ConditionVerdict[] {
  const verdicts: ConditionVerdict[] = [];
  if (!rule.enabled) {
    verdicts.push({ condition: 'enabled', wanted: 'enabled', actual: 'disabled', matched: false });
  }
  if (rule.mailboxId !== null) {
    verdicts.push({
      condition: 'mailbox',
      wanted: String(rule.mailboxId),
      actual: String(mailboxId),
      matched: rule.mailboxId === mailboxId,
    });
  }
  for (const field of ['from', 'to'] as const) {
    if (!isBlank(rule[field])) verdicts.push(addressVerdict(rule, field, view));
  }
  if (rule.matchOnAttachment) {
    if (!isBlank(rule.attachmentName)) verdicts.push(attachmentVerdict(rule, view));
    return verdicts;
  }
  if (!isBlank(rule.subject)) verdicts.push(textVerdict('subject', rule.subject, view, 'subject'));
  if (!isBlank(rule.body)) verdicts.push(textVerdict('body', rule.body, view, bodyText));
  return verdicts;
}

function textVerdict(
  condition: 'subject' | 'body',
  wanted: string,
  view: MessageView,
  text: ViewText,
): ConditionVerdict {
  const span = findFolded(view.folded(text), fold(wanted));
  return { condition, wanted, actual: excerpt(view.text(text), span), matched: span !== null };
}

function addressVerdict(rule: Rule, field: 'from' | 'to', view: MessageView): ConditionVerdict {
  const exact = field === 'from' ? rule.fromExact : rule.toExact;
  const needle = fold(rule[field]).trim();
  const { message } = view;
  const all = rule.matchCcAndBcc ? [...message[field], ...message.cc, ...message.bcc] : message[field];
  const holds = (address: string) =>
    address !== '' && (exact ? fold(address).trim() === needle : fold(address).includes(needle));
  const found = all.find(({ address }) => holds(address));
  return {
    condition: field,
    wanted: rule[field],
    actual: shorten(found === undefined ? formatAddresses(all) : found.address),
    matched: found !== undefined,
  };
}

function attachmentVerdict(rule: Rule, view: MessageView): ConditionVerdict {
  const wanted = fold(rule.attachmentName.normalize('NFC')).trim();
  const names = attachmentNames(view.message);
  const found = names.find((name) => nameMatches(fold(name.normalize('NFC')), rule.attachmentMatch, wanted));
  return {
    condition: 'attachment',
    wanted: rule.attachmentName,
    actual: shorten(found ?? names.join(', ')),
    matched: found !== undefined,
  };
}

function nameMatches(name: string, match: TextMatch, wanted: string): boolean {
  if (match === 'equals') return name === wanted;
  if (match === 'starts_with') return name.startsWith(wanted);
  if (match === 'ends_with') return name.endsWith(wanted);
  return name.includes(wanted);
}

/** A match with a little of what stands around it; without a match the beginning of the text. */
function excerpt(text: string, span: Span | null): string {
  if (span === null) return shorten(text);
  const start = Math.max(0, span.start - CONTEXT_CHARS);
  return shorten(text.slice(start, Math.min(text.length, span.end + CONTEXT_CHARS)));
}

function shorten(text: string): string {
  return text.length <= ACTUAL_CHARS ? text : `${text.slice(0, ACTUAL_CHARS).toWellFormed()}…`;
}
