/** The fields of Halo's IncomingEmail (halo-api.md section 6) and of our extension beside them. */
import Type, { type Static } from 'typebox';
import { EMAIL_SOURCE, EMAIL_STATUS } from './enums.ts';
import { base64, bigId, content, date, flag, int, text } from './fields.ts';
import { HaloMailbox } from './mailbox-fields.ts';

const User = Type.Object(
  {
    id: Type.Integer(),
    name: Type.String(),
    firstname: Type.String(),
    surname: Type.String(),
    emailaddress: Type.String(),
    login: Type.String(),
    site_id: Type.Integer(),
    client_id: Type.Integer(),
    inactive: Type.Boolean(),
  },
  { title: 'Users', description: 'The user a sender was matched to.' },
);

const extension = Type.Object({
  class: text('human, list, auto-generated, auto-replied, bounce, own or report.'),
  rule_id: int('The rule that decided.'),
  rules_version: bigId('Version of the rule set it belonged to.'),
  ticket_id: bigId('The ticket it led to.'),
  outcome: Type.Optional(Type.Unknown({ description: 'What it led to, and why.' })),
  from_address: text('Bare address of the sender.'),
  cc: text('Cc recipients.'),
  message_id: text('Message-ID without angle brackets.'),
  header_date: date('The Date field: a claim of the sender.'),
  received_at: date('When our server took it.'),
  size: bigId('Bytes.'),
  sha256: text('Digest of the raw message, hex.'),
  attempts: int('Attempts made.'),
  next_attempt: date('When it is tried again.'),
  error: Type.Optional(
    Type.Unsafe<object | null>({
      type: ['object', 'null'],
      description: 'Why it failed; the fingerprint is the same for failures of the same kind.',
      properties: {
        code: { type: 'string' },
        stage: { type: 'string' },
        message: { type: 'string' },
        fingerprint: { type: 'string' },
      },
    }),
  ),
  details: Type.Optional(
    Type.Unsafe<object | null>({
      type: ['object', 'null'],
      description: 'Parts, extracted values and evidence; only with includedetails.',
      properties: {
        parts: {},
        class_evidence: {},
        rule_evidence: {},
        extractions: {},
        thread_evidence: {},
      },
    }),
  ),
});

const fields = {
  id: bigId('Primary key; absent or 0 hands in a message.'),
  old_id: int('Not used.'),
  mbid: int('Mailbox id; required to hand in a message.'),
  agentid: int('Agent concerned.'),
  addactiontofaultid: bigId('Command: the ticket it belongs to, whatever matching would say.'),
  datecreated: date('When it was recorded.'),
  dateprocessed: date('When processing ended; null until then.'),
  memo: content('Plain text body. In answers only with includedetails.'),
  html: content(
    'HTML body. In answers only with includedetails and unsafe=raw: it is what the sender wrote.',
  ),
  processed: flag('Finished. False on a known record asks for another try.'),
  delete: flag('True deletes the record.'),
  issalesmb: flag('Not used.'),
  from: content('Sender.'),
  to: content('Recipients.'),
  subject: content('Subject.'),
  mailid: text('Id at the provider: the same mailid in the same mailbox is the same message.', 1_000),
  data: base64('Raw message. In answers only with includedetails, up to 32 MiB; see /raw.'),
  source: int(`Where it came from: ${EMAIL_SOURCE.allowed}.`),
  status: int(`${EMAIL_STATUS.allowed}. 0 on a known record asks for another try.`),
  removed_from_mailbox: flag('It was deleted or moved at the provider.'),
  retry_remaining: int('Attempts left.'),
  last_attempt_date: date('Time of the latest attempt.'),
  mailbox_type_int: int('Type of its mailbox.'),
  outbound: flag('It is a sent item.'),
  _checkmailid: flag('Command: answer with the record of this mailid, when there is one.'),
  _downloadmail: flag('Command: without effect, because the bytes of every record are kept.'),
  _warning: text('Only in answers.'),
};

const record = Type.Object(fields);
export type EmailItem = Static<typeof record>;

export const HaloEmail = Type.Unsafe<EmailItem & Record<string, unknown>>(
  Type.Object(
    {
      ...fields,
      user: Type.Optional(
        Type.Unsafe({ anyOf: [User, { type: 'null' }], description: 'Only with includedetails.' }),
      ),
      mailbox: Type.Optional(
        Type.Unsafe({ anyOf: [HaloMailbox, { type: 'null' }], description: 'Only with includedetails.' }),
      ),
      penstock: Type.Optional(
        Type.Unsafe<Static<typeof extension>>({
          ...extension,
          description: 'Ours: what became of it, and why.',
        }),
      ),
    },
    { title: 'IncomingEmail' },
  ),
);
