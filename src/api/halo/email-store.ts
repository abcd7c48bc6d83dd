/** An EmailStore as Halo's clients see it. */
import { printAddresses } from '../../outbound/address-list.ts';
import type { Attachment } from '../../send/mail.ts';
import type { EmailStoreRow, OutgoingOfStore } from '../../store/email-stores.ts';
import { type EmailStoreItem, STORE_KEPT } from './email-store-fields.ts';
import { printDate } from './fields.ts';

/** `files`: with includedetails. */
export function viewEmailStore(
  row: EmailStoreRow,
  mails: readonly OutgoingOfStore[],
  files: readonly Attachment[] | null,
): EmailStoreItem {
  const { recipients, halo } = row;
  const kept = Object.fromEntries(Object.keys(STORE_KEPT).map((name) => [name, halo[name] ?? null]));
  const allSent = mails.length > 0 && mails.every(({ state }) => state === 'sent');
  const last = mails.reduce<Date | null>(
    (newest, { sentAt }) => (sentAt && (!newest || sentAt > newest) ? sentAt : newest),
    null,
  );
  return {
    ...kept,
    id: row.id,
    ref: (halo.ref as number | undefined) ?? row.ticket_id ?? 0,
    emailsubject: row.subject,
    emailbody: row.text,
    emailbody_html: row.html,
    emailto: printAddresses(recipients.to),
    emailcc: printAddresses(recipients.cc),
    emailbcc: printAddresses(recipients.bcc),
    dateemailed:
      mails.length === 0
        ? printDate((halo.dateemailed as string | undefined) ?? null)
        : printDate(allSent ? last : null),
    faultid: row.ticket_id ?? 0,
    templateid: row.template_id ?? 0,
    reply_direct: recipients.replyTo !== null,
    replyaddress: recipients.replyTo === null ? '' : printAddresses([recipients.replyTo]),
    addactionaftersending: row.add_action,
    mailbox_id: row.mailbox_id,
    user_id: (halo.user_id as number | undefined) ?? null,
    bulk_user_id: (halo.bulk_user_id as number | undefined) ?? null,
    bulk_user_id_array: (halo.bulk_user_id_array as number[] | undefined) ?? null,
    bulk_ticket_id_array: (halo.bulk_ticket_id_array as number[] | undefined) ?? null,
    test_credentials: null,
    attachments: files === null ? null : files.map(viewAttachment),
    datecreated: printDate(row.created_at),
    _emailsent: allSent,
    _warning: null,
    penstock: {
      ...(halo.penstock as object | undefined),
      outgoing: mails.map(({ id, state, messageId, errorMessage, bounced }) => ({
        id,
        state,
        message_id: messageId,
        error: errorMessage,
        bounced,
      })),
    } as EmailStoreItem['penstock'],
  };
}

function viewAttachment({ filename, contentType, contentId, bytes }: Attachment, index: number) {
  return {
    id: index + 1,
    filename,
    content_type: contentType,
    filesize: bytes.length,
    isimage: contentType.startsWith('image/'),
    data: bytes.toString('base64'),
    penstock: { content_id: contentId },
  };
}
