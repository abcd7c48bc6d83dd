/** Destinations: what each kind is set up with, what it wants to be told, and which of its settings are wrong. Pure. */
import { fail } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { AllowList } from './egress.ts';
import { EVENT_TYPES, type EventType, type OutcomeEvent } from './event.ts';

export const DESTINATION_KINDS = ['webhook', 'halo', 'pagerduty', 'splunk_oncall'] as const;
export type DestinationKind = (typeof DESTINATION_KINDS)[number];

/** PagerDuty's words (PD-CEF). Splunk On-Call takes `critical` for CRITICAL, `warning` for WARNING, else INFO. */
export const SEVERITIES = ['critical', 'error', 'warning', 'info'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** How mail reaches a Halo: as a message that Halo itself decides on, or as tickets and actions that we decided. */
export const HALO_MODES = ['mail', 'tickets'] as const;
export type HaloMode = (typeof HALO_MODES)[number];

/** Where Halo takes messages (halo-api.md section 2). */
export const HALO_ENDPOINTS = ['IMAP', 'Pop3', 'Google', 'Azure'] as const;
export type HaloEndpoint = (typeof HALO_ENDPOINTS)[number];

export interface HaloSettings {
  mode: HaloMode;
  clientId: string;
  /** Only for hosted instances; null for none. */
  tenant: string | null;
  scope: string;
  /** `mail`: the number of the mailbox there, and the endpoint. */
  mailboxId: number;
  endpoint: HaloEndpoint;
  /** `tickets`: the status of a closed ticket there; 0 leaves the status alone. */
  closedStatusId: number;
}

export interface DestinationSettings {
  url: string;
  events: EventType[];
  /** Only mail of these mailboxes or rules; empty = all. */
  mailboxIds: number[];
  ruleIds: number[];
  /** Deliveries at a time, over all processes. */
  concurrency: number;
  timeoutSeconds: number;
  /** An authority besides the system's; PEM. */
  tlsCa: string | null;
  /** PagerDuty and Splunk On-Call. */
  severity: Severity;
  halo: HaloSettings | null;
}

/** The secret of each kind: what it is called in `secret`, and by people. */
export const DESTINATION_SECRET: Record<DestinationKind, { name: string; about: string; required: boolean }> =
  {
    webhook: { name: 'keys', about: 'signing keys', required: true },
    halo: { name: 'client-secret', about: 'client secret', required: true },
    pagerduty: { name: 'routing-key', about: 'integration key', required: true },
    // The URL of the REST endpoint holds its key, so the whole of it is the secret.
    splunk_oncall: { name: 'url', about: 'URL of the REST endpoint', required: true },
  };

const ON_CALL: EventType[] = [
  'alert.opened',
  'alert.updated',
  'alert.closed',
  'ticket.updated',
  'ticket.closed',
];
const DEFAULT_EVENTS: Record<DestinationKind, EventType[]> = {
  webhook: [...EVENT_TYPES],
  halo: [
    'ticket.created',
    'ticket.updated',
    'ticket.closed',
    'alert.opened',
    'alert.updated',
    'alert.closed',
  ],
  pagerduty: ON_CALL,
  splunk_oncall: ON_CALL,
};

export const PAGERDUTY_URL = 'https://events.pagerduty.com/v2/enqueue';
/** Shown in place of the URL of Splunk On-Call, which is secret. */
export const SPLUNK_ONCALL_HOST = 'https://alert.victorops.com';

export function defaultSettings(kind: DestinationKind): DestinationSettings {
  const urls: Record<DestinationKind, string> = {
    webhook: '',
    halo: '',
    pagerduty: PAGERDUTY_URL,
    splunk_oncall: SPLUNK_ONCALL_HOST,
  };
  return {
    url: urls[kind],
    events: [...DEFAULT_EVENTS[kind]],
    mailboxIds: [],
    ruleIds: [],
    concurrency: 4,
    timeoutSeconds: 20,
    tlsCa: null,
    severity: 'critical',
    halo:
      kind === 'halo'
        ? {
            mode: 'mail',
            clientId: '',
            tenant: null,
            scope: 'all',
            mailboxId: 0,
            endpoint: 'IMAP',
            closedStatusId: 0,
          }
        : null,
  };
}

/** Fails with `validation_failed` when settings cannot work. `allowed` decides whether plain http may be used. */
export function checkSettings(
  kind: DestinationKind,
  settings: DestinationSettings,
  allowed: AllowList,
): void {
  const wrong = (message: string) => fail('validation_failed', message);
  checkUrl(settings.url, allowed);
  if (settings.events.length === 0) throw wrong('A destination needs at least one event.');
  const { halo } = settings;
  if (kind !== 'halo' || halo === null) return;
  if (halo.clientId === '') throw wrong('A Halo destination needs the client id of an API application.');
  if (halo.mode === 'mail' && halo.mailboxId < 1)
    throw wrong('A Halo destination that takes mail needs the number of its mailbox there.');
}

/** Fails with `validation_failed`. Plain http is for hosts that the operator has named only. */
export function checkUrl(text: string, allowed: AllowList): URL {
  const wrong = (message: string) => fail('validation_failed', message);
  if (!URL.canParse(text))
    throw wrong('The URL of a destination must be a whole URL, such as https://example.org/hook.');
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw wrong('The URL of a destination must begin with https://.');
  if (url.username !== '' || url.password !== '')
    throw wrong('The URL of a destination must hold no user name and no password.');
  if (text.length > LIMITS.destinationUrlChars) throw wrong('The URL of a destination is too long.');
  if (url.protocol === 'http:' && !allowed.names(url.hostname)) {
    throw wrong(
      `Plain http is taken only for hosts that the setting destinations.allow names; ${url.hostname} is not among them.`,
    );
  }
  return url;
}

/** As much of a destination as decides whether it is told. */
export interface Wanting {
  id: number;
  kind: DestinationKind;
  settings: Pick<DestinationSettings, 'events' | 'mailboxIds' | 'ruleIds'>;
}

/** Whether a destination is to be told of an event. */
export function wants({ kind, settings }: Wanting, event: OutcomeEvent): boolean {
  const { events, mailboxIds, ruleIds } = settings;
  if (!events.includes(event.type)) return false;
  if (mailboxIds.length > 0 && !mailboxIds.includes(event.email.mailboxId)) return false;
  if (ruleIds.length > 0 && (event.ruleId === null || !ruleIds.includes(event.ruleId))) return false;
  if (kind === 'pagerduty' || kind === 'splunk_oncall') {
    const aboutAlert =
      event.ticket === null || event.ticket.alertKey !== null || event.type.startsWith('alert.');
    return onCallAction(event) !== null && (aboutAlert || events.includes('ticket.created'));
  }
  return true;
}

/** What an event means to those on call; null when it means nothing to them. */
export function onCallAction(event: OutcomeEvent): 'trigger' | 'acknowledge' | 'resolve' | null {
  switch (event.type) {
    case 'alert.opened':
      // An alert that was over before it was told is nothing to wake anybody for.
      return event.ticket?.open === false ? null : 'trigger';
    case 'alert.updated':
    case 'ticket.created':
    case 'message.parked':
    case 'message.quarantined':
      return 'trigger';
    case 'alert.closed':
    case 'ticket.closed':
      return 'resolve';
    case 'ticket.updated':
      if (event.reopened) return 'trigger';
      return event.byAgent ? 'acknowledge' : null;
    case 'service.reported':
      return null;
  }
}

/** What those on call know a problem by: the alert's key, else the ticket or message. At most 255 characters. */
export function incidentKey(
  event: OutcomeEvent,
  instanceId: string,
  digest: (text: string) => string,
): string {
  const key =
    event.ticket?.alertKey ??
    (event.ticket === null
      ? `penstock-${instanceId}-message-${event.email.id}`
      : `penstock-${instanceId}-ticket-${event.ticket.id}`);
  return key.length <= 255 ? key : digest(key);
}
