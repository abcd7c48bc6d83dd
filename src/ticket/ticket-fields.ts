import { type Extraction, type RuleResult, SLOT_MEANINGS } from '../rule/rule.ts';

/**
 * A value for a ticket's field and where it comes from. A list and not an object: names come from rules and
 * values from mail, and neither may become a key (failures, section 24).
 */
export interface FieldValue {
  /** `standard:<id>`, `custom:<id>` and `user:<id>` from mappings, `slot:<meaning>`, or the name a pattern fills. */
  field: string;
  /** For slots: the field by which the value is looked up, as the rule names it; may be empty. */
  matchedBy: string | null;
  value: string;
  source: Extraction['source'];
  start: number;
  end: number;
}

/** The field values of a matched rule, in the order of the rule: slots, mappings, patterns. */
export function ticketFields({ rule, extractions }: Pick<RuleResult, 'rule' | 'extractions'>): FieldValue[] {
  if (rule === null) return [];
  return extractions.map((extraction) => {
    const { target, value, source, start, end, field } = extraction;
    const place = { value, source, start, end };
    if (field !== undefined) return { field: `${field.type}:${field.id}`, matchedBy: null, ...place };
    if (target.startsWith('pattern:')) {
      return { field: target.slice('pattern:'.length), matchedBy: null, ...place };
    }
    const slot = SLOT_MEANINGS.findIndex((meaning) => target === `slot:${meaning}`);
    return { field: target, matchedBy: rule.slots[slot]?.fieldName ?? null, ...place };
  });
}
