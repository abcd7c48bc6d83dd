import type { Rule } from '../rule/rule.ts';
import {
  answerable,
  answerTemplate,
  type Effects,
  effectsOf,
  isAmong,
  type OutcomeInput,
  requesterOf,
  type TicketState,
  type UpdateReason,
} from './effects.ts';
import { type GlobalPolicy, isAutoReply } from './policy.ts';
import { senderAddress } from './thread.ts';

/**
 * What a message leads to. Pure: everything that must be known is given, and the same input gives the same
 * outcome. The order is ours, because Halo's is not public; docs/decisions/0004-order-of-decisions.md has the
 * reasons. The first step that applies decides:
 *
 *  1. a person named the ticket                            -> update
 *  2. our own mail came back, or the mailbox's own mail    -> ignore
 *  3. an ignore rule                                       -> ignore
 *  4. an automatic answer where none are wanted            -> ignore
 *  5. an alert, service status or supplier rule            -> alert, service_status, update or create
 *  6. it belongs to a ticket                               -> update or close, or ignore for a named reason
 *  7. a bounce or report that no rule wants                -> ignore
 *  8. gates for new tickets, which a rule opens            -> ignore
 *  9. a sender that may not have one                       -> park or drop
 * 10. everything else                                      -> create
 */
export function decideOutcome(input: OutcomeInput): Outcome {
  const { thread, tickets, rule } = input;
  const threaded = thread.ticketId === null ? null : tickets.thread;
  if (thread.by === 'command' && threaded !== null) return update(input, threaded, 'named_by_person');
  const ignored = ownMail(input) ?? ignoreRule(input) ?? unwantedAutoReply(input);
  if (ignored !== null) return ignored;
  switch (rule.rule?.type) {
    case 'alert':
      return alertOutcome(input, threaded);
    case 'service_status':
      return serviceStatus(input);
    case 'supplier_update':
      return supplierUpdate(input, threaded);
  }
  return (threaded === null ? null : reply(input, threaded)) ?? newTicket(input);
}

export type IgnoreReason =
  | 'loop'
  | 'sent_by_same_mailbox'
  | 'rule'
  | 'auto_reply_not_accepted'
  | 'auto_reply_changes_nothing'
  | 'already_in_ticket'
  | 'alert_not_open'
  | 'bounce'
  | 'report'
  | 'no_rule_matched'
  | 'only_in_cc'
  | 'new_tickets_stopped';
export type CreateReason = 'no_rule' | 'rule' | 'supplier_reference_unknown' | 'service_not_named';
export type AlertReason =
  | 'new_alert'
  | 'alert_without_key'
  | 'closed_before_it_opened'
  | 'same_alert'
  | 'recovered';

/** What a new ticket begins with. */
export interface NewTicket {
  typeId: number;
  subject: string;
  alertKey: string | null;
  supplierReference: string | null;
  asset: string | null;
  site: string | null;
  /** Tickets that something pointed to, but not surely enough. */
  possibleParents: number[];
}

export type ReadStatus = 'read' | 'unread' | 'unchanged';

export type Outcome = { ruleId: number | null } & (
  | { kind: 'create'; reason: CreateReason; ticket: NewTicket; effects: Effects }
  | { kind: 'update'; reason: UpdateReason; ticketId: number; reopen: boolean; effects: Effects }
  /** An agent closed the ticket by mail. */
  | { kind: 'close'; reason: UpdateReason; ticketId: number; effects: Effects }
  | {
      kind: 'alert';
      action: 'open';
      reason: AlertReason;
      ticket: NewTicket;
      closed: boolean;
      effects: Effects;
    }
  | {
      kind: 'alert';
      action: 'update';
      reason: AlertReason;
      ticketId: number;
      alertKey: string | null;
      effects: Effects;
    }
  | {
      kind: 'alert';
      action: 'close';
      reason: AlertReason;
      ticketId: number;
      alertKey: string | null;
      readStatus: ReadStatus;
      effects: Effects;
    }
  | { kind: 'service_status'; service: string; status: string | null; effects: Effects }
  /** `ticketId`: the ticket it would have changed. */
  | { kind: 'ignore'; reason: IgnoreReason; ticketId: number | null; answerTemplateId: number | null }
  | { kind: 'park'; reason: 'sender_unknown'; detail: string }
  | { kind: 'drop'; reason: 'sender_unknown'; detail: string }
);

function ownMail(input: OutcomeInput): Outcome | null {
  const { classification, mailbox } = input;
  // Our mark means that we sent this very mail. An own address alone does not: people write from shared mailboxes.
  if (classification.class === 'own' && classification.evidence.some(({ fact }) => fact === 'X-Loop')) {
    return ignore(input, 'loop');
  }
  const sender = senderAddress(input.message);
  if (mailbox.policy.dontProcessSentBySameMailbox && isAmong(sender, mailbox.addresses)) {
    return ignore(input, 'sent_by_same_mailbox');
  }
  return null;
}

function ignoreRule(input: OutcomeInput): Outcome | null {
  return input.rule.rule?.type === 'ignore' ? ignore(input, 'rule', answerTemplate(input)) : null;
}

function unwantedAutoReply(input: OutcomeInput): Outcome | null {
  const { classification, mailbox, global } = input;
  if (mailbox.policy.acceptAutoReplies || !isAutoReply(classification.class, global)) return null;
  return ignore(input, 'auto_reply_not_accepted');
}

function alertOutcome(input: OutcomeInput, threaded: TicketState | null): Outcome {
  const { rule, claims, tickets, global } = input;
  const { alertKey } = claims;
  const ruleId = rule.rule!.id;
  // Without a key the thread is the next best tie between an alert and its recovery.
  const fallback = alertKey === null && threaded?.open === true ? threaded : null;
  const ticket = tickets.alert ?? fallback;
  if (ticket !== null && input.alreadyIn.includes(ticket.id)) {
    return ignore(input, 'already_in_ticket', null, ticket.id);
  }
  if (rule.closes) {
    if (ticket !== null) {
      const readStatus = closedReadStatus(rule.rule!, ticket, global);
      const effects = effectsOf(input, { fields: true, alert: ticket });
      const found = { ticketId: ticket.id, alertKey, readStatus, effects };
      return { kind: 'alert', action: 'close', reason: 'recovered', ...found, ruleId };
    }
    if (!(rule.rule!.pagerDuty && global.logClosedPagerDuty)) return ignore(input, 'alert_not_open');
    return openAlert(input, 'closed_before_it_opened', true);
  }
  if (ticket !== null) {
    const effects = effectsOf(input, { fields: true, alert: ticket });
    return {
      kind: 'alert',
      action: 'update',
      reason: 'same_alert',
      ticketId: ticket.id,
      alertKey,
      effects,
      ruleId,
    };
  }
  return openAlert(input, alertKey === null ? 'alert_without_key' : 'new_alert', false);
}

function openAlert(input: OutcomeInput, reason: AlertReason, closed: boolean): Outcome {
  const effects = effectsOf(input, { fields: true, newTicket: true });
  const ruleId = input.rule.rule!.id;
  return { kind: 'alert', action: 'open', reason, ticket: newTicketOf(input), closed, effects, ruleId };
}

function closedReadStatus(rule: Rule, ticket: TicketState, global: GlobalPolicy): ReadStatus {
  if (rule.closedAlertsReadStatus !== 'global') return rule.closedAlertsReadStatus;
  return global.markUnassignedClosedAlertsRead && !ticket.assigned ? 'read' : 'unchanged';
}

function serviceStatus(input: OutcomeInput): Outcome {
  const { assetOrService: service, status } = input.claims;
  // A status that names no service must not vanish: somebody has to see that the rule does not fit any more.
  if (service === null) return create(input, 'service_not_named');
  const effects = effectsOf(input, { fields: true });
  return { kind: 'service_status', service, status, effects, ruleId: input.rule.rule!.id };
}

function supplierUpdate(input: OutcomeInput, threaded: TicketState | null): Outcome {
  const { supplier } = input.tickets;
  if (supplier === null) {
    const answer = threaded === null ? null : reply(input, threaded);
    return answer ?? create(input, 'supplier_reference_unknown');
  }
  if (input.alreadyIn.includes(supplier.id)) return ignore(input, 'already_in_ticket', null, supplier.id);
  return update(input, supplier, 'supplier_reference');
}

/** What becomes of a message that belongs to a ticket; null when it is to be treated as new after all. */
function reply(input: OutcomeInput, ticket: TicketState): Outcome | null {
  const { classification, thread, global } = input;
  if (input.alreadyIn.includes(ticket.id)) return ignore(input, 'already_in_ticket', null, ticket.id);
  if (classification.class === 'bounce') {
    // Anybody can write a bounce that names a ticket's messages; only one with our token is about our mail.
    return thread.by === 'token' ? update(input, ticket, 'bounce_of_ours') : null;
  }
  if (classification.class === 'report') return ignore(input, 'report', null, ticket.id);
  if (global.autoReplyDontUpdate && isAutoReply(classification.class, global)) {
    return ignore(input, 'auto_reply_changes_nothing', null, ticket.id);
  }
  return update(input, ticket, 'reply');
}

function newTicket(input: OutcomeInput): Outcome {
  const { rule, classification, mailbox, global } = input;
  if (rule.rule !== null) return create(input, 'rule');
  if (classification.class === 'bounce') return ignore(input, 'bounce');
  if (classification.class === 'report') return ignore(input, 'report');
  if (global.mustMatchRule) return ignore(input, 'no_rule_matched');
  if (mailbox.policy.ignoreCcEmails && onlyInCc(input)) return ignore(input, 'only_in_cc');
  if (mailbox.policy.stopNewTickets || global.stopNewTickets) {
    const template = global.stopNewTicketsTemplateId;
    return ignore(input, 'new_tickets_stopped', template > 0 && answerable(input) ? template : null);
  }
  return create(input, 'no_rule');
}

function create(input: OutcomeInput, reason: CreateReason): Outcome {
  const ruleId = input.rule.rule?.id ?? null;
  const requester = requesterOf(input);
  if (requester.kind === 'park' || requester.kind === 'drop') {
    return { kind: requester.kind, reason: 'sender_unknown', detail: requester.reason, ruleId };
  }
  const effects = effectsOf(input, { fields: true, newTicket: true });
  return { kind: 'create', reason, ticket: newTicketOf(input), effects, ruleId };
}

function update(input: OutcomeInput, ticket: TicketState, reason: UpdateReason): Outcome {
  const ruleId = input.rule.rule?.id ?? null;
  // A reply quotes the mail it answers, so a rule would find the old values again and undo later changes.
  const effects = effectsOf(input, { fields: reason === 'supplier_reference', ticket, reason });
  if (effects.commands.some(({ kind }) => kind === 'close')) {
    return { kind: 'close', reason, ticketId: ticket.id, effects, ruleId };
  }
  const isPerson = input.classification.class === 'human';
  const reopen = !ticket.open && isPerson && (input.global.reopenOnReply || reason === 'named_by_person');
  return { kind: 'update', reason, ticketId: ticket.id, reopen, effects, ruleId };
}

function ignore(
  input: OutcomeInput,
  reason: IgnoreReason,
  answerTemplateId: number | null = null,
  ticketId: number | null = null,
): Outcome {
  return { kind: 'ignore', reason, ticketId, answerTemplateId, ruleId: input.rule.rule?.id ?? null };
}

function newTicketOf(input: OutcomeInput): NewTicket {
  const { message, rule, claims, thread } = input;
  return {
    typeId: ticketTypeOf(input),
    subject: input.formatted?.values.get('subject') ?? message.subject,
    alertKey: rule.rule?.type === 'alert' ? claims.alertKey : null,
    supplierReference: claims.supplierReference,
    asset: rule.rule?.type === 'service_status' ? null : claims.assetOrService,
    site: claims.siteOrClient,
    possibleParents: thread.possibleParents,
  };
}

const MOST_TYPE = 2_147_483_647;

/** What is set closest to the message decides: its rule, its labels, its mailbox, then the installation. */
function ticketTypeOf({ rule: { rule }, formatted, mailbox, global }: OutcomeInput): number {
  if (rule !== null && rule.ticketTypeId >= 0) return rule.ticketTypeId;
  const labelled = Number(formatted?.values.get('tickettype') ?? 0);
  if (Number.isInteger(labelled) && labelled > 0 && labelled <= MOST_TYPE) return labelled;
  if (mailbox.policy.ticketTypeId > 0) return mailbox.policy.ticketTypeId;
  return (rule?.type === 'alert' && global.alertTicketTypeId) || global.ticketTypeId;
}

function onlyInCc({ message, mailbox }: OutcomeInput): boolean {
  const reached = (field: 'to' | 'cc') =>
    message[field].some(({ address }) => isAmong(address, mailbox.addresses));
  // In neither it came by Bcc or through an alias; that is no Cc.
  return reached('cc') && !reached('to');
}
