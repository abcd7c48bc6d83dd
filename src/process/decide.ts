/** Decides the outcomes of a batch, in the order of the messages, against a world that grows with it. Pure. */
import type { RuleResult } from '../rule/rule.ts';
import { type FormattedMail, readFormattedMail } from '../ticket/formatted-mail.ts';
import { decideOutcome, type Outcome } from '../ticket/outcome.ts';
import { byAddress, type RequesterDecision, requesterQuery, resolveRequester } from '../ticket/requester.ts';
import { type RuleClaims, ruleClaims } from '../ticket/rule-claims.ts';
import { matchSite } from '../ticket/site.ts';
import {
  findTicket,
  type ThreadContext,
  type ThreadQuery,
  type ThreadResult,
  threadQuery,
} from '../ticket/thread.ts';
import type { Analysis } from './analysis.ts';
import type { ProcessingPolicy } from './policy.ts';
import type { CachedRules } from './rule-cache.ts';
import type { World, WorldTicket } from './world.ts';

/** A message with everything that its outcome depends on but the world. */
export interface Prepared {
  analysis: Analysis;
  rawSha256: Buffer;
  rule: Omit<RuleResult, 'verdict'>;
  claims: RuleClaims;
  formatted: FormattedMail | null;
  threadContext: ThreadContext;
  query: ThreadQuery;
  requesterAddresses: string[];
}

export interface Decided {
  prepared: Prepared;
  thread: ThreadResult;
  outcome: Outcome;
  /** The ticket that the message belongs to now; negative when it is new. */
  ticketId: number | null;
  /** Negative when the requester is new. */
  requesterId: number | null;
  /** Another record of this mailbox has the same Message-ID and other bytes. */
  messageIdReuse: number | null;
  senderIsAgent: boolean;
  /** The ticket as it is after this message; later ones of the batch may change it again. */
  ticket: Readonly<WorldTicket> | null;
}

export function prepare(
  analysis: Analysis,
  email: { rawSha256: Buffer; addToTicketId: number | null },
  rules: CachedRules,
  policy: ProcessingPolicy,
): Prepared {
  const { ruleId, extractions, closes, passedOver } = analysis.match;
  const rule = {
    rule: ruleId === null ? null : (rules.byId.get(ruleId) ?? null),
    extractions,
    closes,
    passedOver,
  };
  const { message } = analysis;
  const formatted = readFormattedMail(message.newestText, policy.labelSets);
  const claims = withFormatted(ruleClaims(rule), formatted);
  const threadContext = {
    mailboxId: policy.mailboxId,
    policy: policy.global,
    tokenKeys: policy.tokenKeys,
    addToTicketId: email.addToTicketId,
  };
  return {
    analysis,
    rawSha256: email.rawSha256,
    rule,
    claims,
    formatted,
    threadContext,
    query: threadQuery(message, threadContext),
    requesterAddresses: requesterQuery(message.from[0] ?? null, claims.user),
  };
}

/** What the rule found comes first; the labels say the rest. */
function withFormatted(claims: RuleClaims, formatted: FormattedMail | null): RuleClaims {
  if (formatted === null) return claims;
  const { values } = formatted;
  const name = values.get('username');
  return {
    ...claims,
    user: claims.user ?? (name === undefined ? null : { by: 'name', value: name }),
    siteOrClient: claims.siteOrClient ?? values.get('site') ?? values.get('customer') ?? null,
  };
}

export function decideBatch(
  prepared: readonly Prepared[],
  world: World,
  policy: ProcessingPolicy,
): Decided[] {
  return prepared.map((one) => decideOne(one, world, policy));
}

function decideOne(prepared: Prepared, world: World, policy: ProcessingPolicy): Decided {
  const { analysis, query, rule, claims, threadContext } = prepared;
  const { message, classification, id } = analysis;
  const sender = message.from[0] ?? null;
  const senderIsAgent =
    sender !== null &&
    byAddress(world.requestersAt(sender.address), sender.address, policy.global)?.requester.isAgent === true;
  const same = message.messageId === null ? [] : world.messages(message.messageId, id);
  const alreadyIn = same
    .filter((row) => row.ticketId !== null && row.rawSha256.equals(prepared.rawSha256))
    .map((row) => row.ticketId!);

  const knownMessageIds = query.messageIds.flatMap((messageId) =>
    world
      .messages(messageId, id)
      .filter((row) => row.mailboxId === policy.mailboxId && row.ticketId !== null)
      .map((row) => ({ messageId, ticketId: row.ticketId! })),
  );
  const sameSubjectAndSender =
    query.subjectAndSender === null ? [] : world.bySubjectAndSender(query.subjectAndSender);
  const pointedTo = [
    ...query.ticketIds,
    ...knownMessageIds.map((row) => row.ticketId),
    ...sameSubjectAndSender,
  ];
  const thread = findTicket(
    message,
    {
      knownMessageIds,
      tickets: world.tickets([...new Set(pointedTo)]),
      sameSubjectAndSender,
      senderIsAgent,
    },
    threadContext,
  );
  const recipients = [...message.to, ...message.cc].map(({ address }) => address);
  const requester = resolveRequester(
    sender,
    claims.user,
    {
      candidates: sender === null ? [] : world.requestersAt(sender.address),
      claimed: claims.user === null ? [] : world.requesters,
      siteOf: (address) => matchSite(address, recipients, policy.sites, policy.mailbox),
    },
    { mailbox: policy.mailbox, global: policy.global, ownAddresses: policy.ownAddresses },
  );
  const outcome = decideOutcome({
    message,
    classification,
    thread,
    rule,
    claims,
    formatted: prepared.formatted,
    requester,
    senderIsAgent,
    tickets: {
      thread: world.ticket(thread.ticketId),
      alert: world.openAlert(claims.alertKey),
      supplier: world.bySupplierReference(claims.supplierReference),
    },
    alreadyIn,
    mailbox: { addresses: policy.mailboxAddresses, policy: policy.mailbox },
    ownAddresses: policy.ownAddresses,
    global: policy.global,
  });

  const requesterId = 'effects' in outcome ? settleRequester(outcome.effects.requester, world) : null;
  const ticketId = apply(outcome, world, policy, requesterId);
  if (message.messageId !== null) {
    const { mailboxId } = policy;
    world.addMessage({
      messageId: message.messageId,
      mailboxId,
      emailId: id,
      ticketId,
      rawSha256: prepared.rawSha256,
    });
  }
  const reused = same.find(
    (row) =>
      row.emailId !== 0 && row.mailboxId === policy.mailboxId && !row.rawSha256.equals(prepared.rawSha256),
  );
  const ticket = world.ticket(ticketId);
  return {
    prepared,
    thread,
    outcome,
    ticketId,
    requesterId,
    messageIdReuse: reused?.emailId ?? null,
    senderIsAgent,
    ticket: ticket === null ? null : { ...ticket },
  };
}

function settleRequester(decision: RequesterDecision, world: World): number | null {
  if (decision.kind === 'known' || decision.kind === 'default') return decision.id;
  if (decision.kind === 'create') return world.addRequester(decision);
  return null;
}

/** Makes the world as it is after this outcome. Returns the ticket concerned. */
function apply(
  outcome: Outcome,
  world: World,
  policy: ProcessingPolicy,
  requesterId: number | null,
): number | null {
  if (outcome.kind === 'create' || (outcome.kind === 'alert' && outcome.action === 'open')) {
    const { ticket, effects } = outcome;
    const made: WorldTicket = {
      id: world.newId(),
      mailboxId: policy.mailboxId,
      subject: ticket.subject,
      open: !(outcome.kind === 'alert' && outcome.closed),
      assigned: effects.pagerDuty !== null && effects.pagerDuty.agentId > 0,
      alertKey: ticket.alertKey,
      supplierReference: ticket.supplierReference,
      requesterId,
      requesterAddress: world.requesterAddress(requesterId),
      participants: effects.participants,
    };
    world.addTicket(made);
    return made.id;
  }
  if (!('ticketId' in outcome) || outcome.ticketId === null) return null;
  const ticket = world.ticket(outcome.ticketId);
  if (ticket !== null && 'effects' in outcome) {
    if (outcome.kind === 'close' || (outcome.kind === 'alert' && outcome.action === 'close'))
      ticket.open = false;
    if (outcome.kind === 'update' && outcome.reopen) ticket.open = true;
    ticket.participants = [...new Set([...ticket.participants, ...outcome.effects.participants])];
  }
  return outcome.ticketId;
}
