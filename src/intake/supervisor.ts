/**
 * Takes mailboxes by lease and keeps a poller for each. Owns the clocks: renewal, stalls, changes of settings.
 * A mailbox whose renewal fails is dropped at once; the fencing token stops what was still under way.
 */
import { randomUUID } from 'node:crypto';
import { asPenstockError } from '../errors.ts';
import type { Source } from '../source/source.ts';
import { acquireLease, leaseEndedCleanly, releaseLease, renewLeases } from '../store/leases.ts';
import { listMailboxes, type Mailbox, saveMailboxError, savePhase } from '../store/mailboxes.ts';
import type { IntakeContext } from './context.ts';
import { Poller } from './poller.ts';

export interface SupervisorOptions {
  leaseSeconds: number;
  /** Makes the source of a mailbox, with its secrets. Fails when the kind is not supported. */
  makeSource(mailbox: Mailbox): Promise<Source>;
}

export class Supervisor {
  readonly #context: IntakeContext;
  readonly #options: SupervisorOptions;
  readonly #owner = randomUUID();
  readonly #pollers = new Map<number, Poller>();
  /** Why mailboxes could not be set up, as people were told. */
  readonly #unmade = new Map<number, string>();
  #timer: NodeJS.Timeout | null = null;
  #turn: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(context: IntakeContext, options: SupervisorOptions) {
    this.#context = context;
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => void this.review(), (this.#options.leaseSeconds * 1000) / 3);
    void this.review();
  }

  /** Looks at leases and settings now. Resolves when it is done; reviews never overlap, and never fail. */
  review(): Promise<void> {
    this.#turn = this.#turn
      .then(() => this.#review())
      .catch((error: Error) =>
        this.#context.events.emit('engine.error', { engine: 'database', message: error.message }),
      );
    return this.#turn;
  }

  /** Polls a mailbox now, if it is ours. */
  wake(mailboxId: number): void {
    this.#pollers.get(mailboxId)?.wake();
  }

  /** A provider says that a mailbox has mail. */
  hint(mailboxId: number): void {
    this.#pollers.get(mailboxId)?.hint();
  }

  /** The mailboxes that are ours. */
  held(): Mailbox[] {
    return [...this.#pollers.values()].map((poller) => poller.held.mailbox);
  }

  /** Stops all pollers and gives their mailboxes back. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#turn;
    // A lease that cannot be given back, because the database is away, expires.
    await Promise.allSettled([...this.#pollers.keys()].map((id) => this.#drop(id, true)));
  }

  async #review(): Promise<void> {
    if (this.#stopped) return;
    await this.#renew();
    const mailboxes = await listMailboxes(this.#context.db);
    const wanted = new Map(
      mailboxes.filter((mailbox) => mailbox.enabled).map((mailbox) => [mailbox.id, mailbox]),
    );
    for (const [id, poller] of this.#pollers) {
      const mailbox = wanted.get(id);
      const unchanged = mailbox?.changeSeq === poller.held.mailbox.changeSeq;
      if (!unchanged) await this.#drop(id, true);
      if (mailbox === undefined) await savePhase(this.#context.db, id, 'paused');
      await poller.endIfStalled();
    }
    for (const mailbox of wanted.values()) {
      if (!this.#pollers.has(mailbox.id) && !this.#stopped) await this.#take(mailbox);
    }
  }

  async #renew(): Promise<void> {
    if (this.#pollers.size === 0) return;
    const held = new Map([...this.#pollers].map(([id, poller]) => [id, poller.held.leaseToken]));
    const kept = await renewLeases(this.#context.db, this.#owner, held, this.#options.leaseSeconds);
    for (const [id, token] of held) {
      if (kept.has(id)) continue;
      this.#context.events.emit('lease.lost', { mailbox: id, fence: token });
      await this.#drop(id, false);
    }
  }

  async #take(mailbox: Mailbox): Promise<void> {
    const clean = await leaseEndedCleanly(this.#context.db, mailbox.id);
    const token = await acquireLease(this.#context.db, mailbox.id, this.#owner, this.#options.leaseSeconds);
    if (token === null) return;
    try {
      const source = await this.#options.makeSource(mailbox);
      const poller = new Poller(this.#context, { mailbox, leaseToken: token }, source, !clean);
      this.#pollers.set(mailbox.id, poller);
      this.#context.events.emit('lease.acquired', { mailbox: mailbox.id, fence: token });
      this.#unmade.delete(mailbox.id);
      poller.start();
    } catch (thrown) {
      // One mailbox that cannot be set up must not keep the others waiting.
      const { code, message } = asPenstockError(thrown);
      await releaseLease(this.#context.db, mailbox.id, token);
      // It is looked at again at each review; people are told once.
      const why = `${mailbox.changeSeq} ${message}`;
      if (this.#unmade.get(mailbox.id) === why) return;
      this.#unmade.set(mailbox.id, why);
      await saveMailboxError(this.#context.db, mailbox.id, code, message);
      await savePhase(this.#context.db, mailbox.id, 'blocked');
      this.#context.events.emit('mailbox.blocked', { mailbox: mailbox.id, code, message });
    }
  }

  async #drop(id: number, release: boolean): Promise<void> {
    const poller = this.#pollers.get(id);
    if (poller === undefined) return;
    this.#pollers.delete(id);
    await poller.stop();
    if (release) await releaseLease(this.#context.db, id, poller.held.leaseToken);
  }
}
