/**
 * Keeps the subscriptions of the mailboxes that this process holds: makes, renews and removes them at their providers.
 * Mail does not depend on it: whatever fails here, mailboxes are polled.
 */
import { asPenstockError } from '../errors.ts';
import type { Events } from '../observe/events.ts';
import type { Subscriptions } from '../source/subscriptions.ts';
import type { Database } from '../store/database.ts';
import type { Mailbox } from '../store/mailboxes.ts';
import { listUnheard } from '../store/notifications.ts';
import {
  forgetOfRemovedMailboxes,
  forgetSubscription,
  giveTurnBack,
  type KeptSubscription,
  listSubscriptions,
  saveFailed,
  saveMade,
  saveRenewed,
  takeTurn,
} from '../store/subscriptions.ts';
import {
  type PushAddresses,
  type SubscriptionStep,
  subscriptionRetryMs,
  subscriptionStep,
  type WantedSubscription,
  wantedSubscriptions,
} from './subscription-plan.ts';

export interface KeeperOptions {
  db: Database;
  events: Events;
  addresses: PushAddresses;
  /** The subscriptions of a mailbox at its provider; null when it can have none. */
  subscriptionsOf(mailboxId: number): Promise<Subscriptions | null>;
  /** The mailboxes that this process polls. */
  held(): Mailbox[];
  /** Called for a held mailbox that was told of mail and not polled since. */
  onMail(mailboxId: number): void;
}

/** What is to be done about one subscription. */
interface Task {
  mailbox: Mailbox;
  folder: string;
  step: Exclude<SubscriptionStep, 'nothing'>;
  kept: KeptSubscription | null;
  wanted: WantedSubscription | null;
}

const REVIEW_MS = 15_000;
/** Longer than the calls of a turn can take, with their waits. */
const TURN_SECONDS = 300;
/** Mailboxes that are worked on at once. */
const AT_ONCE = 4;

export class SubscriptionKeeper {
  readonly #options: KeeperOptions;
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | null = null;
  #turn: Promise<void> = Promise.resolve();
  #waiting = false;
  #toldOff = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** Must be called after the API of this process listens: providers call there before they give a subscription. */
  start(): void {
    this.#timer = setInterval(() => void this.review(), REVIEW_MS);
    void this.review();
  }

  /** Looks at everything now. Resolves when it is done; reviews never overlap, and never fail. */
  review(): Promise<void> {
    // One that has not begun will see what this one is asked for.
    if (this.#waiting) return this.#turn;
    this.#waiting = true;
    this.#turn = this.#turn.then(async () => {
      this.#waiting = false;
      await this.#review().catch((error: Error) =>
        this.#options.events.emit('engine.error', { engine: 'database', message: error.message }),
      );
    });
    return this.#turn;
  }

  /** Subscriptions stay as they are: they last longer than a restart. */
  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#stop.abort();
    await this.#turn;
  }

  async #review(): Promise<void> {
    const { db } = this.#options;
    if (this.#stop.signal.aborted) return;
    await forgetOfRemovedMailboxes(db);
    const mailboxes = this.#options.held();
    if (mailboxes.length === 0) return;
    const ids = mailboxes.map(({ id }) => id);
    for (const id of await listUnheard(db, ids)) this.#options.onMail(id);
    this.#tellWhenOff(mailboxes);
    const { now, kept } = await listSubscriptions(db, ids);
    const byMailbox = Map.groupBy(kept, ({ mailboxId }) => mailboxId);
    const work = mailboxes
      .map((mailbox) => this.#tasks(mailbox, byMailbox.get(mailbox.id) ?? [], now))
      .filter((tasks) => tasks.length > 0)
      .values();
    const lane = async (): Promise<void> => {
      for (const tasks of work) for (const task of tasks) await this.#try(task);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
  }

  #tasks(mailbox: Mailbox, kept: readonly KeptSubscription[], now: Date): Task[] {
    const wanted = wantedSubscriptions(mailbox, this.#options.addresses);
    const folders = new Set([...wanted, ...kept].map(({ folder }) => folder));
    return [...folders].flatMap((folder) => {
      const has = kept.find((one) => one.folder === folder) ?? null;
      const wants = wanted.find((one) => one.folder === folder) ?? null;
      const step = subscriptionStep(mailbox.kind, has, wants, now);
      return step === 'nothing' ? [] : [{ mailbox, folder, step, kept: has, wanted: wants }];
    });
  }

  async #try(task: Task): Promise<void> {
    if (this.#stop.signal.aborted) return;
    const { db, events } = this.#options;
    const mailbox = task.mailbox.id;
    const id = await takeTurn(db, mailbox, task.folder, TURN_SECONDS);
    if (id === null) return;
    try {
      const subscriptions = await this.#options.subscriptionsOf(mailbox);
      if (subscriptions === null) return await forgetSubscription(db, id);
      const did = await this.#do(task, id, subscriptions);
      events.emit('subscription.changed', { mailbox, folder: task.folder, did });
    } catch (thrown) {
      const error = asPenstockError(thrown);
      const { code, message } = error;
      const consecutive = (task.kept?.failures ?? 0) + 1;
      // A stop is no failure; whoever comes next may try at once.
      if (this.#stop.signal.aborted) return await giveTurnBack(db, id);
      const retryInMs = Math.round(subscriptionRetryMs(error, consecutive, Math.random()));
      await saveFailed(db, id, { code, message }, retryInMs);
      const { folder } = task;
      events.emit('subscription.failed', { mailbox, folder, code, message, retryInMs, consecutive });
    }
  }

  async #do(
    { step, kept, wanted }: Task,
    id: number,
    subscriptions: Subscriptions,
  ): Promise<'made' | 'renewed' | 'removed'> {
    const { db } = this.#options;
    const { signal } = this.#stop;
    const providerId = kept?.providerId ?? null;
    if (wanted === null) {
      if (providerId !== null) await subscriptions.remove(providerId, signal);
      await forgetSubscription(db, id);
      return 'removed';
    }
    if (step === 'renew' && kept !== null && providerId !== null) {
      const renewed = await subscriptions.renew(providerId, wanted, signal);
      if (renewed !== null) {
        await saveRenewed(db, id, renewed, kept.need);
        return 'renewed';
      }
    }
    if (step === 'remake' && providerId !== null) await subscriptions.remove(providerId, signal);
    // The answer of an earlier attempt may have been lost, by a failure or a crash, and what it made would live for days.
    const isUnsure = kept !== null && (kept.failures > 0 || kept.nextAttemptAt !== null);
    if (isUnsure) await subscriptions.removeStrays(wanted, signal);
    await saveMade(db, id, wanted.madeFor, await subscriptions.make(wanted, signal));
    return 'made';
  }

  /** Once: that polling goes on without is nothing to be told every minute. */
  #tellWhenOff(mailboxes: readonly Mailbox[]): void {
    if (this.#toldOff) return;
    const without = (['graph', 'gmail'] as const).filter(
      (kind) => this.#options.addresses[kind] === null && mailboxes.some((mailbox) => mailbox.kind === kind),
    );
    if (without.length === 0) return;
    this.#toldOff = true;
    this.#options.events.emit('subscription.off', { kinds: without });
  }
}
