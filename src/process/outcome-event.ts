/** What destinations are told of an outcome. Pure. */
import { type Wanting, wants } from '../deliver/destination.ts';
import type { EventType, OutcomeEvent } from '../deliver/event.ts';
import { LIMITS } from '../limits.ts';
import { formatAddresses } from '../rule/view.ts';
import type { NewDelivery } from '../store/deliveries.ts';
import type { Outcome } from '../ticket/outcome.ts';
import type { Decided } from './decide.ts';

/** The event of an outcome, with real ids; null for outcomes that change nothing anywhere. */
export function outcomeEvent(decided: Decided, mailboxId: number): OutcomeEvent | null {
  const { outcome, prepared, ticket, ticketId, senderIsAgent } = decided;
  const type = typeOf(outcome);
  if (type === null) return null;
  const { message, classification } = prepared.analysis;
  const effects = 'effects' in outcome ? outcome.effects : null;
  return {
    type,
    timestamp: new Date().toISOString(),
    email: {
      id: prepared.analysis.id,
      mailboxId,
      messageId: message.messageId,
      from: formatAddresses(message.from).slice(0, LIMITS.headerValueChars),
      subject: message.subject.slice(0, LIMITS.subjectChars),
      class: classification.class,
    },
    ticket:
      ticket === null || ticketId === null
        ? null
        : {
            id: ticketId,
            subject: ticket.subject,
            typeId: 'ticket' in outcome ? outcome.ticket.typeId : 0,
            open: ticket.open,
            alertKey: ticket.alertKey,
            supplierReference: ticket.supplierReference,
          },
    ruleId: outcome.ruleId,
    reason: 'reason' in outcome ? outcome.reason : 'service_status',
    private: effects?.private ?? false,
    byAgent: senderIsAgent,
    reopened: outcome.kind === 'update' && outcome.reopen,
    fields: (effects?.fields ?? [])
      .slice(0, LIMITS.eventFields)
      .map(({ field, value }) => ({ field, value })),
    service: outcome.kind === 'service_status' ? { name: outcome.service, status: outcome.status } : null,
    error: null,
  };
}

/** The event of a message that was set aside. Nothing of its content is known for sure. */
export function quarantineEvent(
  email: { id: number; mailboxId: number },
  error: { code: string; stage: string; message: string },
): OutcomeEvent {
  return {
    type: 'message.quarantined',
    timestamp: new Date().toISOString(),
    email: { id: email.id, mailboxId: email.mailboxId, messageId: null, from: '', subject: '', class: null },
    ticket: null,
    ruleId: null,
    reason: error.code,
    private: false,
    byAgent: false,
    reopened: false,
    fields: [],
    service: null,
    error,
  };
}

/** One delivery for each event and each destination that wants it. */
export function deliveriesOf(
  told: readonly { event: OutcomeEvent | null; ledgerId: number }[],
  destinations: readonly Wanting[],
): NewDelivery[] {
  return told.flatMap(({ event, ledgerId }) =>
    event === null
      ? []
      : destinations
          .filter((destination) => wants(destination, event))
          .map(({ id }) => ({ destinationId: id, ledgerId, event })),
  );
}

function typeOf(outcome: Outcome): EventType | null {
  switch (outcome.kind) {
    case 'create':
      return 'ticket.created';
    case 'update':
      return 'ticket.updated';
    case 'close':
      return 'ticket.closed';
    case 'alert':
      return outcome.action === 'open'
        ? 'alert.opened'
        : outcome.action === 'update'
          ? 'alert.updated'
          : 'alert.closed';
    case 'service_status':
      return 'service.reported';
    case 'park':
      return 'message.parked';
    case 'ignore':
    case 'drop':
      return null;
  }
}
