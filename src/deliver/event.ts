/** What destinations are told: one event for each outcome, as it is stored in the outbox. */

export const EVENT_TYPES = [
  'ticket.created',
  'ticket.updated',
  'ticket.closed',
  'alert.opened',
  'alert.updated',
  'alert.closed',
  'service.reported',
  'message.parked',
  'message.quarantined',
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/**
 * An outcome, in plain data. Values of fields are a list and no object: their names come from rules and mail, and may
 * not become keys (failures, section 24).
 */
export interface OutcomeEvent {
  type: EventType;
  /** When it was decided; ISO 8601. */
  timestamp: string;
  email: {
    id: number;
    mailboxId: number;
    messageId: string | null;
    from: string;
    subject: string;
    class: string | null;
  };
  /** The ticket concerned; null when there is none. */
  ticket: {
    id: number;
    subject: string;
    typeId: number;
    open: boolean;
    alertKey: string | null;
    supplierReference: string | null;
  } | null;
  ruleId: number | null;
  /** Why: a word of ours, as in the record's outcome. */
  reason: string;
  private: boolean;
  /** The mail was written by an agent: somebody works on it. */
  byAgent: boolean;
  reopened: boolean;
  fields: { field: string; value: string }[];
  service: { name: string; status: string | null } | null;
  /** Why a message was set aside; null for all others. */
  error: { code: string; stage: string; message: string } | null;
}

/** The events of one stream go out one after the other. */
export function streamOf(event: OutcomeEvent): string {
  return event.ticket === null ? `message:${event.email.id}` : `ticket:${event.ticket.id}`;
}
