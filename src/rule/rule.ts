/**
 * An email rule in our own words. The API maps Halo's field names to this shape (halo-api.md section 5);
 * nothing inside the daemon knows those names.
 */

export type RuleType = 'ignore' | 'help_request' | 'service_status' | 'supplier_update' | 'alert';
export type TextMatch = 'contains' | 'equals' | 'starts_with' | 'ends_with';

/** Where in a message a rule looks. `header:<name>` is our extension. */
export type RuleField = 'subject' | 'text' | 'html' | 'from' | 'to' | `header:${string}`;

/** One of the six tag slots. Exactly one ending applies: the end tag, the end of the line, or a length. */
export interface TagSlot {
  startTag: string;
  endTag: string;
  /** Characters after the start tag; 0 = not used. */
  length: number;
  useEndOfLine: boolean;
  /** The field whose value is matched; slot 6 has none. */
  fieldName: string;
}

/** What each slot means, by its place (halo-api.md 5.3). */
export const SLOT_MEANINGS = [
  'asset_or_service',
  'status',
  'user',
  'alert_key',
  'site_or_client',
  'supplier_reference',
] as const;
export type SlotMeaning = (typeof SLOT_MEANINGS)[number];

export type MappedFieldType = 'standard' | 'custom' | 'user';

/** Fills a field: between tags when `startTag` is set, else the constant `value` when `searchText` occurs. */
export interface FieldMapping {
  id: number;
  fieldId: number;
  fieldType: MappedFieldType;
  searchText: string;
  startTag: string;
  endTag: string;
  value: string;
}

/** Our extension: a linear-time regular expression. `required` makes it a condition too. */
export interface RulePattern {
  field: RuleField;
  pattern: string;
  /** Only `i`, `m` and `s` are allowed. */
  flags: string;
  required: boolean;
  /** Named group -> name of the field it fills. */
  groups: { group: string; field: string }[];
}

export interface Rule {
  id: number;
  guid: string;
  name: string;
  type: RuleType;
  enabled: boolean;
  /** null = every mailbox. */
  mailboxId: number | null;
  /** Higher is tried first. */
  sequence: number;

  from: string;
  fromExact: boolean;
  to: string;
  toExact: boolean;
  matchCcAndBcc: boolean;
  subject: string;
  body: string;
  /** Search the quoted chain too; else only the newest part. */
  scanFullBody: boolean;
  /** Match the attachment name instead of subject and body. */
  matchOnAttachment: boolean;
  attachmentName: string;
  attachmentMatch: TextMatch;
  patterns: RulePattern[];

  slots: [TagSlot, TagSlot, TagSlot, TagSlot, TagSlot, TagSlot];
  userMatch: 'address' | 'name' | 'login';
  userFromTicket: boolean;
  fieldMappings: FieldMapping[];

  closeString: string;
  alwaysCloseAlerts: boolean;
  closedAlertsReadStatus: 'global' | 'unread' | 'read';
  /** -1 = none chosen. */
  ticketTypeId: number;
  privateActions: boolean;
  dontSendAcknowledgement: boolean;
  dontUpdateFromAddress: boolean;
  responseTemplateId: number;
  pagerDuty: boolean;
  pagerDutyAgentId: number;
  pagerDutyService: string;
  pagerDutyServiceName: string;
  splunkOnCall: boolean;
  /** Why Penstock switched the rule off by itself; absent when it did not. */
  disabledReason?: string;
}

/** One condition of one rule against one message. `enabled` is listed only for a rule that is switched off. */
export interface ConditionVerdict {
  condition: 'enabled' | 'mailbox' | 'from' | 'to' | 'subject' | 'body' | 'attachment' | 'pattern';
  wanted: string;
  /** What the message has there: the matching excerpt, or the beginning of the text. */
  actual: string;
  matched: boolean;
}

export interface RuleVerdict {
  ruleId: number;
  name: string;
  matched: boolean;
  conditions: ConditionVerdict[];
  /**
   * A rule with a condition that could not be evaluated is passed over, and says so here. On a rule that matched:
   * a pattern that only fills fields could not be evaluated, and its fields are missing.
   */
  error: string | null;
  /** A pattern of its own, not those of other rules, was too expensive for this message. */
  overran?: true;
}

/** A value taken from a message, and where from. */
export interface Extraction {
  /** `slot:alert_key`, `mapping:<id>`, or `pattern:<field name>`. */
  target: string;
  value: string;
  /** `newest_text`: the newest part of the body, for a rule that does not look at the quoted chain. */
  source: RuleField | 'newest_text' | 'constant';
  /** UTF-16 offsets in that source text; -1 for a constant. */
  start: number;
  end: number;
  /** For mappings: what to fill. */
  field?: { id: number; type: MappedFieldType };
}

/** The outcome of running a rule set over one message. */
export interface RuleResult {
  /** The rule that won, or null. */
  rule: Rule | null;
  verdict: RuleVerdict | null;
  /** Rules that come before the winner and could not be evaluated, with the reason in `error`. */
  passedOver: RuleVerdict[];
  extractions: Extraction[];
  /** closestring was found, or alwaysCloseAlerts is set. */
  closes: boolean;
}
