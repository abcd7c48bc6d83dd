/** The fields of Halo's EmailStore and its attachments (halo-api.md section 8). */
import Type, { type Static, type TSchema } from 'typebox';
import { LIMITS } from '../../limits.ts';
import { base64, bigId, date, flag, int, text } from './fields.ts';
import { HaloMailbox, type MailboxItem } from './mailbox-fields.ts';

/** Attachment: what is used of it. The other fields of Halo's are about its own store of files. */
export const HaloAttachment = Type.Object(
  {
    id: int('Only in answers.'),
    filename: text('File name.', 255),
    content_type: text('MIME type; by default application/octet-stream.', 255),
    filesize: int('Only in answers: bytes.'),
    isimage: flag('Only in answers.'),
    data: base64('Content.'),
    data_base64: Type.Optional(
      Type.Unsafe<string | null>({
        type: ['string', 'null'],
        description: 'Content, as base64 or as a data: URL.',
      }),
    ),
    desc: text('Kept nowhere.'),
    note: text('Kept nowhere.'),
    datecreated: date('Only in answers.'),
    penstock: Type.Optional(
      Type.Unsafe<{ content_id?: string | null } | null>({
        type: ['object', 'null'],
        properties: { content_id: text('For a picture that the HTML shows as cid:...', 255) },
      }),
    ),
  },
  { title: 'Attachment' },
);
export type AttachmentItem = Static<typeof HaloAttachment>;

const body = (description: string) =>
  Type.Optional(
    Type.Unsafe<string | null>({ type: ['string', 'null'], description, maxLength: LIMITS.bodyHtmlChars }),
  );
const ids = (description: string) =>
  Type.Optional(
    Type.Unsafe<number[] | null>({
      type: ['array', 'null'],
      items: { type: 'integer', minimum: 1 },
      maxItems: LIMITS.outgoingAtOnce,
      description,
    }),
  );
const addresses = (description: string) =>
  text(`${description} Addresses, delimited by comma or semicolon.`, 64_000);

/** Fields that are kept for Halo's clients and do nothing here. */
export const STORE_KEPT = {
  ref: int('Kept; as faultid when that is absent.'),
  emailattachments: text('Kept: legacy list of attachments.', 64_000),
  messagegroup_id: int('Kept.'),
  org_id: int('Kept.'),
  client_id: int('Kept.'),
  site_id: int('Kept.'),
  username: text('Kept; the name of the recipient in a template.', 255),
  quotation_id: int('Kept.'),
  salesorder_id: int('Kept.'),
  purchaseorder_id: int('Kept.'),
  invoice_id: int('Kept.'),
  contract_id: int('Kept.'),
  _isbatch: flag('Marks the mail as one of many: machines do not answer it.'),
  kb_id: int('Kept.'),
  report_id: int('Kept.'),
  from_dl_id: int('Kept.'),
  is_stand_alone_email: flag('The mail belongs to no ticket, whatever faultid says.'),
  sales_mailbox_override_id: int('Mailbox to send from, before mailbox_id.'),
  add_to_feed: flag('Kept.'),
  keymessage: text('For {{keymessage}} in a template.', 4_000),
} satisfies Record<string, TSchema>;

export const HaloEmailStore = Type.Unsafe<EmailStoreItem>(
  Type.Object(
    {
      id: int('Absent or 0 queues a mail. With an id: changes it, as long as nothing of it was sent.'),
      emailsubject: text('Subject.', 4_000),
      emailbody: body('Plain text.'),
      emailbody_html: body('HTML.'),
      emailto: addresses('To.'),
      emailcc: addresses('Cc.'),
      emailbcc: addresses('Bcc.'),
      dateemailed: date(
        'When everything of it was sent; null = queued. On input: was sent elsewhere, is only stored.',
      ),
      faultid: bigId('Ticket: answers come back to it.'),
      templateid: int('FormattedEmail to write it by.'),
      reply_direct: flag('Answers go to replyaddress.'),
      replyaddress: text('Reply-To.', 1_000),
      addactionaftersending: flag('Record an action on the ticket once sent.'),
      mailbox_id: int('Mailbox to send from; 0 = that of the ticket, else the first that can send.'),
      user_id: int('User to write to, when emailto is blank.'),
      test_credentials: Type.Optional(
        Type.Unsafe<MailboxItem | null>({ ...HaloMailbox, type: ['object', 'null'] }),
      ),
      _emailsent: flag('Only in answers: the mail was sent during this call.'),
      attachments: Type.Optional(
        Type.Unsafe<AttachmentItem[] | null>({
          type: ['array', 'null'],
          items: HaloAttachment,
          maxItems: LIMITS.outgoingAttachments,
          description: 'Files to send; in answers with includedetails.',
        }),
      ),
      datecreated: date('Only in answers: when it was queued.'),
      bulk_user_id: int('One mail to this user.'),
      bulk_user_id_array: ids('One mail to each of these users.'),
      bulk_ticket_id_array: ids('One mail for each of these tickets, to its user.'),
      ...STORE_KEPT,
      _warning: text('Only in answers: what you should know.'),
      penstock: Type.Optional(
        Type.Unsafe<{ agent_id?: number | null; in_reply_to?: string | null } | null>({
          type: ['object', 'null'],
          properties: {
            agent_id: int('Agent whose signature_overrides is {{signature}}.'),
            in_reply_to: text('Message-ID that is answered, without brackets.', 998),
            outgoing: {
              type: 'array',
              description: 'Only in answers: the mails of it, with id, state and message_id.',
              items: { type: 'object' },
            },
          },
        }),
      ),
    },
    { title: 'EmailStore' },
  ),
);
export interface EmailStoreItem {
  id?: number | null;
  emailsubject?: string | null;
  emailbody?: string | null;
  emailbody_html?: string | null;
  emailto?: string | null;
  emailcc?: string | null;
  emailbcc?: string | null;
  dateemailed?: string | null;
  faultid?: number | null;
  templateid?: number | null;
  reply_direct?: boolean | null;
  replyaddress?: string | null;
  addactionaftersending?: boolean | null;
  mailbox_id?: number | null;
  user_id?: number | null;
  test_credentials?: MailboxItem | null;
  attachments?: AttachmentItem[] | null;
  bulk_user_id?: number | null;
  bulk_user_id_array?: number[] | null;
  bulk_ticket_id_array?: number[] | null;
  ref?: number | null;
  username?: string | null;
  keymessage?: string | null;
  _isbatch?: boolean | null;
  is_stand_alone_email?: boolean | null;
  sales_mailbox_override_id?: number | null;
  penstock?: { agent_id?: number | null; in_reply_to?: string | null } | null;
  [name: string]: unknown;
}
