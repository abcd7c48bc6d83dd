/**
 * Brings the outbox to its destinations: claims what is due, sends it, writes down what became of it. At least once, and
 * with an id that stays the same, so that a receiver can tell. The rows are the truth: a process that dies leaves claims
 * that expire.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asPenstockError, type PenstockError } from '../errors.ts';
import { crashPoint } from '../lab/crash-point.ts';
import { LIMITS } from '../limits.ts';
import type { Events } from '../observe/events.ts';
import type { TraceEvent } from '../observe/trace.ts';
import type { Database, Tx } from '../store/database.ts';
import {
  type ClaimedDelivery,
  claimDeliveries,
  dueDestinations,
  returnDeliveries,
  saveDelivery,
  saveExternalTicketId,
} from '../store/deliveries.ts';
import {
  type Destination,
  disableDestination,
  lockDestination,
  noteDelivered,
  noteFailed,
} from '../store/destinations.ts';
import { appendTraces } from '../store/ledger.ts';
import { openSeconds, retryAfterFailure } from './schedule.ts';
import type { Sender } from './sender.ts';
import { judgeError, type Verdict } from './verdict.ts';

/** Other processes' outcomes, and attempts that become due, are seen within this time. */
const LOOK_EVERY_MS = 1_000;

export class Deliverer {
  readonly #db: Database;
  readonly #events: Events;
  readonly #sender: Sender;
  readonly #random: () => number;
  readonly #running = new Map<Promise<void>, ClaimedDelivery>();
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> | null = null;
  #lookAgain = false;
  #stopping = false;

  constructor(db: Database, events: Events, sender: Sender, random: () => number = Math.random) {
    this.#db = db;
    this.#events = events;
    this.#sender = sender;
    this.#random = random;
  }

  start(): void {
    // Those of this process are heard of at once.
    this.#events.listen((name) => {
      if (name === 'delivery.queued') this.nudge();
    });
    this.#timer = setInterval(() => this.nudge(), LOOK_EVERY_MS);
  }

  /** Looks for something due, now. */
  nudge(): void {
    if (this.#stopping) return;
    this.#lookAgain = true;
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
  }

  /** Delivers everything that is due, and returns when nothing is under way any more. For those that have no daemon. */
  async run(): Promise<void> {
    do {
      this.nudge();
      await this.#looking;
      await Promise.all(this.#running.keys());
      await this.#looking;
    } while (this.#running.size > 0);
  }

  /** Takes nothing more, and waits for what is under way. What is not done after `graceMs` is let go. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#looking;
    const late = new AbortController();
    await Promise.race([
      Promise.all(this.#running.keys()),
      sleep(graceMs, undefined, { signal: late.signal }).catch(() => undefined),
    ]);
    late.abort();
    // When that fails the claims expire.
    await returnDeliveries(this.#db, [...this.#running.values()]).catch(() => undefined);
  }

  async #look(): Promise<void> {
    try {
      while (this.#lookAgain && !this.#stopping) {
        this.#lookAgain = false;
        for (const id of await dueDestinations(this.#db)) {
          for (const delivery of await claimDeliveries(this.#db, id)) this.#begin(delivery);
        }
      }
    } catch (error) {
      if (!this.#stopping)
        this.#events.emit('engine.error', { engine: 'database', message: (error as Error).message });
    }
  }

  #begin(delivery: ClaimedDelivery): void {
    crashPoint('after-delivery-claim');
    const run = this.#deliver(delivery)
      .catch((error: Error) => {
        // The claim expires, and the delivery is made again under its id.
        if (!this.#stopping)
          this.#events.emit('engine.error', { engine: 'database', message: error.message });
      })
      .finally(() => {
        this.#running.delete(run);
        this.nudge();
      });
    this.#running.set(run, delivery);
  }

  async #deliver(delivery: ClaimedDelivery): Promise<void> {
    const verdict = await this.#attempt(delivery);
    crashPoint('after-delivery');
    const told = await this.#db.transaction().execute(async (tx) => {
      // The destination first, as whoever claims does: in another order they would wait for each other.
      const destination = await lockDestination(tx, delivery.destinationId);
      return destination === null ? [] : await this.#write(tx, destination, delivery, verdict);
    });
    for (const tell of told) tell();
  }

  async #attempt(delivery: ClaimedDelivery): Promise<Verdict> {
    try {
      return await this.#sender.send(delivery);
    } catch (thrown) {
      return judgeError(asPenstockError(thrown));
    }
  }

  /** Writes what became of an attempt. Returns what is to be told after the commit. */
  async #write(
    tx: Tx,
    destination: Destination,
    delivery: ClaimedDelivery,
    verdict: Verdict,
  ): Promise<(() => void)[]> {
    switch (verdict.kind) {
      case 'delivered':
        return await this.#delivered(tx, destination, delivery, verdict.reference);
      case 'dead':
        return await this.#dead(tx, destination, delivery, verdict.error);
      case 'gone': {
        const { error } = verdict;
        const told = await this.#wait(tx, destination, delivery, error, { seconds: 0, counts: false });
        if (told.length === 0) return [];
        await disableDestination(tx, destination.id, error.message);
        const data = { destination: destination.id, message: error.message };
        return [...told, () => this.#events.emit('destination.disabled', data)];
      }
      case 'blocked': {
        const wait = { seconds: LIMITS.breakerSecondsMost, counts: false, alone: LIMITS.breakerSecondsMost };
        return await this.#wait(tx, destination, delivery, verdict.error, wait);
      }
      case 'retry': {
        const seconds = retryAfterFailure(delivery.attempts, delivery.ageSeconds, this.#random());
        if (seconds === null) return await this.#dead(tx, destination, delivery, verdict.error);
        const { waitSeconds } = verdict;
        // Whoever says when to come back is not out of order.
        const wait =
          waitSeconds === null
            ? { seconds, counts: true, breaker: true }
            : { seconds: waitSeconds, counts: true, alone: waitSeconds };
        return await this.#wait(tx, destination, delivery, verdict.error, wait);
      }
    }
  }

  async #delivered(
    tx: Tx,
    destination: Destination,
    delivery: ClaimedDelivery,
    reference: string | null,
  ): Promise<(() => void)[]> {
    if (!(await saveDelivery(tx, delivery, { state: 'delivered', reference }))) return [];
    const { id, ticketId, attempts, event, createdAt } = delivery;
    if (reference !== null && ticketId !== null)
      await saveExternalTicketId(tx, ticketId, destination.id, reference);
    await trace(tx, delivery, {
      event: 'delivered',
      destination: { id: destination.id, name: destination.name },
      type: event.type,
      attempts,
      reference,
    });
    const { wasOpen } = await noteDelivered(tx, destination.id);
    const seconds = Math.max(0, (Date.now() - createdAt.getTime()) / 1000);
    const data = { destination: destination.id, id, type: event.type, attempts, seconds };
    return [
      () => this.#events.emit('delivery.delivered', data),
      ...(wasOpen ? [() => this.#events.emit('destination.recovered', { destination: destination.id })] : []),
    ];
  }

  async #dead(
    tx: Tx,
    destination: Destination,
    delivery: ClaimedDelivery,
    { code, message }: PenstockError,
  ): Promise<(() => void)[]> {
    if (!(await saveDelivery(tx, delivery, { state: 'dead', code, message }))) return [];
    const { id, attempts, event } = delivery;
    await trace(tx, delivery, {
      event: 'undeliverable',
      destination: { id: destination.id, name: destination.name },
      type: event.type,
      attempts,
      code,
      message,
    });
    await noteFailed(tx, { id: destination.id, code, message, counts: false, openSeconds: () => 0 });
    const data = { destination: destination.id, id, code, message, attempts };
    return [() => this.#events.emit('delivery.dead', data)];
  }

  /** The delivery stays. `alone`: for so long nothing is sent to the destination; `breaker`: as the breaker says. */
  async #wait(
    tx: Tx,
    destination: Destination,
    delivery: ClaimedDelivery,
    { code, message }: PenstockError,
    wait: { seconds: number; counts: boolean; alone?: number; breaker?: boolean },
  ): Promise<(() => void)[]> {
    const { seconds: waitSeconds, counts } = wait;
    if (!(await saveDelivery(tx, delivery, { state: 'pending', code, message, waitSeconds, counts })))
      return [];
    const { consecutive, openSeconds: seconds } = await noteFailed(tx, {
      id: destination.id,
      code,
      message,
      counts: wait.breaker === true,
      openSeconds: (failures) =>
        wait.breaker === true ? openSeconds(failures, this.#random()) : (wait.alone ?? 0),
    });
    const { id, attempts } = delivery;
    const data = { destination: destination.id, id, code, message, attempts, retryInSeconds: waitSeconds };
    return [
      () => this.#events.emit('delivery.failed', data),
      ...(seconds > 0
        ? [
            () =>
              this.#events.emit('destination.left_alone', {
                destination: destination.id,
                consecutive,
                seconds,
                code,
              }),
          ]
        : []),
    ];
  }
}

async function trace(tx: Tx, { ledgerId }: ClaimedDelivery, event: TraceEvent): Promise<void> {
  await appendTraces(tx, [{ ledgerId, events: [event] }]);
}
