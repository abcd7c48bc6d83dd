/** Housekeeping of the daemon: removal by age, and leftovers of crashes. */
import type { Events } from './observe/events.ts';
import type { RawStore } from './raw/raw-store.ts';
import type { Database } from './store/database.ts';
import { purgeDeliveries } from './store/deliveries.ts';
import { purgeProcessed, purgeSent } from './store/retention.ts';

const EVERY_MS = 60 * 60_000;
/** No transfer takes this long, and no commit comes so long after its file. */
const LEFTOVER_MS = 24 * 60 * 60_000;
/** Files without rows are rare, and looking for them asks about every file: once a day, and after a start. */
const RUNS_PER_ORPHAN_SEARCH = 24;

export class Maintenance {
  readonly #db: Database;
  readonly #raw: RawStore;
  readonly #events: Events;
  readonly #processedDays: number;
  #timer: NodeJS.Timeout | null = null;
  #turn: Promise<void> = Promise.resolve();
  #stopped = false;
  #runs = 0;

  constructor(db: Database, raw: RawStore, events: Events, processedDays: number) {
    this.#db = db;
    this.#raw = raw;
    this.#events = events;
    this.#processedDays = processedDays;
  }

  start(): void {
    this.#timer = setInterval(() => this.#next(), EVERY_MS);
    this.#next();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#turn;
  }

  #next(): void {
    this.#turn = this.#turn
      .then(() => this.run())
      .catch((error: Error) =>
        this.#events.emit('engine.error', { engine: 'database', message: error.message }),
      );
  }

  async run(): Promise<void> {
    await this.#raw.files.removeLeftovers(LEFTOVER_MS);
    if (this.#runs++ % RUNS_PER_ORPHAN_SEARCH === 0) {
      const files = await this.#raw.files.removeOrphans(LEFTOVER_MS);
      if (files > 0) this.#events.emit('raw.orphans_removed', { files });
    }
    if (this.#processedDays === 0) return;
    let emails = 0;
    let raw = 0;
    for (let more = true; more && !this.#stopped; ) {
      const purged = await purgeProcessed(this.#db, this.#processedDays);
      for (const sha256 of purged.files) await this.#raw.files.removeFile(sha256);
      await this.#raw.files.removePacks(purged.packs);
      emails += purged.emails;
      raw += purged.raw;
      more = purged.more;
    }
    let deliveries = 0;
    for (let more = true; more && !this.#stopped; ) {
      const purged = await purgeDeliveries(this.#db, this.#processedDays);
      deliveries += purged.deliveries;
      more = purged.more;
    }
    let sent = 0;
    for (let more = true; more && !this.#stopped; ) {
      const purged = await purgeSent(this.#db, this.#processedDays);
      sent += purged.sent;
      more = purged.more;
    }
    if (emails + deliveries + sent > 0)
      this.#events.emit('retention.purged', { emails, raw, deliveries, sent });
  }
}
