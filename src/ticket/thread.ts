import { LIMITS } from '../limits.ts';
import type { ParsedMessage } from '../message/message.ts';
import type { GlobalPolicy } from './policy.ts';
import { tokenCandidates, verifyReplyToken } from './reply-token.ts';
import { comparableSubject, taggedTicketIds } from './subject.ts';

/**
 * Which ticket a message belongs to, by a ladder of evidence (failures, section 13):
 *
 * 1. a reply token that we made for this mailbox;
 * 2. In-Reply-To, then References, to a message that is stored in this mailbox;
 * 3. a subject tag, if the sender takes part in that ticket or is an agent: tags can be guessed;
 * 4. when switched on, the same subject from the same sender.
 *
 * The first rung that leads to one ticket decides. A rung that leads to several decides that nothing is certain:
 * the message makes a new ticket, which lists them. The subject alone never decides.
 *
 * Used in two steps, so that the caller needs one query: {@link threadQuery} says what to look up,
 * {@link findTicket} decides from what was found.
 */

export type ThreadMessage = Pick<
  ParsedMessage,
  | 'from'
  | 'to'
  | 'cc'
  | 'bcc'
  | 'subject'
  | 'newestText'
  | 'messageId'
  | 'inReplyTo'
  | 'references'
  | 'deliveryStatus'
>;

/** Where and how a message is threaded. */
export interface ThreadContext {
  mailboxId: number;
  policy: GlobalPolicy;
  /** Secret keys of reply tokens, the current one first. */
  tokenKeys: readonly Uint8Array[];
  /** A person named the ticket (Halo: addactiontofaultid); nothing else is looked at. */
  addToTicketId: number | null;
}

/** What must be known to decide. Empty lists need no look-up. */
export interface ThreadQuery {
  /** Look up in this mailbox which tickets these messages belong to. */
  messageIds: string[];
  /** Look up these tickets, wherever they are. */
  ticketIds: number[];
  /** The message's own id: look up tickets that have it already, through another mailbox (for the outcome). */
  ownMessageId: string | null;
  /** Look up open tickets with this comparable subject, started by this address; null unless switched on. */
  subjectAndSender: { subject: string; address: string } | null;
}

/** A ticket as threading sees it. */
export interface ThreadTicket {
  id: number;
  mailboxId: number | null;
  /** Addresses that wrote or were written to, in lower case. */
  participants: readonly string[];
}

export interface ThreadFacts {
  /** Messages stored in this mailbox, of those asked for. */
  knownMessageIds: readonly { messageId: string; ticketId: number }[];
  /**
   * The tickets that were asked for by number, as far as they exist. Those found in other ways may be among them,
   * and must be for `subject_and_sender` to work within one mailbox.
   */
  tickets: readonly ThreadTicket[];
  /** Tickets found by subject and sender. */
  sameSubjectAndSender: readonly number[];
  senderIsAgent: boolean;
}

export type ThreadRung =
  | 'command'
  | 'token'
  | 'in_reply_to'
  | 'references'
  | 'subject_tag'
  | 'subject_and_sender';

/** One thing that pointed to a ticket, and whether it counted. */
export interface ThreadEvidence {
  rung: ThreadRung;
  /** The token, Message-ID, tag or subject; long ones cut. */
  value: string;
  ticketId: number | null;
  accepted: boolean;
  /** Why it did or did not count. */
  reason: string;
}

export interface ThreadResult {
  /** Null = belongs to no ticket. */
  ticketId: number | null;
  by: ThreadRung | null;
  /** Other tickets that something pointed to. */
  possibleParents: number[];
  evidence: ThreadEvidence[];
}

const EVIDENCE_LIMIT = 50;
const VALUE_CHARS = 200;

/** The address that stands for the sender, in lower case; empty when there is none. */
export function senderAddress(message: Pick<ParsedMessage, 'from'>): string {
  return message.from[0]?.address.trim().toLowerCase() ?? '';
}

/** Says what has to be looked up for {@link findTicket}. Bounded, whatever the message says. */
export function threadQuery(message: ThreadMessage, context: ThreadContext): ThreadQuery {
  if (context.addToTicketId !== null) {
    return {
      messageIds: [],
      ticketIds: [context.addToTicketId],
      ownMessageId: null,
      subjectAndSender: null,
    };
  }
  const { policy } = context;
  const ticketIds = new Set<number>();
  for (const { ticketId } of verifiedTokens(message, context)) ticketIds.add(ticketId);
  for (const { ticketId } of tags(message, policy)) ticketIds.add(ticketId);
  const address = senderAddress(message);
  const subject = comparableSubject(message.subject);
  return {
    messageIds: [...new Set([...parents(message), ...ancestors(message)])],
    ticketIds: [...ticketIds],
    ownMessageId: message.messageId,
    subjectAndSender:
      policy.matchSubjectAndSender && address !== '' && subject !== '' ? { subject, address } : null,
  };
}

/** Decides which ticket a message belongs to. The same message and facts give the same answer. */
export function findTicket(message: ThreadMessage, facts: ThreadFacts, context: ThreadContext): ThreadResult {
  const { policy, mailboxId } = context;
  const evidence: ThreadEvidence[] = [];
  const tickets = new Map(facts.tickets.map((ticket) => [ticket.id, ticket]));
  const note = (
    rung: ThreadRung,
    value: string,
    ticketId: number | null,
    accepted: boolean,
    reason: string,
  ) => {
    // What counts is always kept: the decision is made from it.
    if (accepted || evidence.length < EVIDENCE_LIMIT) {
      evidence.push({ rung, value: value.slice(0, VALUE_CHARS), ticketId, accepted, reason });
    }
  };

  /** Notes what points to a ticket; `refusal` says why it does not count. */
  const point = (
    rung: ThreadRung,
    value: string,
    ticketId: number,
    reason: string,
    refusal: string | null,
  ) => {
    const ticket = tickets.get(ticketId);
    if (ticket === undefined && BY_NUMBER.has(rung)) {
      note(rung, value, null, false, 'no such ticket');
    } else if (policy.onlySameMailbox && !isHere(rung, ticket, mailboxId)) {
      note(rung, value, ticketId, false, 'the ticket belongs to another mailbox');
    } else {
      note(rung, value, ticketId, refusal === null, refusal ?? reason);
    }
  };

  if (context.addToTicketId !== null) {
    point('command', String(context.addToTicketId), context.addToTicketId, 'named by a person', null);
    return conclude(evidence);
  }

  for (const { token, ticketId } of verifiedTokens(message, context)) {
    // The whole token would let the reader of a trace answer as well.
    point('token', `${token.slice(0, token.indexOf('-'))}-…`, ticketId, 'made by us for this mailbox', null);
  }

  const known = new Map<string, number[]>();
  for (const { messageId, ticketId } of facts.knownMessageIds) {
    known.set(messageId, [...(known.get(messageId) ?? []), ticketId]);
  }
  for (const id of parents(message)) {
    for (const ticketId of known.get(id) ?? []) {
      point('in_reply_to', id, ticketId, 'stored in this mailbox', null);
    }
  }
  // References are the line of ancestors: of those that are known the newest is the nearest.
  let refusal: string | null = null;
  for (const id of ancestors(message)) {
    const found = known.get(id) ?? [];
    for (const ticketId of found) {
      point('references', id, ticketId, 'nearest ancestor stored in this mailbox', refusal);
    }
    if (found.length > 0) refusal = 'only an older ancestor';
  }

  const sender = senderAddress(message);
  for (const { tag, ticketId } of tags(message, policy)) {
    const takesPart = sender !== '' && (tickets.get(ticketId)?.participants.includes(sender) ?? false);
    const reason = facts.senderIsAgent ? 'the sender is an agent' : 'the sender takes part in the ticket';
    const stranger = facts.senderIsAgent || takesPart ? null : 'the sender takes no part in the ticket';
    point('subject_tag', tag, ticketId, reason, stranger);
  }

  if (policy.matchSubjectAndSender) {
    for (const ticketId of facts.sameSubjectAndSender) {
      point('subject_and_sender', message.subject, ticketId, 'same subject and sender', null);
    }
  }
  return conclude(evidence);
}

/** Rungs that name a ticket by its number, which may be anything; the others come out of the database. */
const BY_NUMBER: ReadonlySet<ThreadRung> = new Set(['command', 'token', 'subject_tag']);

/** Whether a ticket belongs to the mailbox, for those who thread within one mailbox only. */
function isHere(rung: ThreadRung, ticket: ThreadTicket | undefined, mailboxId: number): boolean {
  if (rung === 'command') return true;
  if (ticket !== undefined) return ticket.mailboxId === mailboxId;
  // A stored message was found in this mailbox, and so, as long as the switch is on, was its ticket.
  return rung === 'in_reply_to' || rung === 'references';
}

const LADDER: readonly ThreadRung[] = [
  'command',
  'token',
  'in_reply_to',
  'references',
  'subject_tag',
  'subject_and_sender',
];

function conclude(evidence: ThreadEvidence[]): ThreadResult {
  const all = new Set(evidence.map(({ ticketId }) => ticketId).filter((id) => id !== null));
  for (const rung of LADDER) {
    const accepted = evidence.filter((one) => one.rung === rung && one.accepted);
    const named = new Set(accepted.map(({ ticketId }) => ticketId!));
    if (named.size === 0) continue;
    if (named.size > 1) {
      for (const one of accepted) {
        one.accepted = false;
        one.reason = `${one.reason}, but so are others: ambiguous`;
      }
      break;
    }
    const [ticketId] = named;
    all.delete(ticketId!);
    return {
      ticketId: ticketId!,
      by: rung,
      possibleParents: [...all],
      evidence,
    };
  }
  return { ticketId: null, by: null, possibleParents: [...all], evidence };
}

function verifiedTokens(
  message: ThreadMessage,
  { tokenKeys, mailboxId }: ThreadContext,
): { token: string; ticketId: number }[] {
  const verified: { token: string; ticketId: number }[] = [];
  for (const token of tokenCandidates(message)) {
    const ticketId = verifyReplyToken(tokenKeys, token, mailboxId);
    if (ticketId !== null) verified.push({ token, ticketId });
  }
  return verified;
}

/** Ids of the messages that this one answers; honest mail names one. */
function parents({ inReplyTo, messageId }: ThreadMessage): string[] {
  return inReplyTo.slice(0, 10).filter((id) => id !== messageId);
}

/** Ids of the conversation so far, newest first. */
function ancestors({ references, messageId }: ThreadMessage): string[] {
  return references
    .slice(-LIMITS.referencesCount)
    .toReversed()
    .filter((id) => id !== messageId);
}

function tags(message: ThreadMessage, policy: GlobalPolicy): { tag: string; ticketId: number }[] {
  let ids = taggedTicketIds(message.subject, policy);
  // A tag stands near the beginning; the rest of a long body is not searched.
  if (ids.length === 0 && policy.tagInBody)
    ids = taggedTicketIds(message.newestText.slice(0, 20_000), policy);
  return ids.map((ticketId) => ({
    tag: `${policy.subjectStartTag}${ticketId}${policy.subjectEndTag}`,
    ticketId,
  }));
}
