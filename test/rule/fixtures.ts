import type { Address, ParsedMessage } from '../../src/message/message.ts';
import { blankRule, blankSlot } from '../../src/rule/blank-rule.ts';
import type { FieldMapping, Rule, RulePattern, TagSlot } from '../../src/rule/rule.ts';

/** A rule without conditions that asks for a ticket; the test says what matters to it. */
export function makeRule(changes: Partial<Rule> = {}): Rule {
  const id = changes.id ?? 1;
  return {
    ...blankRule(),
    id,
    guid: `00000000-0000-0000-0000-${String(id).padStart(12, '0')}`,
    name: `rule ${id}`,
    enabled: true,
    ...changes,
  };
}

/** A rule of which one slot is used. `number` counts from 1, as people do. */
export function ruleWithSlot(
  number: 1 | 2 | 3 | 4 | 5 | 6,
  slot: Partial<TagSlot>,
  changes: Partial<Rule> = {},
): Rule {
  const rule = makeRule(changes);
  rule.slots[number - 1] = { ...blankSlot(), ...slot };
  return rule;
}

export function makeMapping(changes: Partial<FieldMapping> = {}): FieldMapping {
  return {
    id: 1,
    fieldId: 10,
    fieldType: 'custom',
    searchText: '',
    startTag: '',
    endTag: '',
    value: '',
    ...changes,
  };
}

export function makePattern(pattern: string, changes: Partial<RulePattern> = {}): RulePattern {
  return { field: 'subject', pattern, flags: '', required: true, groups: [], ...changes };
}

export const address = (text: string): Address => ({ name: '', address: text });

/** A message from a person; `newestText` is all of `text` unless given. */
export function makeMessage(changes: Partial<ParsedMessage> = {}): ParsedMessage {
  const text = changes.text ?? '';
  return {
    headers: [],
    from: [address('anna@customer.example')],
    sender: null,
    replyTo: [],
    to: [address('help@desk.example')],
    cc: [],
    bcc: [],
    subject: '',
    messageId: 'm1@customer.example',
    inReplyTo: [],
    references: [],
    date: '2026-11-20T10:00:00.000Z',
    receivedAt: '2026-11-20T10:00:01.000Z',
    text,
    textIsFromHtml: false,
    html: null,
    newestText: text,
    leaves: [],
    deliveryStatus: null,
    warnings: [],
    ...changes,
  };
}

/** A message that carries files of these names. */
export function messageWithFiles(...names: string[]): ParsedMessage {
  return makeMessage({
    leaves: names.map((filename, index) => ({
      part: String(index + 2),
      contentType: 'application/octet-stream',
      filename,
      contentId: null,
      disposition: 'attachment',
      size: 100,
      use: 'attachment',
      reason: null,
      charsetDeclared: null,
      charsetUsed: null,
      decodeLoss: 0,
    })),
  });
}
