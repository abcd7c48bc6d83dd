/**
 * The one commit of a batch: facts are read, outcomes decided and everything written in one transaction, guarded
 * by the claims of the rows. Two workers on one message yield one outcome (design invariant 5).
 */
import type { Wanting } from '../deliver/destination.ts';
import { crashPoint } from '../lab/crash-point.ts';
import type { Events } from '../observe/events.ts';
import type { TraceEvent } from '../observe/trace.ts';
import { formatAddresses } from '../rule/view.ts';
import type { Database, Tx } from '../store/database.ts';
import { queueDeliveries } from '../store/deliveries.ts';
import { type ClaimedEmail, type EmailResult, lockClaims, saveResults } from '../store/emails.ts';
import { appendTraces } from '../store/ledger.ts';
import type { EmailState } from '../store/states.ts';
import { storableJson } from '../store/storable-json.ts';
import {
  createRequesters,
  findMessageIds,
  findRequesters,
  findTickets,
  insertTicketActions,
  insertTickets,
  lockDecisions,
  openTicketsOf,
  reserveTicketIds,
  saveServiceStatus,
  updateTickets,
} from '../store/tickets.ts';
import type { Outcome } from '../ticket/outcome.ts';
import type { Analysis } from './analysis.ts';
import { type AnswersDone, queueAnswers } from './answers.ts';
import { type Decided, decideBatch, type Prepared, prepare } from './decide.ts';
import { deliveriesOf, outcomeEvent } from './outcome-event.ts';
import type { ProcessingPolicy } from './policy.ts';
import type { CachedRules } from './rule-cache.ts';
import { World } from './world.ts';

/**
 * Decides and commits the outcomes of analysed messages of one mailbox, and what destinations are to be told of them.
 * Lost claims are left out.
 */
export async function commitOutcomes(
  context: { db: Database; events: Events; destinations: readonly Wanting[] },
  policy: ProcessingPolicy,
  rules: CachedRules,
  analyses: Analysis[],
  emails: ReadonlyMap<number, ClaimedEmail>,
): Promise<void> {
  const prepared = analyses
    .map((analysis) => prepare(analysis, emails.get(analysis.id)!, rules, policy))
    .sort((a, b) => a.analysis.id - b.analysis.id);
  let done: AnswersDone = { limited: [], bounced: [] };
  let queued = 0;
  const decided = await context.db.transaction().execute(async (tx) => {
    const claims = prepared.map(({ analysis }) => emails.get(analysis.id)!);
    const ours = await lockClaims(tx, claims);
    const mine = prepared.filter(({ analysis }) => ours.has(analysis.id));
    if (mine.length === 0) return [];
    await lockDecisions(tx, policy.mailboxId, unique(mine.map(({ claims }) => claims.alertKey)));
    const decisions = decideBatch(mine, await readWorld(tx, mine, policy), policy);
    const final = await writeTickets(tx, decisions, policy);
    done = await queueAnswers(tx, final, policy);
    await saveResults(
      tx,
      final.map((one) => resultOf(one, rules.version)),
    );
    await appendTraces(
      tx,
      final.map((one) => ({
        ledgerId: emails.get(one.prepared.analysis.id)!.ledgerId,
        events: traceOf(one),
      })),
    );
    // Most installations tell nobody: then no event is made.
    const told = context.destinations.length === 0 ? [] : final;
    const deliveries = deliveriesOf(
      told.map((one) => ({
        event: outcomeEvent(one, policy.mailboxId),
        ledgerId: emails.get(one.prepared.analysis.id)!.ledgerId,
      })),
      context.destinations,
    );
    await queueDeliveries(tx, deliveries);
    queued = deliveries.length;
    crashPoint('before-result-commit');
    return final;
  });
  crashPoint('after-result-commit');
  const mailbox = policy.mailboxId;
  for (const email of done.limited) context.events.emit('answer.limited', { mailbox, email });
  for (const bounced of done.bounced) context.events.emit('outgoing.bounced', { mailbox, ...bounced });
  if (queued > 0) context.events.emit('delivery.queued', { deliveries: queued });
  for (const { prepared: one, outcome } of decided) {
    const email = emails.get(one.analysis.id)!;
    context.events.emit('message.processed', {
      mailbox: policy.mailboxId,
      id: email.id,
      outcome: outcome.kind,
      class: one.analysis.classification.class,
      rule: outcome.ruleId,
      seconds: (Date.now() - email.createdAt.getTime()) / 1000,
    });
  }
}

async function readWorld(tx: Tx, prepared: Prepared[], policy: ProcessingPolicy): Promise<World> {
  const own = prepared.map(({ analysis }) => analysis.message.messageId);
  const messages = await findMessageIds(
    tx,
    unique([...own, ...prepared.flatMap(({ query }) => query.messageIds)]),
  );
  const tickets = await findTickets(tx, {
    ids: unique([
      ...prepared.flatMap(({ query }) => query.ticketIds),
      ...messages.map((row) => row.ticketId),
    ]),
    alertKeys: unique(prepared.map(({ claims }) => claims.alertKey)),
    supplierReferences: unique(prepared.map(({ claims }) => claims.supplierReference)),
  });
  if (policy.global.matchSubjectAndSender) {
    tickets.push(
      ...(await openTicketsOf(tx, unique(prepared.map(({ query }) => query.subjectAndSender?.address)))),
    );
  }
  const users = prepared.map(({ claims }) => claims.user);
  const named = (by: 'name' | 'login'): string[] =>
    unique(users.map((user) => (user?.by === by ? user.value.trim().toLowerCase() : null)));
  const requesters = await findRequesters(tx, {
    addresses: unique(prepared.flatMap((one) => one.requesterAddresses)),
    names: named('name'),
    logins: named('login'),
  });
  return new World({ tickets, messages, requesters });
}

/** Writes new requesters, tickets and their changes; returns the decisions with real ids. */
async function writeTickets(tx: Tx, decided: Decided[], policy: ProcessingPolicy): Promise<Decided[]> {
  const ids = new Map<number, number>();
  const real = (id: number | null): number | null => (id === null ? null : (ids.get(id) ?? id));

  const people = decided.flatMap(({ outcome, requesterId }) =>
    requesterId !== null &&
    requesterId < 0 &&
    'effects' in outcome &&
    outcome.effects.requester.kind === 'create'
      ? [{ requesterId, ...outcome.effects.requester }]
      : [],
  );
  const known = await createRequesters(tx, people);
  for (const person of people) ids.set(person.requesterId, known.get(person.address.toLowerCase())!);

  const creating = decided.filter(
    ({ ticketId, outcome }) => ticketId !== null && ticketId < 0 && 'ticket' in outcome,
  );
  const ticketIds = await reserveTicketIds(tx, creating.length);
  creating.forEach(({ ticketId }, index) => {
    ids.set(ticketId!, ticketIds[index]!);
  });
  await insertTickets(
    tx,
    creating.map((one) => newTicketRow(one, real(one.ticketId)!, real(one.requesterId), policy)),
  );
  const final = decided.map((one) => ({
    ...one,
    ticketId: real(one.ticketId),
    requesterId: real(one.requesterId),
    outcome: withRealIds(one.outcome, real),
    thread: {
      ...one.thread,
      ticketId: real(one.thread.ticketId),
      evidence: one.thread.evidence.map((item) => ({ ...item, ticketId: real(item.ticketId) })),
    },
  }));
  await updateTickets(tx, final.flatMap(changeOf));
  await insertTicketActions(
    tx,
    final.flatMap(({ ticketId, outcome, prepared }) =>
      ticketId === null || !('effects' in outcome)
        ? []
        : [
            {
              ticketId,
              emailId: prepared.analysis.id,
              kind: kindOf(outcome),
              private: outcome.effects.private,
            },
          ],
    ),
  );
  for (const { outcome, prepared } of final) {
    if (outcome.kind !== 'service_status') continue;
    await saveServiceStatus(tx, {
      service: outcome.service,
      status: outcome.status,
      emailId: prepared.analysis.id,
    });
  }
  return final;
}

function newTicketRow(
  { outcome }: Decided,
  id: number,
  requesterId: number | null,
  policy: ProcessingPolicy,
) {
  if (!('ticket' in outcome)) throw new Error('only a new ticket has a row');
  const { ticket, effects } = outcome;
  const closed = outcome.kind === 'alert' && outcome.closed;
  return {
    id,
    mailboxId: policy.mailboxId,
    typeId: ticket.typeId,
    subject: ticket.subject,
    open: !closed,
    read: closed,
    alertKey: ticket.alertKey,
    supplierReference: ticket.supplierReference,
    assignedAgentId: effects.pagerDuty?.agentId ?? 0,
    requesterId,
    participants: effects.participants,
    fields: effects.fields,
  };
}

function changeOf({ outcome }: Decided) {
  if (!('effects' in outcome) || !('ticketId' in outcome) || outcome.ticketId === null) return [];
  const closes = outcome.kind === 'close' || (outcome.kind === 'alert' && outcome.action === 'close');
  const readStatus =
    outcome.kind === 'alert' && outcome.action === 'close' ? outcome.readStatus : 'unchanged';
  const reopens = outcome.kind === 'update' && outcome.reopen;
  return [
    {
      id: outcome.ticketId,
      open: closes ? false : reopens ? true : null,
      read: readStatus === 'unchanged' ? null : readStatus === 'read',
      addParticipants: outcome.effects.participants,
      addFields: outcome.effects.fields,
    },
  ];
}

function withRealIds(outcome: Outcome, real: (id: number | null) => number | null): Outcome {
  if ('ticket' in outcome) {
    const possibleParents = outcome.ticket.possibleParents.map((id) => real(id)!);
    return { ...outcome, ticket: { ...outcome.ticket, possibleParents } };
  }
  if (!('ticketId' in outcome)) return outcome;
  return { ...outcome, ticketId: real(outcome.ticketId) } as Outcome;
}

function kindOf(outcome: Outcome): string {
  return outcome.kind === 'alert' ? `alert_${outcome.action}` : outcome.kind;
}

const STATES: Record<Outcome['kind'], EmailState> = {
  create: 'processed',
  update: 'processed',
  close: 'processed',
  alert: 'processed',
  service_status: 'processed',
  ignore: 'ignored',
  drop: 'ignored',
  park: 'parked',
};

function resultOf(one: Decided, rulesVersion: number): EmailResult {
  const { analysis, rule } = one.prepared;
  const { message, classification } = analysis;
  return {
    id: analysis.id,
    state: STATES[one.outcome.kind],
    headerDate: message.date,
    receivedAt: message.receivedAt,
    fromAddress: message.from[0]?.address ?? '',
    fromText: formatAddresses(message.from),
    toText: formatAddresses(message.to),
    ccText: formatAddresses(message.cc),
    subject: message.subject,
    messageId: message.messageId,
    parts: analysis.stored.parts,
    class: classification.class,
    classEvidence: classification.evidence,
    ruleId: one.outcome.ruleId,
    rulesVersion,
    ruleEvidence: analysis.stored.ruleEvidence,
    extractions: rule.extractions.length > 0 ? rule.extractions : null,
    threadEvidence: one.thread.evidence.length > 0 ? one.thread : null,
    outcome: one.outcome,
    ticketId: one.ticketId,
    requesterId: one.requesterId,
  };
}

/** As JSON text, because what the thread says of the rules comes as such. */
function traceOf(one: Decided): string {
  const { analysis, rule } = one.prepared;
  const { message, classification, leaves, stored } = analysis;
  const warnings = [...message.warnings];
  if (one.messageIdReuse !== null) {
    warnings.push(`message_id_reuse: record ${one.messageIdReuse} has the same Message-ID and other bytes`);
  }
  for (const verdict of rule.passedOver)
    warnings.push(`rule ${verdict.name} was passed over: ${verdict.error}`);
  const evidence = one.thread.evidence.map(({ rung, value, reason }) => `${rung} ${value}: ${reason}`);
  const before: TraceEvent[] = [
    { event: 'parsed', parts: leaves.all, attachments: leaves.attachments, warnings },
    { event: 'classified', ...classification },
  ];
  if (evidence.length > 0) before.push({ event: 'threaded', ticket: one.thread.ticketId, evidence });
  const outcome: TraceEvent = {
    event: 'outcome',
    kind: kindOf(one.outcome),
    reason: 'reason' in one.outcome ? one.outcome.reason : 'service_status',
    ticket: one.ticketId,
  };
  return `[${[...before.map(storableJson), stored.rulesEvent, storableJson(outcome)].join(',')}]`;
}

function unique<T extends string | number>(values: readonly (T | null | undefined)[]): T[] {
  const given = new Set<T>();
  for (const value of values) if (value !== null && value !== undefined) given.add(value);
  return [...given];
}
