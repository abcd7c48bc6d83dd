/** Sends one delivery to its destination, whatever the kind. Knows settings and secrets; decides nothing about retries. */
import { hostname } from 'node:os';
import { fail } from '../errors.ts';
import type { ParsedMessage } from '../message/message.ts';
import type { Database } from '../store/database.ts';
import { type ClaimedDelivery, externalTicketId } from '../store/deliveries.ts';
import { type Destination, destinationOwner, findDestination } from '../store/destinations.ts';
import { findEmail } from '../store/email-queries.ts';
import type { Keyring } from '../store/keyring.ts';
import { readSecret } from '../store/secrets.ts';
import { DESTINATION_SECRET, type DestinationSettings } from './destination.ts';
import type { OutcomeEvent } from './event.ts';
import { HaloClient } from './halo.ts';
import type { Egress } from './http.ts';
import { pagerDutyBody, splunkOnCallBody } from './on-call.ts';
import { judgeStatus, judgeStrictly, type Verdict } from './verdict.ts';
import { readSigningKeys, webhookRequest } from './webhook.ts';

export interface SenderOptions {
  db: Database;
  keys: Keyring;
  egress: Egress;
  instanceId: string;
  raw: { read(sha256: Buffer): Promise<Buffer> };
  /** Parses a message where a hostile one can do no harm. */
  parse(raw: Buffer): Promise<ParsedMessage>;
}

interface Ready {
  changeSeq: number;
  secret: string;
  halo: HaloClient | null;
}

export class Sender {
  readonly #options: SenderOptions;
  /** By destination, until it changes. */
  readonly #ready = new Map<number, Ready>();

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** One attempt. Fails with an error of ours when there is no answer. */
  async send(delivery: ClaimedDelivery): Promise<Verdict> {
    const { db } = this.#options;
    const destination = await findDestination(db, delivery.destinationId);
    if (destination === null) throw fail('not_found', `Destination ${delivery.destinationId} was removed.`);
    const ready = await this.#prepare(destination);
    if (ready.halo === null) return await this.#post(destination, ready.secret, delivery);
    return await ready.halo.deliver({
      messageId: delivery.messageId,
      event: delivery.event,
      maybeSent: delivery.maybeSent,
      externalTicketId:
        delivery.ticketId === null ? null : await externalTicketId(db, delivery.ticketId, destination.id),
      readRaw: () => this.#readRaw(delivery.event.email.id),
      parse: (raw) => this.#options.parse(raw),
    });
  }

  /**
   * Tries a destination with an event made for it. A Halo is only signed in to: it has no room for a test. Those on call
   * are told of a problem and at once that it is over.
   */
  async test(destination: Destination, messageId: string): Promise<Verdict> {
    const { secret, halo } = await this.#prepare(destination);
    if (halo !== null) return await halo.signIn();
    const opened = testEvent(true);
    const verdict = await this.#post(destination, secret, { messageId, event: opened });
    if (verdict.kind !== 'delivered' || destination.kind === 'webhook') return verdict;
    return await this.#post(destination, secret, { messageId, event: testEvent(false) });
  }

  async #post(
    { kind, settings }: Destination,
    secret: string,
    { messageId, event }: Pick<ClaimedDelivery, 'messageId' | 'event'>,
  ): Promise<Verdict> {
    const { severity } = settings;
    const { instanceId } = this.#options;
    switch (kind) {
      case 'webhook': {
        const { headers, body } = webhookRequest(event, messageId, readSigningKeys(secret), Date.now());
        return judgeStatus(await this.#request(settings, settings.url, headers, body), hostOf(settings.url));
      }
      case 'pagerduty': {
        const source = `penstock@${hostname()}`;
        const body = pagerDutyBody(event, { routingKey: secret, severity, instanceId, source });
        const answer = await this.#request(settings, settings.url, JSON_TYPE, JSON.stringify(body));
        return judgeStrictly(answer, hostOf(settings.url));
      }
      default: {
        const body = splunkOnCallBody(event, { severity, instanceId });
        const answer = await this.#request(settings, secret, JSON_TYPE, JSON.stringify(body));
        return judgeStrictly(answer, hostOf(secret));
      }
    }
  }

  async #request(settings: DestinationSettings, url: string, headers: Record<string, string>, body: string) {
    const { tlsCa, timeoutSeconds } = settings;
    return await this.#options.egress.send({
      method: 'POST',
      url,
      headers,
      body,
      tlsCa,
      timeoutMs: timeoutSeconds * 1000,
    });
  }

  async #prepare(destination: Destination): Promise<Ready> {
    const { id, kind, settings, changeSeq } = destination;
    const known = this.#ready.get(id);
    if (known?.changeSeq === changeSeq) return known;
    const { db, keys, egress } = this.#options;
    const secret = await readSecret(db, keys, destinationOwner(id), DESTINATION_SECRET[kind].name);
    if (secret === null)
      throw fail('key_missing', `Destination ${id} has no ${DESTINATION_SECRET[kind].about}.`);
    // Another delivery may have been as far meanwhile; all share one client, and so its token.
    const made = this.#ready.get(id);
    if (made?.changeSeq === changeSeq) return made;
    const halo = kind === 'halo' ? new HaloClient(egress, settings, secret) : null;
    const ready = { changeSeq, secret, halo };
    this.#ready.set(id, ready);
    return ready;
  }

  async #readRaw(emailId: number): Promise<Buffer> {
    const email = await findEmail(this.#options.db, emailId);
    if (email === null) throw fail('raw_missing', `Incoming email ${emailId} was deleted.`);
    return await this.#options.raw.read(email.rawSha256);
  }
}

const JSON_TYPE = { 'content-type': 'application/json' };

function hostOf(url: string): string {
  return new URL(url).host;
}

function testEvent(open: boolean): OutcomeEvent {
  return {
    type: open ? 'alert.opened' : 'alert.closed',
    timestamp: new Date().toISOString(),
    email: { id: 0, mailboxId: 0, messageId: null, from: '', subject: 'Test of Penstock', class: null },
    ticket: {
      id: 0,
      subject: 'Test of Penstock',
      typeId: 0,
      open,
      alertKey: 'penstock-test',
      supplierReference: null,
    },
    ruleId: null,
    reason: 'test',
    private: false,
    byAgent: false,
    reopened: false,
    fields: [],
    service: null,
    error: null,
  };
}
