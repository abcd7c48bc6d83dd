/** Watches of a lab Gmail, and the pushes that Pub/Sub would make of them. */
import type { LabAnswer } from '../http/answer.ts';
import { apiError } from './errors.ts';
import type { LabMailbox } from './mail-store.ts';

const WEEK_MS = 7 * 24 * 3_600_000;
const TOPIC = /^projects\/[\w-]+\/topics\/[\w-]+$/;

/** What Pub/Sub posts to a push endpoint. */
export interface LabPush {
  message: { data: string; messageId: string; publishTime: string };
  subscription: string;
}

export class Watches {
  /** How long a watch lasts, in milliseconds. */
  lifeMs = WEEK_MS;
  /** Called with each push; signing and sending are the test's. */
  onPush: (push: LabPush) => void = () => undefined;
  readonly #watched = new Map<string, { expiresAt: number; labels: string[] }>();
  #messages = 0;

  make(mailbox: LabMailbox, body: Record<string, unknown>): LabAnswer {
    const { topicName, labelIds } = body;
    if (typeof topicName !== 'string' || !TOPIC.test(topicName)) {
      return apiError(400, 'invalidArgument', `Invalid topicName does not match projects/lab/topics/*`);
    }
    const expiresAt = Date.now() + this.lifeMs;
    this.#watched.set(mailbox.address, {
      expiresAt,
      labels: Array.isArray(labelIds) ? labelIds.map(String) : [],
    });
    return { status: 200, body: { historyId: String(mailbox.historyId), expiration: String(expiresAt) } };
  }

  stop(mailbox: LabMailbox): LabAnswer {
    this.#watched.delete(mailbox.address);
    return { status: 204 };
  }

  changed(mailbox: LabMailbox): void {
    const watch = this.#watched.get(mailbox.address);
    if (watch === undefined || watch.expiresAt <= Date.now()) return;
    const last = mailbox.history.at(-1);
    const isOfInterest =
      watch.labels.length === 0 || watch.labels.some((label) => last?.labelsAfter.includes(label) === true);
    if (!isOfInterest) return;
    this.#messages += 1;
    // A number in this place, though it is text everywhere else.
    const data = `{"emailAddress":"${mailbox.address}","historyId":${mailbox.historyId}}`;
    this.onPush({
      message: {
        data: Buffer.from(data).toString('base64'),
        messageId: String(this.#messages),
        publishTime: new Date().toISOString(),
      },
      subscription: 'projects/lab/subscriptions/penstock',
    });
  }
}
