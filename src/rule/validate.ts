import { asPenstockError, fail } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { orderRules } from './compile.ts';
import { fold, isBlank } from './fold.ts';
import { compilePattern } from './pattern.ts';
import type { Rule } from './rule.ts';

/** One thing about a rule that is wrong, or probably not meant. */
export interface RuleFinding {
  code:
    | 'text_too_long'
    | 'too_many'
    | 'negative_length'
    | 'pattern_invalid'
    | 'header_name_missing'
    | 'matches_everything'
    | 'never_reached'
    | 'hides_others'
    | 'condition_ignored'
    | 'outer_space'
    | 'address_incomplete'
    | 'slot_missing'
    | 'no_effect';
  /** Where in the rule, e.g. `patterns[2].pattern`. */
  field: string;
  message: string;
}

export interface RuleCheck {
  /** A rule with errors is not saved. */
  errors: RuleFinding[];
  warnings: RuleFinding[];
}

/**
 * Checks a rule before it is saved, by itself and among the other rules. `others` may contain an older state
 * of the same rule; it is left out by its id.
 */
export function validateRule(rule: Rule, others: readonly Rule[] = []): RuleCheck {
  return {
    errors: errorsOf(rule),
    warnings: [...conditionWarnings(rule), ...effectWarnings(rule), ...orderWarnings(rule, others)],
  };
}

/** Throws `rule_invalid` with the first error of a rule; the way for API, configuration and import alike. */
export function requireValidRule(rule: Rule): void {
  const [error, ...more] = errorsOf(rule);
  if (error === undefined) return;
  throw fail('rule_invalid', `Rule "${rule.name.slice(0, 80)}", ${error.field}: ${error.message}`, {
    rule: rule.id,
    field: error.field,
    code: error.code,
    moreErrors: more.length,
  });
}

/** True when nothing restricts a rule but, perhaps, its mailbox (halo-api 5.7: it then matches every mail). */
function matchesEverything(rule: Rule): boolean {
  return (
    isBlank(rule.from) &&
    isBlank(rule.to) &&
    (rule.matchOnAttachment ? isBlank(rule.attachmentName) : isBlank(rule.subject) && isBlank(rule.body)) &&
    !rule.patterns.some(({ required }) => required)
  );
}

function errorsOf(rule: Rule): RuleFinding[] {
  const errors: RuleFinding[] = [];
  for (const [field, text] of textsOf(rule)) {
    if (text.length > LIMITS.ruleConditionChars) {
      errors.push({
        code: 'text_too_long',
        field,
        message: `${text.length} characters; the limit is ${LIMITS.ruleConditionChars}`,
      });
    }
  }
  const tooMany = (field: string, count: number, limit: number) => {
    if (count > limit) errors.push({ code: 'too_many', field, message: `${count}; the limit is ${limit}` });
  };
  tooMany('patterns', rule.patterns.length, LIMITS.rulePatternsPerRule);
  tooMany('fieldMappings', rule.fieldMappings.length, LIMITS.ruleFieldMappings);
  for (const [index, { length }] of rule.slots.entries()) {
    if (!(length >= 0)) {
      errors.push({
        code: 'negative_length',
        field: `slots[${index}].length`,
        message: 'the length is below zero',
      });
    }
  }
  for (const [index, pattern] of rule.patterns.slice(0, LIMITS.rulePatternsPerRule).entries()) {
    if (pattern.field === 'header:') {
      errors.push({
        code: 'header_name_missing',
        field: `patterns[${index}].field`,
        message: 'name the header after "header:"',
      });
    }
    try {
      compilePattern(pattern);
    } catch (thrown) {
      const { message } = asPenstockError(thrown);
      errors.push({ code: 'pattern_invalid', field: `patterns[${index}].pattern`, message });
    }
  }
  return errors;
}

function textsOf(rule: Rule): [string, string][] {
  const texts: [string, string][] = [
    ['name', rule.name],
    ['from', rule.from],
    ['to', rule.to],
    ['subject', rule.subject],
    ['body', rule.body],
    ['attachmentName', rule.attachmentName],
    ['closeString', rule.closeString],
  ];
  for (const [index, { startTag, endTag, fieldName }] of rule.slots.entries()) {
    texts.push([`slots[${index}].startTag`, startTag], [`slots[${index}].endTag`, endTag]);
    texts.push([`slots[${index}].fieldName`, fieldName]);
  }
  for (const [index, mapping] of rule.fieldMappings.entries()) {
    for (const key of ['searchText', 'startTag', 'endTag', 'value'] as const) {
      texts.push([`fieldMappings[${index}].${key}`, mapping[key]]);
    }
  }
  return texts;
}

function conditionWarnings(rule: Rule): RuleFinding[] {
  const warnings: RuleFinding[] = [];
  if (matchesEverything(rule)) {
    const where = rule.mailboxId === null ? '' : ' of its mailbox';
    const what = rule.type === 'ignore' ? ' and throws it away' : '';
    warnings.push({
      code: 'matches_everything',
      field: 'conditions',
      message: `The rule has no condition, so it matches every mail${where}${what}.`,
    });
  }
  if (rule.matchOnAttachment) {
    for (const field of ['subject', 'body'] as const) {
      if (isBlank(rule[field])) continue;
      const message = 'Not looked at: the attachment name takes its place while "match on attachment" is on.';
      warnings.push({ code: 'condition_ignored', field, message });
    }
  } else if (!isBlank(rule.attachmentName)) {
    const message = 'Not looked at while "match on attachment" is off.';
    warnings.push({ code: 'condition_ignored', field: 'attachmentName', message });
  }
  for (const field of ['subject', 'body', 'closeString'] as const) {
    const text = fold(rule[field]);
    if (isBlank(text) || text === text.trim()) continue;
    const message = 'There is a space at its beginning or end, and it is part of what must occur.';
    warnings.push({ code: 'outer_space', field, message });
  }
  for (const [field, exact] of [
    ['from', rule.fromExact],
    ['to', rule.toExact],
  ] as const) {
    if (exact && !isBlank(rule[field]) && !rule[field].includes('@')) {
      const message = 'An exact address was asked for, but this is not a whole address.';
      warnings.push({ code: 'address_incomplete', field, message });
    }
  }
  return warnings;
}

function effectWarnings(rule: Rule): RuleFinding[] {
  const warnings: RuleFinding[] = [];
  const noEffect = (field: string, message: string) => warnings.push({ code: 'no_effect', field, message });
  const slotMissing = (index: number, message: string) => {
    if (isBlank(rule.slots[index]!.startTag)) {
      warnings.push({ code: 'slot_missing', field: `slots[${index}].startTag`, message });
    }
  };
  const isAlert = rule.type === 'alert';
  if (isAlert) slotMissing(3, 'Without an alert key later mails about the same trouble open new tickets.');
  if (rule.type === 'supplier_update') slotMissing(5, 'Without a supplier reference no ticket can be found.');
  if (rule.type === 'service_status') {
    slotMissing(0, 'Without the service it is not known what the status is about.');
    slotMissing(1, 'Without the status text there is nothing to set.');
  }
  if (!isAlert && (rule.alwaysCloseAlerts || !isBlank(rule.closeString))) {
    noEffect('closeString', 'Only alert rules close tickets.');
  }
  for (const [index, { startTag, endTag, length, useEndOfLine }] of rule.slots.entries()) {
    if (isBlank(startTag) && (endTag !== '' || length > 0 || useEndOfLine)) {
      noEffect(`slots[${index}].startTag`, 'A slot without a start tag takes nothing.');
    }
  }
  for (const [index, { required, groups }] of rule.patterns.entries()) {
    if (!required && groups.length === 0) {
      noEffect(`patterns[${index}]`, 'The pattern is no condition and fills no field.');
    }
  }
  for (const [index, { startTag, value }] of rule.fieldMappings.entries()) {
    if (isBlank(startTag) && value === '') {
      noEffect(`fieldMappings[${index}]`, 'The mapping has neither a start tag nor a constant value.');
    }
  }
  return warnings;
}

/** Rules that can never win because another one takes all their mail. */
function orderWarnings(rule: Rule, others: readonly Rule[]): RuleFinding[] {
  if (!rule.enabled) return [];
  const hiders: Rule[] = [];
  const hidden: Rule[] = [];
  let earlier = true;
  for (const other of orderRules([...others.filter(({ id, enabled }) => enabled && id !== rule.id), rule])) {
    if (other === rule) earlier = false;
    else if (earlier && covers(other, rule)) hiders.push(other);
    else if (!earlier && covers(rule, other)) hidden.push(other);
  }
  const warnings: RuleFinding[] = [];
  const [first] = hiders;
  if (first !== undefined) {
    warnings.push({
      code: 'never_reached',
      field: 'sequence',
      message: `Rule "${first.name}" (${first.id}) comes earlier and takes every mail that this one would.`,
    });
  }
  if (hidden.length > 0) {
    const names = hidden.slice(0, 5).map(({ name }) => `"${name}"`);
    warnings.push({
      code: 'hides_others',
      field: 'sequence',
      message: `No mail will reach ${hidden.length} later rules, among them ${names.join(', ')}.`,
    });
  }
  return warnings;
}

/** True when it is certain that `wide` matches every mail that `narrow` matches. May say no too often. */
function covers(wide: Rule, narrow: Rule): boolean {
  if (wide.mailboxId !== null && wide.mailboxId !== narrow.mailboxId) return false;
  if (wide.patterns.some(({ required }) => required)) return false;
  for (const field of ['from', 'to'] as const) {
    if (!coversAddress(wide, narrow, field)) return false;
  }
  if (wide.matchOnAttachment) {
    if (isBlank(wide.attachmentName)) return true;
    return (
      narrow.matchOnAttachment &&
      wide.attachmentMatch === 'contains' &&
      implies(narrow.attachmentName, wide.attachmentName)
    );
  }
  const [subject, body] = narrow.matchOnAttachment ? ['', ''] : [narrow.subject, narrow.body];
  if (!implies(subject, wide.subject)) return false;
  return isBlank(wide.body) || (wide.scanFullBody === narrow.scanFullBody && implies(body, wide.body));
}

function coversAddress(wide: Rule, narrow: Rule, field: 'from' | 'to'): boolean {
  if (isBlank(wide[field])) return true;
  if (narrow.matchCcAndBcc && !wide.matchCcAndBcc) return false;
  const exact = field === 'from' ? 'fromExact' : 'toExact';
  const [wideText, narrowText] = [fold(wide[field]).trim(), fold(narrow[field]).trim()];
  return wide[exact] ? narrow[exact] && wideText === narrowText : narrowText.includes(wideText);
}

/** A text that contains `narrow` contains `wide` too. */
function implies(narrow: string, wide: string): boolean {
  return isBlank(wide) || (!isBlank(narrow) && fold(narrow).includes(fold(wide)));
}
