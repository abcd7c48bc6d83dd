/** Saves a posted EmailStore: a durable row first, with the mails that it becomes; sending begins with the commit. */
import { fail } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { htmlToText } from '../message/html-text.ts';
import { readAddressList } from '../outbound/address-list.ts';
import { type MailOrder, writeMails } from '../outbound/write-mails.ts';
import type { Attachment, Recipients } from '../send/mail.ts';
import { writeAudit } from '../store/audit-log.ts';
import type { Tx } from '../store/database.ts';
import {
  addParticipants,
  digestOf,
  dropUnsent,
  type EmailStoreRow,
  findEmailStore,
  findRepeated,
  lockEmailStore,
  outgoingOf,
  type Person,
  peopleById,
  saveAttachments,
  saveEmailStore,
  type TicketToWrite,
  ticketsToWrite,
} from '../store/email-stores.ts';
import { findFormattedEmail } from '../store/formatted-emails.ts';
import { findMailbox, listMailboxes, type Mailbox } from '../store/mailboxes.ts';
import { queueOutgoing } from '../store/outgoing.ts';
import { sendingOf } from '../store/sending-settings.ts';
import type { AttachmentItem, EmailStoreItem } from './halo/email-store-fields.ts';
import { decodeBase64 } from './http/base64.ts';
import { invalid } from './http/problem.ts';

export interface StoreContext {
  tx: Tx;
  actor: string;
  tokenKey: Uint8Array;
  tags: { start: string; end: string };
}

export interface SavedStore {
  row: EmailStoreRow;
  warning: string | null;
}

/** Fails with `validation_failed`, `not_found`, `conflict` or `send_not_configured`. */
export async function saveStore(item: EmailStoreItem, context: StoreContext): Promise<SavedStore> {
  const { tx, actor } = context;
  const digest = digestOf(actor, item);
  const id = item.id || null;
  const current = id === null ? null : await changeable(tx, id);
  if (id === null) {
    const repeated = await findRepeated(tx, digest, LIMITS.outgoingRepeatSeconds);
    if (repeated !== null) {
      const warning = `E-mail ${repeated.id} says the same and was queued just now, so no second one is sent.`;
      return { row: repeated, warning };
    }
  }
  const whole: EmailStoreItem = { ...(current?.halo as EmailStoreItem | undefined), ...item };
  const { order, ticket, files } = await orderOf(whole, context);
  // Sent by another program: only to be kept.
  const mails = whole.dateemailed ? [] : writeMails(order);
  if (mails.length > LIMITS.outgoingAtOnce) throw invalid('bulk_user_id_array', 'leads to too many mails');
  const saved = await saveEmailStore(tx, id, {
    mailboxId: order.sender.mailboxId,
    ticketId: ticket?.id ?? null,
    templateId: whole.templateid || null,
    subject: order.subject || (mails[0]?.subject ?? ''),
    text: order.text || (mails[0]?.text ?? ''),
    html: order.html ?? mails[0]?.html ?? null,
    recipients: order.recipients,
    addAction: whole.addactionaftersending ?? false,
    halo: kept(whole),
    digest,
    actor,
  });
  if (item.attachments !== undefined) await saveAttachments(tx, saved, files);
  if (id !== null) await dropUnsent(tx, id);
  const isBulk = mails.length > 1 || whole._isbatch === true;
  await queueOutgoing(
    tx,
    mails.map((mail) => ({
      ...mail,
      emailStoreId: saved,
      incomingEmailId: null,
      kind: 'stored',
      // One of many is no letter: machines must not answer it.
      automaticTo: isBulk ? `bulk:${saved}` : null,
    })),
  );
  for (const { ticketId, recipients } of mails) {
    if (ticketId === null) continue;
    await addParticipants(
      tx,
      ticketId,
      [...recipients.to, ...recipients.cc].map(({ address }) => address),
    );
  }
  const change = { mailbox: order.sender.mailboxId, ticket: ticket?.id ?? null, mails: mails.length };
  await writeAudit(tx, {
    actor,
    action: id === null ? 'create' : 'update',
    entity: 'email_store',
    entityId: saved,
    change,
  });
  return { row: (await findEmailStore(tx, saved))!, warning: null };
}

/** What is kept of an item as it was posted: all but files and secrets. */
function kept({
  id: _id,
  attachments: _files,
  test_credentials: _secret,
  ...rest
}: EmailStoreItem): Record<string, unknown> {
  return rest;
}

async function changeable(tx: Tx, id: number): Promise<EmailStoreRow> {
  const row = await lockEmailStore(tx, id);
  if (row === null) throw fail('not_found', `There is no e-mail ${id}.`);
  const mails = (await outgoingOf(tx, [id])).get(id)!;
  const gone = mails.find(({ state }) => state === 'sent' || state === 'sending' || state === 'in_doubt');
  if (gone !== undefined) throw fail('conflict', `E-mail ${id} is ${gone.state}, so it cannot be changed.`);
  return row;
}

async function orderOf(
  item: EmailStoreItem,
  { tx, tokenKey, tags }: StoreContext,
): Promise<{ order: MailOrder; ticket: TicketToWrite | null; files: Attachment[] }> {
  const alone = item.is_stand_alone_email === true;
  const ticketId = alone ? 0 : item.faultid || item.ref || 0;
  const bulkTickets = item.bulk_ticket_id_array ?? [];
  const tickets = await ticketsToWrite(tx, [...(ticketId ? [ticketId] : []), ...bulkTickets]);
  // Halo's ref may be the id of anything: only faultid must be one of ours.
  const ticket = tickets.get(ticketId) ?? null;
  if (ticket === null && !alone && item.faultid)
    throw invalid('faultid', `is ${item.faultid}, and there is no such ticket`);
  const missing = bulkTickets.find((one) => !tickets.has(one));
  if (missing !== undefined)
    throw invalid('bulk_ticket_id_array', `has ${missing}, and there is no such ticket`);
  const mailbox = await mailboxOf(tx, item, ticket ?? tickets.get(bulkTickets[0] ?? 0) ?? null);
  const sending = sendingOf(mailbox);
  if (sending === null) {
    throw fail('send_not_configured', `Mailbox ${mailbox.id} cannot send.`, { field: 'mailbox_id' });
  }
  const bulkUsers = [...(item.bulk_user_id ? [item.bulk_user_id] : []), ...(item.bulk_user_id_array ?? [])];
  const wanted = [
    item.user_id ?? 0,
    ...bulkUsers,
    ...[...tickets.values()].map((one) => one.requesterId ?? 0),
  ];
  const people = await peopleById(tx, [...new Set(wanted.filter((one) => one > 0))]);
  const unknown = [...bulkUsers, ...(item.user_id ? [item.user_id] : [])].find((one) => !people.has(one));
  if (unknown !== undefined)
    throw invalid('bulk_user_id_array', `or user_id has ${unknown}, and there is no such user`);
  const person = (item.user_id ? people.get(item.user_id) : undefined) ?? requesterOf(ticket, people);
  const recipients = recipientsOf(item, person, bulkUsers.length + bulkTickets.length > 0);
  const html = item.emailbody_html || null;
  const order: MailOrder = {
    sender: { mailboxId: mailbox.id, mailboxName: mailbox.name, sending, tokenKey },
    tags,
    template: await templateOf(tx, item.templateid || 0),
    subject: item.emailsubject ?? '',
    text: item.emailbody || (html === null ? '' : htmlToText(html)),
    html,
    recipients,
    ticket,
    person,
    each: [
      ...[...new Set(bulkUsers)].map((one) => ({ person: people.get(one)!, ticket })),
      ...[...new Set(bulkTickets)].map((one) => ({
        person: requesterOf(tickets.get(one)!, people),
        ticket: tickets.get(one)!,
      })),
    ],
    keyMessage: item.keymessage ?? '',
    signature: signatureOf(mailbox, item.penstock?.agent_id ?? null),
    inReplyTo: item.penstock?.in_reply_to || null,
    today: new Date().toISOString().slice(0, 10),
  };
  return { order, ticket, files: filesOf(item.attachments ?? []) };
}

const requesterOf = (ticket: TicketToWrite | null, people: ReadonlyMap<number, Person>): Person | null =>
  people.get(ticket?.requesterId ?? 0) ?? null;

async function mailboxOf(tx: Tx, item: EmailStoreItem, ticket: TicketToWrite | null): Promise<Mailbox> {
  const named = item.sales_mailbox_override_id || item.mailbox_id || 0;
  if (named !== 0) {
    const mailbox = await findMailbox(tx, named);
    if (mailbox === null) throw invalid('mailbox_id', `is ${named}, and there is no such mailbox`);
    return mailbox;
  }
  const ofTicket = ticket?.mailboxId ? await findMailbox(tx, ticket.mailboxId) : null;
  if (ofTicket !== null && sendingOf(ofTicket) !== null) return ofTicket;
  const all = await listMailboxes(tx);
  const able =
    all.find((one) => one.enabled && sendingOf(one) !== null) ?? all.find((one) => sendingOf(one) !== null);
  if (able === undefined)
    throw fail('send_not_configured', 'There is no mailbox that can send.', { field: 'mailbox_id' });
  return able;
}

/** To whom: emailto, else the user, else the user of the ticket. */
function recipientsOf(item: EmailStoreItem, person: Person | null, isBulk: boolean): Recipients {
  const read = (field: 'emailto' | 'emailcc' | 'emailbcc' | 'replyaddress') => {
    const { mailboxes, wrong } = readAddressList(item[field] ?? '');
    if (wrong.length > 0) throw invalid(field, `has ${JSON.stringify(wrong[0])}, which is no address`);
    return mailboxes;
  };
  const to = read('emailto');
  const known = person === null ? [] : [{ name: person.name, address: person.address }];
  const [replyTo = null] =
    item.reply_direct === true || item.reply_direct === undefined ? read('replyaddress') : [];
  const found = {
    to: to.length > 0 || isBulk ? to : known,
    cc: read('emailcc'),
    bcc: read('emailbcc'),
    replyTo,
  };
  if (found.to.length + found.cc.length + found.bcc.length > LIMITS.outgoingRecipients) {
    throw invalid(
      'emailto',
      `and the others are more than ${LIMITS.outgoingRecipients} addresses; send in bulk`,
    );
  }
  return found;
}

async function templateOf(tx: Tx, id: number) {
  if (id === 0) return null;
  const found = await findFormattedEmail(tx, id);
  if (found === null) throw invalid('templateid', `is ${id}, and there is no such formatted e-mail`);
  if (found.use !== 'template') {
    throw invalid('templateid', `is ${id}, which reads inbound mail; penstock.use makes it a template`);
  }
  return found.template;
}

function signatureOf({ settings, halo }: Mailbox, agentId: number | null): { text: string; html: string } {
  const overrides = Array.isArray(halo.signature_overrides) ? halo.signature_overrides : [];
  const own = overrides.find(
    (one: { agent_id?: unknown }) => agentId !== null && one?.agent_id === agentId,
  ) as { signature?: unknown } | undefined;
  if (typeof own?.signature === 'string' && own.signature !== '') {
    return { text: htmlToText(own.signature), html: own.signature };
  }
  return { text: settings.sending?.signature ?? '', html: settings.sending?.signatureHtml ?? '' };
}

function filesOf(items: readonly AttachmentItem[]): Attachment[] {
  let total = 0;
  return items.map((item, index) => {
    const { mediaType, base64 } = dataUrl(item.data_base64 ?? '');
    const bytes = decodeBase64(item.data || base64, `attachments.${index}.data`);
    total += bytes.length;
    if (bytes.length === 0) throw invalid(`attachments.${index}.data`, 'is missing; links are not followed');
    if (total > LIMITS.outgoingBytes) {
      throw fail('request_too_large', `The attachments have more than ${LIMITS.outgoingBytes} bytes.`);
    }
    return {
      filename: item.filename?.trim() || `attachment-${index + 1}`,
      contentType: item.content_type?.trim() || mediaType || 'application/octet-stream',
      contentId: item.penstock?.content_id?.replace(/^<|>$/g, '') || null,
      bytes,
    };
  });
}

function dataUrl(text: string): { mediaType: string; base64: string } {
  const match = /^data:([\w.+-]+\/[\w.+-]+)?(?:;[\w=.+-]+)*;base64,/.exec(text.slice(0, 300));
  return match === null
    ? { mediaType: '', base64: text }
    : { mediaType: match[1] ?? '', base64: text.slice(match[0].length) };
}
