/**
 * The mails that outcomes bring about: acknowledgements, answers of rules, welcomes. Queued in the transaction that
 * decides, so that there is one for each outcome, or none. Also what comes back of mails that we sent.
 */
import { LIMITS } from '../limits.ts';
import type { Address, Classification } from '../message/message.ts';
import { addressing } from '../outbound/addressing.ts';
import {
  fillHtml,
  fillSubject,
  fillText,
  OUR_TEMPLATES,
  type Template,
  type Values,
} from '../outbound/template.ts';
import type { Tx } from '../store/database.ts';
import { findFormattedEmail } from '../store/formatted-emails.ts';
import { type NewOutgoing, queueOutgoing } from '../store/outgoing.ts';
import { type Bounced, countAutomatic, noteBounces } from '../store/outgoing-facts.ts';
import type { OutgoingKind } from '../store/states.ts';
import type { Outcome } from '../ticket/outcome.ts';
import type { Decided } from './decide.ts';
import type { ProcessingPolicy } from './policy.ts';

interface Wanted {
  one: Decided;
  kind: Exclude<OutgoingKind, 'stored'>;
  /** 0 = ours. */
  templateId: number;
  to: Address;
}

export interface AnswersDone {
  /** Records whose sender got too much from us already. */
  limited: number[];
  bounced: Bounced[];
}

/** Queues what the outcomes of a batch want to be sent, within the limits, and notes what came back. */
export async function queueAnswers(
  tx: Tx,
  decided: readonly Decided[],
  policy: ProcessingPolicy,
): Promise<AnswersDone> {
  const bounced = await noteBounces(
    tx,
    decided.flatMap((one) => bounceOf(one, policy.mailboxId)),
  );
  const wanted = policy.sending === null ? [] : decided.flatMap((one) => wantedOf(one, policy));
  if (wanted.length === 0) return { limited: [], bounced };
  const limited: number[] = [];
  const counts = await countAutomatic(tx, [...new Set(wanted.map(({ to }) => to.address.toLowerCase()))]);
  const mails: NewOutgoing[] = [];
  for (const want of wanted) {
    const address = want.to.address.toLowerCase();
    const count = counts.get(address) ?? { hour: 0, day: 0 };
    if (count.hour >= LIMITS.automaticPerHour || count.day >= LIMITS.automaticPerDay) {
      limited.push(want.one.prepared.analysis.id);
      continue;
    }
    counts.set(address, { hour: count.hour + 1, day: count.day + 1 });
    const template = await templateOf(tx, want);
    if (template !== null) mails.push(write(want, template, policy));
  }
  await queueOutgoing(tx, mails);
  return { limited, bounced };
}

function bounceOf({ prepared }: Decided, mailboxId: number) {
  const { message, classification, id } = prepared.analysis;
  const { deliveryStatus } = message;
  if (
    classification.class !== 'bounce' ||
    deliveryStatus === null ||
    deliveryStatus.originalMessageId === null
  )
    return [];
  const { recipients, originalMessageId } = deliveryStatus;
  // That it is late is no news yet.
  if (recipients.length > 0 && recipients.every(({ action }) => action === 'delayed')) return [];
  return [{ mailboxId, emailId: id, messageId: originalMessageId, recipients }];
}

function wantedOf(one: Decided, { sending }: ProcessingPolicy): Wanted[] {
  const { outcome, prepared } = one;
  const to = prepared.analysis.message.from[0];
  if (to === undefined || sending === null) return [];
  const wanted: Wanted[] = [];
  const answer = answerOf(outcome);
  if (answer !== null) wanted.push({ one, kind: 'answer', templateId: answer, to });
  else if ('effects' in outcome && outcome.effects.acknowledge.send) {
    wanted.push({ one, kind: 'acknowledgement', templateId: sending.acknowledgementTemplateId, to });
  }
  if ('effects' in outcome && isWelcome(outcome.effects.requester, to, prepared.analysis.classification)) {
    wanted.push({ one, kind: 'welcome', templateId: sending.welcomeTemplateId, to });
  }
  return wanted;
}

function answerOf(outcome: Outcome): number | null {
  if (outcome.kind === 'ignore') return outcome.answerTemplateId;
  return 'effects' in outcome ? outcome.effects.answerTemplateId : null;
}

/** Only who wrote, and is a person, is welcomed; not somebody whom a rule found in the text. */
function isWelcome(
  requester: Extract<Outcome, { effects: unknown }>['effects']['requester'],
  { address }: Address,
  { class: messageClass }: Classification,
): boolean {
  if (requester.kind !== 'create' || !requester.welcome || messageClass !== 'human') return false;
  return requester.address.toLowerCase() === address.toLowerCase();
}

/** Null when the template is gone: without its text there is nothing to say. */
async function templateOf(tx: Tx, { kind, templateId }: Wanted): Promise<Template | null> {
  const found = templateId === 0 ? null : await findFormattedEmail(tx, templateId);
  if (found?.use === 'template') return found.template;
  return kind === 'answer' ? null : OUR_TEMPLATES[kind];
}

function write({ one, kind, to }: Wanted, template: Template, policy: ProcessingPolicy): NewOutgoing {
  const { mailboxId, mailboxName, global, tokenKeys } = policy;
  const sending = policy.sending!;
  const { message, id } = one.prepared.analysis;
  const ticketId = one.ticketId ?? 0;
  const name = to.name.trim() || to.address;
  const values: Values = {
    'ticket.id': ticketId === 0 ? '' : String(ticketId),
    'ticket.tag': ticketId === 0 ? '' : `${global.subjectStartTag}${ticketId}${global.subjectEndTag}`,
    'ticket.subject': message.subject,
    subject: message.subject,
    'user.name': name,
    'user.firstname': name.includes('@') ? name : (name.split(/\s+/)[0] ?? name),
    'user.emailaddress': to.address,
    'mailbox.name': mailboxName,
    'mailbox.address': sending.address,
    date: new Date().toISOString().slice(0, 10),
    signature: sending.signature,
  };
  const rich = sending.signatureHtml === '' ? {} : { signature: sending.signatureHtml };
  const { sender, replyTo, messageId } = addressing(
    { mailboxId, sending, tokenKey: tokenKeys[0]! },
    ticketId,
  );
  return {
    mailboxId,
    emailStoreId: null,
    incomingEmailId: id,
    ticketId: one.ticketId,
    kind,
    automaticTo: to.address.toLowerCase(),
    messageId,
    inReplyTo: message.messageId,
    sender,
    recipients: { to: [{ name: to.name, address: to.address }], cc: [], bcc: [], replyTo },
    subject: fillSubject(template.subject, values),
    text: fillText(template.text, values),
    html: template.html === '' ? null : fillHtml(template.html, values, rich),
  };
}
