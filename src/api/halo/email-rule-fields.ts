/** The fields of Halo's EmailRule and EmailRuleFieldMapping (halo-api.md section 5), and our patterns. */
import Type, { type Static, type TSchema } from 'typebox';
import { LIMITS } from '../../limits.ts';
import {
  ATTACHMENT_MATCH,
  CLOSED_READ_STATUS,
  END_TAG_MATCH,
  FIELD_TYPE,
  RULE_TYPE,
  USER_MATCH,
} from './enums.ts';
import { flag, int, text, uuid } from './fields.ts';

const condition = (description: string) => text(description, LIMITS.ruleConditionChars);

/** What a slot is for, by its place (5.3). */
const SLOT_USES = [
  'asset or service',
  'status text or asset field',
  'user',
  'alert key',
  'site or client',
  'supplier reference',
] as const;

/** Slot 1 has names without a digit; slot 6 has no field name; slots 2 and 4 have no selector for their ending. */
export const SLOT_PREFIXES = ['', '2', '3', '4', '5', '6'] as const;
export const SLOTS_WITH_END_SELECTOR: readonly string[] = ['', '3', '5', '6'];

function slotFields(prefix: string, index: number): Record<string, TSchema> {
  const slot = `Slot ${index + 1} (${SLOT_USES[index]}): `;
  return {
    [`${prefix}starttag`]: condition(`${slot}text before the value.`),
    [`${prefix}endtag`]: condition(`${slot}text after the value.`),
    ...(prefix === '6'
      ? {}
      : { [`${prefix}fieldname`]: condition(`${slot}field the value is matched against.`) }),
    [`${prefix}length`]: int(`${slot}number of characters; 0 = not used.`),
    [`${prefix}useendofline`]: flag(`${slot}the value runs to the end of the line.`),
    ...(SLOTS_WITH_END_SELECTOR.includes(prefix)
      ? { [`${prefix}endtagmatchtype`]: int(`${slot}how the value ends: ${END_TAG_MATCH.allowed}.`) }
      : {}),
  };
}

export const HaloFieldMapping = Type.Object(
  {
    id: int('Primary key; absent or 0 adds one.'),
    emailruleid: int('Computed: the rule it belongs to.'),
    fieldid: int('Field to fill; required.'),
    fieldtype: int(`Kind of that field: ${FIELD_TYPE.allowed}.`),
    searchtext: condition('When this text occurs, value is stored.'),
    starttag: condition('Text before the value; when it is set, the text between the tags is stored.'),
    endtag: condition('Text after the value.'),
    value: condition('Constant to store when searchtext occurs.'),
    searchresult: text('Only in answers.'),
    _warning: text('Only in answers.'),
  },
  { title: 'EmailRuleFieldMapping' },
);
export type FieldMappingItem = Static<typeof HaloFieldMapping>;

const Pattern = Type.Object(
  {
    field: Type.Optional(
      Type.String({
        maxLength: 200,
        description: 'subject, text, html, from, to, or header:<name>. Default text.',
      }),
    ),
    pattern: Type.String({
      minLength: 1,
      maxLength: LIMITS.rulePatternChars,
      description: 'Regular expression (RE2: linear time, no look-around, no back-references).',
    }),
    flags: Type.Optional(Type.String({ pattern: '^[ims]{0,3}$', description: 'Any of i, m and s.' })),
    required: Type.Optional(Type.Boolean({ description: 'It is a condition, too. Default true.' })),
    groups: Type.Optional(
      Type.Array(
        Type.Object({
          group: Type.String({ minLength: 1, maxLength: 100 }),
          field: Type.String({ minLength: 1, maxLength: 200 }),
        }),
        { maxItems: 50, description: 'Named groups, and the fields they fill.' },
      ),
    ),
  },
  { title: 'RulePattern' },
);
export type PatternItem = Static<typeof Pattern>;

const named = {
  id: int('Primary key; absent or 0 creates.'),
  type: int(`Rule type: ${RULE_TYPE.allowed}. Required on create.`),
  name: condition('Rule name.'),
  pop3serverid: int('Mailbox the rule is limited to; 0 = any.'),
  mailbox_name: text('Computed: name of that mailbox.'),
  enabled: flag('Default false.'),
  seq: int('Sequence: higher is tried first, equal ones by name. Default 0.'),
  fromaddr: condition('Text that the sender must contain. Blank = no condition.'),
  fromaddrexact: flag('The sender must equal fromaddr.'),
  toaddr: condition('Text that a recipient must contain.'),
  toaddrexact: flag('A recipient must equal toaddr.'),
  matchccandbcc: flag('The address conditions look at Cc and Bcc, too.'),
  subject: condition('Text that must occur in the subject.'),
  body: condition('Text that must occur in the body.'),
  scan_full_body: flag('Look at the quoted chain, too. Default true.'),
  matchonattachment: flag('Match the attachment name instead of subject and body.'),
  attachmentname: text('Attachment name to match.', 500),
  attachmentmatchtype: int(`How: ${ATTACHMENT_MATCH.allowed}.`),
  '3matchtype': int(`What slot 3 is matched by: ${USER_MATCH.allowed}.`),
  '3useticketuser': flag("Slot 3 uses the ticket's own user."),
  closestring: condition('Alert rules: text that closes the ticket.'),
  always_close_alerts: flag('Alert rules: every message closes the ticket.'),
  closed_alerts_read_status: int(`Of tickets closed by the rule: ${CLOSED_READ_STATUS.allowed}.`),
  requesttype: int('Ticket type to create; -1 = none chosen.'),
  privateactions: flag('Updates are hidden from end users.'),
  dontsendacknowledgement: flag('No acknowledgement for tickets of this rule.'),
  dont_update_from_address: flag("Keep the ticket's address."),
  response_template_id: int('Template sent back. Default 0.'),
  response_template_name: text('Not kept; only in Halo.'),
  pagerduty: flag('The rule handles PagerDuty mail.'),
  pagerdutyagent: int('Agent that tickets are assigned to.'),
  pagerduty_service: text('PagerDuty service id.'),
  pagerduty_service_name: text('Its name.'),
  splunkoncall: flag('The rule handles Splunk On-Call mail.'),
  guid: uuid('Computed: a second, global id.'),
  _warning: text(
    'Only in answers: what you should know about this rule, such as why Penstock switched it off.',
  ),
  fieldmappings: Type.Optional(
    Type.Unsafe<FieldMappingItem[] | null>({
      type: ['array', 'null'],
      items: HaloFieldMapping,
      maxItems: LIMITS.ruleFieldMappings,
      description: 'On update: replaces the whole set. In answers only with includedetails.',
    }),
  ),
  patterns: Type.Optional(
    Type.Unsafe<PatternItem[] | null>({
      type: ['array', 'null'],
      items: Pattern,
      maxItems: LIMITS.rulePatternsPerRule,
      description: 'Ours: regular expressions. On update: replaces the whole set.',
    }),
  ),
};

const mapped = Type.Object(named);
export type RuleItem = Static<typeof mapped> & Record<string, unknown>;

export const HaloRule = Type.Unsafe<RuleItem>(
  Type.Object({ ...named, ...Object.assign({}, ...SLOT_PREFIXES.map(slotFields)) }, { title: 'EmailRule' }),
);
