/**
 * What those on call are told: PagerDuty by its Events API v2, Splunk On-Call by its REST endpoint. Both know a problem
 * by a key, so that an event that comes twice changes nothing. Pure.
 */
import { createHash } from 'node:crypto';
import type { Severity } from './destination.ts';
import { incidentKey, onCallAction } from './destination.ts';
import type { OutcomeEvent } from './event.ts';

/** PagerDuty takes 512 KB in all, and so many characters of a summary. */
const SUMMARY_CHARS = 1_024;
const TEXT_CHARS = 10_000;

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

/** The body for `/v2/enqueue` (PagerDuty, "Send an Alert Event"). `source`: the name of this installation. */
export function pagerDutyBody(
  event: OutcomeEvent,
  options: { routingKey: string; severity: Severity; instanceId: string; source: string },
): object {
  const action = onCallAction(event) ?? 'trigger';
  const head = {
    routing_key: options.routingKey,
    event_action: action,
    dedup_key: incidentKey(event, options.instanceId, digest),
  };
  if (action !== 'trigger') return head;
  return {
    ...head,
    client: 'Penstock',
    payload: {
      summary: summaryOf(event).slice(0, SUMMARY_CHARS),
      source: options.source,
      severity: severityOf(event, options.severity),
      timestamp: event.timestamp,
      class: event.type,
      custom_details: detailsOf(event),
    },
  };
}

const MESSAGE_TYPES = { critical: 'CRITICAL', error: 'CRITICAL', warning: 'WARNING', info: 'INFO' } as const;

/** The body for the REST endpoint (Splunk, "REST Endpoint integration for Splunk On-Call"). */
export function splunkOnCallBody(
  event: OutcomeEvent,
  options: { severity: Severity; instanceId: string },
): object {
  const action = onCallAction(event) ?? 'trigger';
  const trigger = MESSAGE_TYPES[severityOf(event, options.severity)];
  const types = { trigger, acknowledge: 'ACKNOWLEDGEMENT', resolve: 'RECOVERY' };
  return {
    message_type: types[action],
    entity_id: incidentKey(event, options.instanceId, digest),
    entity_display_name: summaryOf(event).slice(0, SUMMARY_CHARS),
    state_message: stateMessage(event).slice(0, TEXT_CHARS),
    // Seconds since 1970.
    state_start_time: Math.floor(Date.parse(event.timestamp) / 1000),
    monitoring_tool: 'Penstock',
  };
}

/** A message that was set aside wakes nobody as an outage does. */
function severityOf(event: OutcomeEvent, chosen: Severity): Severity {
  return event.type === 'message.parked' || event.type === 'message.quarantined' ? 'warning' : chosen;
}

function summaryOf(event: OutcomeEvent): string {
  const subject = event.ticket?.subject || event.email.subject || '(no subject)';
  if (event.type === 'message.quarantined') return `Mail in quarantine: ${event.error?.message ?? subject}`;
  if (event.type === 'message.parked') return `Mail of an unknown sender: ${subject}`;
  return subject;
}

function detailsOf(event: OutcomeEvent): object {
  const { email, ticket, fields, reason, error } = event;
  return { email, ticket, reason, ...(error === null ? {} : { error }), fields };
}

function stateMessage(event: OutcomeEvent): string {
  const lines = [
    `${event.type}: ${event.reason}`,
    `From: ${event.email.from}`,
    `Subject: ${event.email.subject}`,
    ...(event.ticket === null ? [] : [`Ticket: ${event.ticket.id}`]),
    ...event.fields.map(({ field, value }) => `${field}: ${value}`),
  ];
  return lines.join('\n');
}
