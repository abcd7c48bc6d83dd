/** Change notifications of the lab's Graph: subscriptions with their handshake, what is told, and what gets lost. */
import { randomUUID } from 'node:crypto';
import type { LabAnswer } from '../http/answer.ts';
import { created, GraphFault, noContent, ok } from './answer.ts';
import type { LabMailbox, LabMessage } from './mail-store.ts';
import { call, handshake } from './notifier.ts';

interface LabSubscription {
  id: string;
  resource: string;
  changeType: string;
  clientState: string | null;
  notificationUrl: string;
  lifecycleNotificationUrl: string | null;
  expirationDateTime: Date;
  mailbox: LabMailbox;
  /** Until it is authorised anew nothing is told. */
  paused: boolean;
}

export type LifecycleEvent = 'reauthorizationRequired' | 'subscriptionRemoved' | 'missed';

export interface SubscriptionOptions {
  /** Longest life in minutes: 10,080 for messages without their data, by the docs of today. */
  maxMinutes: number;
  /** Authority of the addresses' certificates. */
  ca: string | undefined;
  tenantId: string;
}

const MINUTE_MS = 60_000;
const LEAST_MINUTES = 45;
const PER_MAILBOX = 1_000;
const RESOURCE = /^\/?users\/([^/]+)\/mailFolders\(?\/?'?([^')/]+)'?\)?\/messages$/i;

export class Subscriptions {
  readonly options: SubscriptionOptions;
  /** Subscriptions last no longer than this, whatever is asked for. */
  grantMinutes = Number.POSITIVE_INFINITY;
  readonly all = new Map<string, LabSubscription>();
  /** So many notifications get lost from now on. */
  dropNext = 0;
  /** Answers of addresses to what they were told, in order: null when there was none. */
  readonly answers: (number | null)[] = [];
  readonly #pending = new Set<Promise<void>>();

  constructor(options: SubscriptionOptions) {
    this.options = options;
  }

  async create(body: Record<string, unknown>, mailboxOf: (name: string) => LabMailbox): Promise<LabAnswer> {
    const { changeType, notificationUrl, resource, expirationDateTime, clientState } = body;
    const lifecycleUrl = body.lifecycleNotificationUrl;
    const match = typeof resource === 'string' ? RESOURCE.exec(resource) : null;
    if (changeType !== 'created' && changeType !== 'created,updated') throw invalid('changeType');
    if (!match) throw invalid('resource');
    if (!isSecure(notificationUrl)) throw invalid('notificationUrl');
    if (lifecycleUrl !== undefined && !isSecure(lifecycleUrl)) throw invalid('lifecycleNotificationUrl');
    if (clientState !== undefined && (typeof clientState !== 'string' || clientState.length > 128)) {
      throw invalid('clientState');
    }
    const mailbox = mailboxOf(decodeURIComponent(match[1]!));
    const own = [...this.all.values()].filter((subscription) => subscription.mailbox === mailbox);
    if (own.length >= PER_MAILBOX) throw new GraphFault(403, 'ExtensionError', 'Too many subscriptions.');
    const expires = this.#expiry(expirationDateTime);
    // Before the answer: a listener that is not there yet gets no subscription.
    for (const url of [notificationUrl, lifecycleUrl]) {
      const wrong = url === undefined ? null : await handshake(url as string, this.options.ca);
      const message = `Subscription validation request failed. ${wrong}`;
      if (wrong !== null) throw new GraphFault(400, 'ValidationError', message);
    }
    const subscription: LabSubscription = {
      id: randomUUID(),
      resource: resource as string,
      changeType,
      clientState: (clientState as string | undefined) ?? null,
      notificationUrl,
      lifecycleNotificationUrl: (lifecycleUrl as string | undefined) ?? null,
      expirationDateTime: expires,
      mailbox,
      paused: false,
    };
    this.all.set(subscription.id, subscription);
    return created(entity(subscription));
  }

  list(): LabAnswer {
    return ok({ value: [...this.all.values()].map(entity) });
  }

  get(id: string): LabAnswer {
    return ok(entity(this.#find(id)));
  }

  renew(id: string, body: Record<string, unknown>): LabAnswer {
    const subscription = this.#find(id);
    subscription.expirationDateTime = this.#expiry(body.expirationDateTime);
    subscription.paused = false;
    return ok(entity(subscription));
  }

  reauthorize(id: string): LabAnswer {
    this.#find(id).paused = false;
    return noContent();
  }

  remove(id: string): LabAnswer {
    this.#find(id);
    this.all.delete(id);
    return noContent();
  }

  /** Tells those who want to know that a message has come. */
  messageCreated(message: LabMessage, mailbox: LabMailbox): void {
    for (const subscription of this.all.values()) {
      const folder = decodeURIComponent(RESOURCE.exec(subscription.resource)?.[2] ?? '');
      const wanted = subscription.mailbox === mailbox && mailbox.folder(folder) === message.folder;
      if (!wanted || subscription.paused || subscription.expirationDateTime.getTime() < Date.now()) continue;
      if (this.dropNext > 0) {
        this.dropNext -= 1;
        continue;
      }
      const id = message.immutableId;
      const resource = `Users/${mailbox.objectId}/Messages/${id}`;
      const resourceData = { '@odata.type': '#Microsoft.Graph.Message', '@odata.id': resource, id };
      this.#tell(subscription.notificationUrl, [
        { ...this.#about(subscription), changeType: 'created', resource, resourceData },
      ]);
    }
  }

  /** Sends a lifecycle event, with what it means: a removed subscription is gone. */
  lifecycle(id: string, lifecycleEvent: LifecycleEvent): void {
    const subscription = this.#find(id);
    if (lifecycleEvent === 'reauthorizationRequired') subscription.paused = true;
    if (lifecycleEvent === 'subscriptionRemoved') this.all.delete(id);
    const url = subscription.lifecycleNotificationUrl;
    if (url)
      this.#tell(url, [{ ...this.#about(subscription), resource: subscription.resource, lifecycleEvent }]);
  }

  /** When everything told so far was answered. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending);
  }

  #tell(url: string, value: Record<string, unknown>[]): void {
    const telling = call(url, JSON.stringify({ value }), 'application/json', this.options.ca).then(
      (answer) => {
        this.answers.push(answer?.status ?? null);
      },
    );
    this.#pending.add(telling);
    void telling.finally(() => this.#pending.delete(telling));
  }

  #about({ id, expirationDateTime, clientState }: LabSubscription): Record<string, unknown> {
    return {
      subscriptionId: id,
      subscriptionExpirationDateTime: expirationDateTime.toISOString(),
      clientState,
      tenantId: this.options.tenantId,
    };
  }

  #expiry(given: unknown): Date {
    const time = typeof given === 'string' ? Date.parse(given) : Number.NaN;
    const now = Date.now();
    const { maxMinutes } = this.options;
    if (Number.isNaN(time) || time <= now) throw invalid('expirationDateTime');
    if (time > now + maxMinutes * MINUTE_MS) {
      const message = `Subscription expiration can only be ${maxMinutes} minutes in the future.`;
      throw new GraphFault(400, 'ExtensionError', message);
    }
    const granted = Math.min(time, now + this.grantMinutes * MINUTE_MS);
    return new Date(Math.max(granted, now + LEAST_MINUTES * MINUTE_MS));
  }

  #find(id: string): LabSubscription {
    const subscription = this.all.get(id);
    if (subscription) return subscription;
    throw new GraphFault(404, 'ResourceNotFound', 'The object was not found.');
  }
}

function entity(subscription: LabSubscription): Record<string, unknown> {
  const { id, resource, changeType, notificationUrl, lifecycleNotificationUrl } = subscription;
  return {
    id,
    resource,
    changeType,
    // It is never shown again.
    clientState: null,
    notificationUrl,
    lifecycleNotificationUrl,
    expirationDateTime: subscription.expirationDateTime.toISOString(),
    applicationId: '00000000-0000-0000-0000-00000000a11b',
    creatorId: '00000000-0000-0000-0000-00000000c0de',
  };
}

function isSecure(url: unknown): url is string {
  return typeof url === 'string' && URL.canParse(url) && new URL(url).protocol === 'https:';
}

function invalid(name: string): GraphFault {
  return new GraphFault(400, 'InvalidRequest', `The property ${name} is missing or not valid.`);
}
