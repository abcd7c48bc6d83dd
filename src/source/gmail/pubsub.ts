/**
 * Pulls from a Pub/Sub subscription what Gmail tells (cloud.google.com/pubsub/docs/reference/rest, `pull` and
 * `acknowledge`): for installations that cannot be reached from the internet.
 */
import { Agent } from 'node:https';
import { createSecureContext } from 'node:tls';
import { pubsub, type pubsub_v1 } from 'googleapis/build/src/apis/pubsub/index.js';
import { asPenstockError, fail, type PenstockError } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import type { AccessTokens } from '../oauth/access-tokens.ts';
import { tlsOptions } from '../probe.ts';
import { readPush } from './push.ts';
import { type Answer, type CallOptions, Requests } from './requests.ts';
import { DEFAULT_GMAIL_OPTIONS } from './settings.ts';

export const PUBSUB_ROOT_URL = 'https://pubsub.googleapis.com/';
export const PUBSUB_SCOPE = 'https://www.googleapis.com/auth/pubsub';

export interface PubsubSettings {
  /** `projects/<project>/subscriptions/<subscription>`. */
  subscription: string;
  tokens: AccessTokens;
  rootUrl: string;
  /** PEM of an extra certificate authority, or null. */
  tlsCa: string | null;
  /** Google holds a pull that has nothing to give for up to a minute and a half (ms). */
  pullMs?: number;
}

export interface Pulled {
  /** Accounts that have mail; one may be named several times. */
  addresses: string[];
  /** Messages that are no notifications of Gmail. They are acknowledged too, or they would come for ever. */
  strange: number;
  ackIds: string[];
}

const PULL_MS = 120_000;

export class PubsubSubscription {
  readonly #settings: PubsubSettings;
  readonly #requests: Requests;
  readonly #agent: Agent;
  readonly #api: pubsub_v1.Pubsub;

  constructor(settings: PubsubSettings) {
    this.#settings = settings;
    const { rootUrl, tlsCa, pullMs = PULL_MS } = settings;
    // What fails is tried again by who pulls, with longer and longer waits.
    this.#requests = new Requests(settings, { ...DEFAULT_GMAIL_OPTIONS, requestMs: pullMs, retries: 0 });
    this.#agent = new Agent({
      secureContext: createSecureContext(tlsOptions({ tlsCa, tlsVerify: true })),
      keepAlive: true,
      maxSockets: 2,
      proxyEnv: process.env,
    });
    this.#api = pubsub({ version: 'v1', rootUrl, agent: this.#agent });
  }

  /**
   * What has been told and not acknowledged; waits for a while when there is nothing. Fails with `consent_needed` when
   * the account may not pull, with `not_found` when there is no such subscription.
   */
  async pull(signal: AbortSignal): Promise<Pulled> {
    const { subscription } = this.#settings;
    const requestBody = { maxMessages: LIMITS.notificationsPulled };
    const { receivedMessages = [] } = await this.#call('pull', signal, (call) =>
      this.#api.projects.subscriptions.pull({ subscription, requestBody }, call),
    );
    const pulled: Pulled = { addresses: [], strange: 0, ackIds: [] };
    for (const { ackId, message } of receivedMessages) {
      if (typeof ackId === 'string') pulled.ackIds.push(ackId);
      try {
        pulled.addresses.push(readPush({ message, subscription }).address);
      } catch {
        pulled.strange += 1;
      }
    }
    return pulled;
  }

  /** What is not acknowledged comes again after some seconds. */
  async acknowledge(ackIds: readonly string[], signal: AbortSignal): Promise<void> {
    const { subscription } = this.#settings;
    const requestBody = { ackIds: [...ackIds] };
    await this.#call('acknowledge', signal, (call) =>
      this.#api.projects.subscriptions.acknowledge({ subscription, requestBody }, call),
    );
  }

  /** Ends idle connections. */
  close(): void {
    this.#agent.destroy();
  }

  async #call<T>(
    method: 'pull' | 'acknowledge',
    signal: AbortSignal,
    send: (call: CallOptions) => Promise<Answer<T>>,
  ): Promise<T> {
    try {
      return (await this.#requests.call(method, signal, send)).data;
    } catch (error) {
      throw explained(asPenstockError(error), this.#settings.subscription);
    }
  }
}

/** The same refusals mean something else here than for a mailbox. */
function explained(error: PenstockError, subscription: string): PenstockError {
  const { code, fields } = error;
  if (fields.status === undefined) return error;
  switch (code) {
    case 'message_gone':
      return fail('not_found', `There is no Pub/Sub subscription ${subscription}`, fields, error);
    case 'consent_needed': {
      const message = `The service account may not pull from ${subscription}: give it the role Pub/Sub Subscriber`;
      return fail(code, message, fields, error);
    }
    case 'auth_failed':
      return fail(code, 'Google refused the token of the service account', fields, error);
    default:
      return error;
  }
}
