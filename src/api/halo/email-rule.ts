/** Rules between Halo's names and ours, both ways (halo-api.md section 5). */
import { randomUUID } from 'node:crypto';
import { blankRule } from '../../rule/blank-rule.ts';
import type { FieldMapping, Rule, RuleField, RulePattern, TagSlot } from '../../rule/rule.ts';
import { requireValidRule } from '../../rule/validate.ts';
import { readBody } from '../http/input.ts';
import { type InvalidRequest, invalid } from '../http/problem.ts';
import {
  type FieldMappingItem,
  HaloRule,
  type PatternItem,
  type RuleItem,
  SLOT_PREFIXES,
  SLOTS_WITH_END_SELECTOR,
} from './email-rule-fields.ts';
import {
  ATTACHMENT_MATCH,
  CLOSED_READ_STATUS,
  type Codes,
  END_TAG_MATCH,
  FIELD_TYPE,
  RULE_TYPE,
  USER_MATCH,
} from './enums.ts';

type KeysOf<T> = {
  [K in keyof Rule]-?: Rule[K] extends T ? (T extends Rule[K] ? K : never) : never;
}[keyof Rule];

/** Plain fields: Halo's name, ours, and the value when it is cleared. */
const TEXTS: readonly (readonly [string, KeysOf<string>])[] = [
  ['name', 'name'],
  ['fromaddr', 'from'],
  ['toaddr', 'to'],
  ['subject', 'subject'],
  ['body', 'body'],
  ['attachmentname', 'attachmentName'],
  ['closestring', 'closeString'],
  ['pagerduty_service', 'pagerDutyService'],
  ['pagerduty_service_name', 'pagerDutyServiceName'],
];
const FLAGS: readonly (readonly [string, KeysOf<boolean>, boolean])[] = [
  ['enabled', 'enabled', false],
  ['fromaddrexact', 'fromExact', false],
  ['toaddrexact', 'toExact', false],
  ['matchccandbcc', 'matchCcAndBcc', false],
  ['scan_full_body', 'scanFullBody', true],
  ['matchonattachment', 'matchOnAttachment', false],
  ['3useticketuser', 'userFromTicket', false],
  ['always_close_alerts', 'alwaysCloseAlerts', false],
  ['privateactions', 'privateActions', false],
  ['dontsendacknowledgement', 'dontSendAcknowledgement', false],
  ['dont_update_from_address', 'dontUpdateFromAddress', false],
  ['pagerduty', 'pagerDuty', false],
  ['splunkoncall', 'splunkOnCall', false],
];
const NUMBERS: readonly (readonly [string, KeysOf<number>, number])[] = [
  ['seq', 'sequence', 0],
  ['requesttype', 'ticketTypeId', -1],
  ['response_template_id', 'responseTemplateId', 0],
  ['pagerdutyagent', 'pagerDutyAgentId', 0],
];

/** A rule as Halo's clients see it. Without `details` the field mappings are left out (5, GET by id). */
export function viewRule(rule: Rule, mailboxName: string | null, details: boolean): RuleItem {
  const view: Record<string, unknown> = {
    id: rule.id,
    type: RULE_TYPE.code(rule.type),
    pop3serverid: rule.mailboxId ?? 0,
    mailbox_name: mailboxName,
    attachmentmatchtype: ATTACHMENT_MATCH.code(rule.attachmentMatch),
    closed_alerts_read_status: CLOSED_READ_STATUS.code(rule.closedAlertsReadStatus),
    '3matchtype': USER_MATCH.code(rule.userMatch),
    response_template_name: null,
    guid: rule.guid,
    _warning: rule.disabledReason ?? null,
    fieldmappings: details ? rule.fieldMappings.map((mapping) => viewMapping(mapping, rule.id)) : null,
    patterns: rule.patterns,
  };
  for (const [field, key] of TEXTS) view[field] = rule[key];
  for (const [field, key] of FLAGS) view[field] = rule[key];
  for (const [field, key] of NUMBERS) view[field] = rule[key];
  for (const [index, slot] of rule.slots.entries())
    Object.assign(view, viewSlot(slot, SLOT_PREFIXES[index]!));
  return view;
}

function viewSlot(slot: TagSlot, prefix: string): Record<string, unknown> {
  return {
    [`${prefix}starttag`]: slot.startTag,
    [`${prefix}endtag`]: slot.endTag,
    ...(prefix === '6' ? {} : { [`${prefix}fieldname`]: slot.fieldName }),
    [`${prefix}length`]: slot.length,
    [`${prefix}useendofline`]: slot.useEndOfLine,
    ...(SLOTS_WITH_END_SELECTOR.includes(prefix) ? { [`${prefix}endtagmatchtype`]: endingOf(slot) } : {}),
  };
}

/** The selector has no column of its own: it is read off the flags (5.3). */
function endingOf({ useEndOfLine, length }: TagSlot): number {
  return END_TAG_MATCH.code(useEndOfLine ? 'end_of_line' : length > 0 ? 'length' : 'end_tag');
}

function viewMapping(mapping: FieldMapping, ruleId: number): FieldMappingItem {
  return {
    id: mapping.id,
    emailruleid: ruleId,
    fieldid: mapping.fieldId,
    fieldtype: FIELD_TYPE.code(mapping.fieldType),
    searchtext: mapping.searchText,
    starttag: mapping.startTag,
    endtag: mapping.endTag,
    value: mapping.value,
    searchresult: '',
    _warning: null,
  };
}

/**
 * Applies a posted item to a rule, or to a new one when `current` is null. New field mappings have id 0. Fails with
 * `validation_failed`; a create without type is refused, because 0 would silently drop mail (5.1).
 */
export function draftRule(item: RuleItem, current: Rule | null): Rule {
  const rule = current === null ? { ...blankRule(), guid: randomUUID() } : structuredClone(current);
  // Whoever changes the rule has seen it.
  delete rule.disabledReason;
  if (item.type !== undefined && item.type !== null) rule.type = wordOf(RULE_TYPE, item.type, 'type');
  else if (current === null) throw invalid('type', `is missing; it must be one of ${RULE_TYPE.allowed}`);
  else if (item.type === null) throw invalid('type', 'cannot be cleared');

  for (const [field, key] of TEXTS) rule[key] = given(item, field, rule[key], '');
  for (const [field, key, byDefault] of FLAGS) rule[key] = given(item, field, rule[key], byDefault);
  for (const [field, key, byDefault] of NUMBERS) rule[key] = given(item, field, rule[key], byDefault);
  if (item.pop3serverid !== undefined) rule.mailboxId = item.pop3serverid || null;
  if (item.attachmentmatchtype !== undefined) {
    rule.attachmentMatch = wordOf(ATTACHMENT_MATCH, item.attachmentmatchtype ?? 0, 'attachmentmatchtype');
  }
  if (item.closed_alerts_read_status !== undefined) {
    const code = item.closed_alerts_read_status ?? 0;
    rule.closedAlertsReadStatus = wordOf(CLOSED_READ_STATUS, code, 'closed_alerts_read_status');
  }
  if (item['3matchtype'] !== undefined) {
    rule.userMatch = wordOf(USER_MATCH, item['3matchtype'] ?? 0, '3matchtype');
  }
  for (const [index, slot] of rule.slots.entries())
    applySlot(item, slot, SLOT_PREFIXES[index]!, current === null);
  if (item.patterns !== undefined) rule.patterns = (item.patterns ?? []).map(readPattern);
  if (item.fieldmappings !== undefined) {
    rule.fieldMappings = readMappings(item.fieldmappings ?? [], current?.fieldMappings ?? []);
  }
  return rule;
}

function given<T>(item: RuleItem, field: string, current: T, cleared: T): T {
  const value = item[field] as T | null | undefined;
  return value === undefined ? current : (value ?? cleared);
}

function wordOf<W extends string>(codes: Codes<W>, code: number, field: string): W {
  const word = codes.word(code);
  if (word === null) throw invalid(field, `must be one of ${codes.allowed}`);
  return word;
}

function applySlot(item: RuleItem, slot: TagSlot, prefix: string, isNew: boolean): void {
  const before = endingOf(slot);
  slot.startTag = given(item, `${prefix}starttag`, slot.startTag, '');
  slot.endTag = given(item, `${prefix}endtag`, slot.endTag, '');
  if (prefix !== '6') slot.fieldName = given(item, `${prefix}fieldname`, slot.fieldName, '');
  slot.length = given(item, `${prefix}length`, slot.length, 0);
  if (slot.length < 0) throw invalid(`${prefix}length`, 'must not be below 0');
  slot.useEndOfLine = given(item, `${prefix}useendofline`, slot.useEndOfLine, false);

  const field = `${prefix}endtagmatchtype`;
  const selector = SLOTS_WITH_END_SELECTOR.includes(prefix) ? item[field] : undefined;
  if (typeof selector !== 'number') return;
  // Clients post back what they read, and the selector they read must not undo the flag they changed.
  if (!isNew && selector === before) return;
  const ending = wordOf(END_TAG_MATCH, selector, field);
  slot.useEndOfLine = ending === 'end_of_line';
  if (ending === 'end_tag') slot.length = 0;
  if (ending === 'length' && slot.length === 0)
    throw invalid(field, `is 2 (length), but ${prefix}length is 0`);
}

function readPattern(item: PatternItem, index: number): RulePattern {
  const field = item.field ?? 'text';
  if (!/^(subject|text|html|from|to|header:.+)$/i.test(field)) {
    throw invalid(`patterns.${index}.field`, 'must be subject, text, html, from, to or header:<name>');
  }
  return {
    field: field.toLowerCase() as RuleField,
    pattern: item.pattern,
    flags: item.flags ?? '',
    required: item.required ?? true,
    groups: item.groups ?? [],
  };
}

/** The given set replaces the stored one; items with an id keep what they leave out (5, update). */
function readMappings(items: FieldMappingItem[], stored: FieldMapping[]): FieldMapping[] {
  const byId = new Map(stored.map((mapping) => [mapping.id, mapping]));
  const seen = new Set<number>();
  return items.map((item, index) => {
    const wrong = (field: string, message: string): InvalidRequest =>
      invalid(`fieldmappings.${index}.${field}`, message);
    const known = item.id ? byId.get(item.id) : undefined;
    if (item.id && known === undefined) throw wrong('id', 'is no mapping of this rule');
    if (item.id && seen.has(item.id)) throw wrong('id', 'occurs twice');
    if (item.id) seen.add(item.id);
    const fieldId = item.fieldid ?? known?.fieldId;
    if (fieldId === undefined) throw wrong('fieldid', 'is missing');
    const fieldType =
      item.fieldtype === undefined || item.fieldtype === null
        ? (known?.fieldType ?? 'standard')
        : FIELD_TYPE.word(item.fieldtype);
    if (fieldType === null) throw wrong('fieldtype', `must be one of ${FIELD_TYPE.allowed}`);
    const text = (given: string | null | undefined, before: string | undefined): string =>
      given === undefined ? (before ?? '') : (given ?? '');
    return {
      id: known?.id ?? 0,
      fieldId,
      fieldType,
      searchText: text(item.searchtext, known?.searchText),
      startTag: text(item.starttag, known?.startTag),
      endTag: text(item.endtag, known?.endTag),
      value: text(item.value, known?.value),
    };
  });
}

/**
 * A rule from outside the database, as in a file: what the API would take, with property names in any letter case.
 * It counts as enabled unless it says otherwise. Fails with `validation_failed` or `rule_invalid`.
 */
export function ruleFromHalo(item: unknown): Rule {
  const read = readBody(HaloRule, item);
  const rule = draftRule({ enabled: true, ...(read as RuleItem) }, null);
  requireValidRule(rule);
  return rule;
}

/** Where a part of a rule is found in a posted one. */
export function haloFieldOf(field: string): string {
  const slot = /^slots\[(\d)\]\.(\w+)$/.exec(field);
  if (slot !== null) return `${SLOT_PREFIXES[Number(slot[1])]}${slot[2]!.toLowerCase()}`;
  const mapping = /^fieldMappings\[(\d+)\]\.(\w+)$/.exec(field);
  if (mapping !== null) return `fieldmappings.${mapping[1]}.${mapping[2]!.toLowerCase()}`;
  const known = [...TEXTS, ...FLAGS, ...NUMBERS].find(([, key]) => key === field);
  return known?.[0] ?? field.replace(/\[(\d+)\]/g, '.$1');
}
