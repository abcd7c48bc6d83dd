/** A Pub/Sub subscription for labs, over TLS: messages that are given until they are acknowledged, and faults by script. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type LabAnswer, readBody } from '../http/answer.ts';
import { answerUnder, HttpFaults } from '../http/faults.ts';
import { type HttpServerOptions, LabHttpServer } from '../http/server.ts';
import { apiError } from './errors.ts';

export interface LabPubsubOptions extends HttpServerOptions {
  /** Whether a token may pull. */
  accepts(token: string): boolean;
}

interface Held {
  ackId: string;
  message: { data: string; messageId: string; publishTime: string };
  /** Given out, and not to be given again before this. */
  until: number;
}

const BODY_BYTES = 1024 * 1024;

export class LabPubsubServer extends LabHttpServer<{ route: string }> {
  readonly faults = new HttpFaults();
  /** A pull that has nothing to give waits so long (ms). */
  holdMs = 2_000;
  /** What is not acknowledged within this time is given again (ms). */
  ackMs = 10_000;
  readonly name = 'projects/lab-project/subscriptions/penstock';
  readonly #options: LabPubsubOptions;
  #held: Held[] = [];
  #published = 0;
  #wake = Promise.withResolvers<void>();

  constructor(options: LabPubsubOptions) {
    super(options);
    this.#options = options;
  }

  get rootUrl(): string {
    return `${this.origin}/`;
  }

  /** Messages that nobody has acknowledged. */
  get waiting(): number {
    return this.#held.length;
  }

  /** `data` is Base64. */
  publish(data: string): void {
    this.#published += 1;
    const messageId = String(this.#published);
    const message = { data, messageId, publishTime: new Date().toISOString() };
    this.#held.push({ ackId: `ack-${messageId}`, message, until: 0 });
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  protected override async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, name, route = 'unknown'] = /^\/v1\/(.+):(\w+)$/.exec(request.url ?? '') ?? [];
    const body = await readBody(request, BODY_BYTES);
    this.log({ route });
    await answerUnder(this.faults.strike(route, null), response, async () => {
      const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
      if (token === undefined || !this.#options.accepts(token)) {
        return apiError(401, 'authError', 'Request had invalid authentication credentials.');
      }
      if (name !== this.name) return apiError(404, 'notFound', 'Resource not found');
      const asked = JSON.parse(body?.toString('utf8') || '{}') as { maxMessages?: number; ackIds?: string[] };
      return route === 'acknowledge'
        ? this.#acknowledge(asked.ackIds ?? [])
        : await this.#pull(asked.maxMessages);
    });
  }

  async #pull(most = 0): Promise<LabAnswer> {
    if (most < 1) return apiError(400, 'invalidArgument', 'maxMessages must be positive');
    if (this.#due().length === 0) {
      const timer = Promise.withResolvers<void>();
      const timeout = setTimeout(timer.resolve, this.holdMs);
      await Promise.race([this.#wake.promise, timer.promise]);
      clearTimeout(timeout);
    }
    const given = this.#due().slice(0, most);
    for (const one of given) one.until = performance.now() + this.ackMs;
    const receivedMessages = given.map(({ ackId, message }) => ({ ackId, message }));
    // Left out when there are none, as Pub/Sub does.
    return { status: 200, body: receivedMessages.length === 0 ? {} : { receivedMessages } };
  }

  #acknowledge(ackIds: readonly string[]): LabAnswer {
    this.#held = this.#held.filter(({ ackId }) => !ackIds.includes(ackId));
    return { status: 200, body: {} };
  }

  #due(): Held[] {
    const now = performance.now();
    return this.#held.filter(({ until }) => until <= now);
  }
}
