import { canonicalAddress, domainPart } from '../message/address-form.ts';
import type { Classification } from '../message/message.ts';
import type { RuleResult } from '../rule/rule.ts';
import { type Acknowledgement, decideAcknowledgement, mayBeAnswered } from './acknowledge.ts';
import type { FormattedMail } from './formatted-mail.ts';
import { type HashtagCommand, parseHashtags } from './hashtags.ts';
import type { GlobalPolicy, MailboxPolicy } from './policy.ts';
import type { RequesterDecision } from './requester.ts';
import type { RuleClaims } from './rule-claims.ts';
import { senderAddress, type ThreadMessage, type ThreadResult } from './thread.ts';
import { type FieldValue, ticketFields } from './ticket-fields.ts';

/** What an outcome brings with it, whatever its kind: who, which values, seen by whom, answered or not. */

const MAX_PARTICIPANTS = 100;

/** A ticket as far as outcomes depend on it. */
export interface TicketState {
  id: number;
  open: boolean;
  assigned: boolean;
  /** Its requester, and that one's address; null when it has none. */
  requesterId: number | null;
  requesterAddress: string | null;
}

export interface OutcomeInput {
  message: ThreadMessage;
  classification: Classification;
  thread: ThreadResult;
  rule: Pick<RuleResult, 'rule' | 'extractions' | 'closes'>;
  claims: RuleClaims;
  /** What labels in the mail say; null or absent when it has none. */
  formatted?: FormattedMail | null;
  requester: RequesterDecision;
  senderIsAgent: boolean;
  tickets: {
    /** The ticket of `thread.ticketId`. */
    thread: TicketState | null;
    /** The open ticket with the alert key of `claims`. */
    alert: TicketState | null;
    /** The ticket with the supplier reference of `claims`. */
    supplier: TicketState | null;
  };
  /** Tickets that hold this very message already, by way of another mailbox. */
  alreadyIn: readonly number[];
  mailbox: { addresses: readonly string[]; policy: MailboxPolicy };
  /** Addresses of all our mailboxes. */
  ownAddresses: readonly string[];
  global: GlobalPolicy;
}

export type UpdateReason = 'named_by_person' | 'reply' | 'supplier_reference' | 'bounce_of_ours';

/** What is to be done besides the kind of outcome itself. */
export interface Effects {
  requester: RequesterDecision;
  fields: FieldValue[];
  /** Hidden from end users, and why. */
  private: boolean;
  privateBecause: 'rule' | 'other_domain' | 'agent' | 'bounce' | null;
  acknowledge: Acknowledgement;
  /** Template that the rule answers with; null when there is none or nobody to answer. */
  answerTemplateId: number | null;
  /** Addresses, in lower case, that take part in the ticket from now on. */
  participants: string[];
  commands: HashtagCommand[];
  pagerDuty: { agentId: number; service: string; serviceName: string } | null;
  splunkOnCall: boolean;
  /** The ticket keeps its address whatever the sender's is (Halo: dont_update_from_address). */
  keepTicketAddress: boolean;
}

export interface EffectsOptions {
  /** The rule's values go into the ticket. */
  fields?: boolean;
  newTicket?: boolean;
  /** The ticket that is updated. */
  ticket?: TicketState;
  /** The ticket of the alert that goes on or ends. */
  alert?: TicketState;
  reason?: UpdateReason;
}

/** Works out the effects of an outcome. */
export function effectsOf(
  input: OutcomeInput,
  { fields, newTicket, ticket, alert, reason }: EffectsOptions,
): Effects {
  const { message, classification, rule, mailbox } = input;
  const sender = senderAddress(message);
  const requester =
    ticketUser(input, ticket ?? alert) ?? (ticket === undefined ? requesterOf(input) : writerOf(input));
  const mayCommand = mailbox.policy.allowHashtags && input.senderIsAgent && classification.class === 'human';
  const commands = mayCommand ? parseHashtags(message.newestText).commands : [];
  const privateBecause = whyPrivate(input, commands, ticket, reason);
  const { rule: winner } = rule;
  return {
    requester,
    fields: [
      ...(fields === true ? ticketFields(rule) : []),
      // A reply quotes the labels of the mail it answers.
      ...(newTicket === true ? (input.formatted?.fields ?? []) : []),
    ],
    private: privateBecause !== null,
    privateBecause,
    acknowledge: decideAcknowledgement({
      messageClass: classification.class,
      sender,
      senderIsOwn: isAmong(sender, input.ownAddresses),
      newTicket: newTicket === true,
      rule: winner,
      requester,
      policy: mailbox.policy,
    }),
    answerTemplateId: answerTemplate(input),
    participants: participantsOf(input),
    commands,
    pagerDuty:
      winner?.pagerDuty === true
        ? {
            agentId: winner.pagerDutyAgentId,
            service: winner.pagerDutyService,
            serviceName: winner.pagerDutyServiceName,
          }
        : null,
    splunkOnCall: winner?.splunkOnCall === true,
    keepTicketAddress: winner?.dontUpdateFromAddress === true,
  };
}

function whyPrivate(
  { rule, global, message, senderIsAgent }: OutcomeInput,
  commands: readonly HashtagCommand[],
  ticket: TicketState | undefined,
  reason: UpdateReason | undefined,
): Effects['privateBecause'] {
  if (reason === 'bounce_of_ours') return 'bounce';
  if (rule.rule?.privateActions === true) return 'rule';
  if (commands.some(({ kind }) => kind === 'private')) return 'agent';
  if (global.privateFromOtherDomain && !senderIsAgent && typeof ticket?.requesterAddress === 'string') {
    if (domainPart(senderAddress(message)) !== domainPart(ticket.requesterAddress)) return 'other_domain';
  }
  return null;
}

/** The requester of a new ticket. Machines get no account, and their alerts wait for nobody's. */
export function requesterOf({ requester, rule, classification }: OutcomeInput): RequesterDecision {
  const machine =
    rule.rule?.type === 'alert' ||
    rule.rule?.type === 'service_status' ||
    classification.class === 'bounce' ||
    classification.class === 'report';
  const refuses = requester.kind === 'create' || requester.kind === 'park' || requester.kind === 'drop';
  if (!(machine && refuses)) return requester;
  return { kind: 'none', reason: `${requester.reason}, and the mail is a machine's` };
}

/**
 * Who wrote an update. The ticket has its requester already, so an unknown writer (a colleague in Cc, say) needs
 * no account, and is no reason to lose the answer.
 */
function writerOf({ requester }: OutcomeInput): RequesterDecision {
  return requester.kind === 'known' ? requester : { kind: 'none', reason: requester.reason };
}

/** The ticket's own user, where the rule wants that one (Halo: 3useticketuser). */
function ticketUser({ rule }: OutcomeInput, ticket: TicketState | undefined): RequesterDecision | null {
  const id = ticket?.requesterId ?? null;
  if (rule.rule?.userFromTicket !== true || id === null) return null;
  return { kind: 'known', id, isAgent: false, reason: "the ticket's own, as the rule says" };
}

function participantsOf({ message, mailbox, ownAddresses, classification }: OutcomeInput): string[] {
  // A list's address or a machine's would let whoever uses it answer by subject tag.
  if (classification.class !== 'human') return [];
  const copies = mailbox.policy.ignoreCcEmails ? [] : message.cc;
  const addresses = new Set<string>();
  for (const { address } of [...message.from.slice(0, 1), ...message.to, ...copies]) {
    const plain = address.trim().toLowerCase();
    if (plain.includes('@') && !isAmong(plain, ownAddresses)) addresses.add(plain);
    if (addresses.size === MAX_PARTICIPANTS) break;
  }
  return [...addresses];
}

/** The template that the rule answers with, if there is somebody to answer. */
export function answerTemplate(input: OutcomeInput): number | null {
  const id = input.rule.rule?.responseTemplateId ?? 0;
  return id > 0 && answerable(input) ? id : null;
}

/** Whether the sender may be sent anything by itself. */
export function answerable({ message, classification, ownAddresses }: OutcomeInput): boolean {
  const sender = senderAddress(message);
  return mayBeAnswered({
    messageClass: classification.class,
    sender,
    senderIsOwn: isAmong(sender, ownAddresses),
  });
}

/** Whether an address is one of several, whatever its case and subaddress. */
export function isAmong(address: string, all: readonly string[]): boolean {
  if (address === '') return false;
  const wanted = canonicalAddress(address);
  return all.some((one) => canonicalAddress(one) === wanted);
}
