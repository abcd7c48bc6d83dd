/** From what somebody wants to send to the mails that go out: one for each user or ticket, or one for all. Pure. */
import { fail } from '../errors.ts';
import type { Mailbox, Recipients } from '../send/mail.ts';
import type { Person, TicketToWrite } from '../store/email-stores.ts';
import type { NewOutgoing } from '../store/outgoing.ts';
import { readAddressList } from './address-list.ts';
import { addressing, type SenderFacts } from './addressing.ts';
import {
  fillHtml,
  fillSubject,
  fillText,
  hasVariable,
  type RichValues,
  type Template,
  type Values,
} from './template.ts';

export interface MailOrder {
  sender: SenderFacts & { mailboxName: string };
  tags: { start: string; end: string };
  template: Template | null;
  subject: string;
  text: string;
  html: string | null;
  recipients: Recipients;
  /** For one mail to all recipients. */
  ticket: TicketToWrite | null;
  /** Of the first recipient, as far as he is known. */
  person: Person | null;
  /** One mail for each: the recipients above are not written to then. */
  each: { person: Person | null; ticket: TicketToWrite | null }[];
  keyMessage: string;
  signature: { text: string; html: string };
  inReplyTo: string | null;
  today: string;
}

export type WrittenMail = Omit<NewOutgoing, 'emailStoreId' | 'incomingEmailId' | 'kind' | 'automaticTo'>;

/** Fails with `validation_failed` where a mail would have nobody to go to, or nothing to say. */
export function writeMails(order: MailOrder): WrittenMail[] {
  const { each, ticket, person } = order;
  if (each.length === 0) return [writeOne(order, person, ticket, order.recipients)];
  return each.map((one) => {
    if (one.person === null) {
      throw refuse('bulk_ticket_id_array', `ticket ${one.ticket?.id} has no user to write to`);
    }
    const to = [{ name: one.person.name, address: one.person.address }];
    return writeOne(order, one.person, one.ticket, { ...order.recipients, to });
  });
}

function writeOne(
  order: MailOrder,
  person: Person | null,
  ticket: TicketToWrite | null,
  recipients: Recipients,
): WrittenMail {
  const { sender, template } = order;
  const values = valuesOf(order, person, ticket, recipients.to[0] ?? null);
  const { subject, text, html } = compose(order, values);
  const whole = template === null ? recipients : withTemplateRecipients(recipients, template, values);
  if (whole.to.length + whole.cc.length + whole.bcc.length === 0) throw refuse('emailto', 'names nobody');
  const { sender: from, replyTo, messageId } = addressing(sender, ticket?.id ?? 0);
  return {
    mailboxId: sender.mailboxId,
    ticketId: ticket?.id ?? null,
    messageId,
    inReplyTo: order.inReplyTo,
    sender: from,
    recipients: { ...whole, replyTo: whole.replyTo ?? replyTo },
    subject,
    text,
    html,
  };
}

function valuesOf(
  order: MailOrder,
  person: Person | null,
  ticket: TicketToWrite | null,
  to: Mailbox | null,
): Values {
  const { sender, tags } = order;
  const name = person?.name || to?.name || to?.address || '';
  return {
    'ticket.id': ticket === null ? '' : String(ticket.id),
    'ticket.tag': ticket === null ? '' : `${tags.start}${ticket.id}${tags.end}`,
    'ticket.subject': ticket?.subject ?? '',
    'user.name': name,
    'user.firstname': person?.firstName || (name.includes('@') ? name : (name.split(/\s+/)[0] ?? name)),
    'user.emailaddress': person?.address ?? to?.address ?? '',
    'mailbox.name': sender.mailboxName,
    'mailbox.address': sender.sending.address,
    subject: order.subject,
    body: order.text,
    keymessage: order.keyMessage,
    date: order.today,
    signature: order.signature.text,
  };
}

/** What was given counts; a template that has a place for it holds it, else what is blank comes from the template. */
function compose(order: MailOrder, values: Values): { subject: string; text: string; html: string | null } {
  const { template } = order;
  const rich: RichValues = {
    ...(order.html === null ? {} : { body: order.html }),
    ...(order.signature.html === '' ? {} : { signature: order.signature.html }),
  };
  const holds = (part: string): boolean => hasVariable(part, 'body');
  const given = order.text !== '' || order.html !== null;
  const own = template === null || (given && !holds(template.text) && !holds(template.html));
  const subject =
    order.subject !== '' && !(template !== null && hasVariable(template.subject, 'subject'))
      ? order.subject
      : (template?.subject ?? '');
  const text = own ? order.text : template.text;
  const html = own ? order.html : template.html || null;
  return {
    subject: fillSubject(subject, values),
    text: own && template === null ? text : fillText(text, values),
    html: html === null ? null : own && template === null ? html : fillHtml(html, values, rich),
  };
}

function withTemplateRecipients(recipients: Recipients, template: Template, values: Values): Recipients {
  const read = (text: string): Mailbox[] => readAddressList(fillText(text, values)).mailboxes;
  return {
    ...recipients,
    to: recipients.to.length > 0 ? recipients.to : read(template.to),
    cc: recipients.cc.length > 0 ? recipients.cc : read(template.cc),
  };
}

const refuse = (field: string, message: string): Error =>
  fail('validation_failed', `${field} ${message}.`, { field });
