/**
 * The loop of one mailbox: connect, list every folder, bring the server up to date, then wait for the first of
 * a hint from the server, a person's wish, the poll interval. A hint only wakes; the poll always runs.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asPenstockError, type ErrorCode, fail, type PenstockError } from '../errors.ts';
import type { ListedBy } from '../observe/events.ts';
import type { Session, Source } from '../source/source.ts';
import { saveListed, saveMailboxError, saveMissingFolders, savePhase } from '../store/mailboxes.ts';
import type { MailboxPhase } from '../store/states.ts';
import { type BackoffState, backOff, NO_FAILURES, REFUSALS } from './backoff.ts';
import type { HeldMailbox, IntakeContext } from './context.ts';
import { FolderSync } from './folder-sync.ts';

/** A session that reached neither the server nor the database for this long is ended from outside. */
const STALL_MS = 5 * 60_000;
const CLOSE_DEADLINE_MS = 2_000;

export class Poller {
  readonly held: HeldMailbox;
  readonly #context: IntakeContext;
  readonly #source: Source;
  readonly #stop = new AbortController();
  #wake = new AbortController();
  #hint = new AbortController();
  #session: Session | null = null;
  #done: Promise<void> | null = null;
  #lastProgress = performance.now();
  #phase: MailboxPhase = 'idle';
  #backoff: BackoffState = NO_FAILURES;
  /** A failure was told of, and no recovery since. */
  #failing = false;
  /** When the first login after the last failure succeeded; sessions that were parted with are one life. */
  #aliveSince: number | null = null;
  /** What people were told that it waits for them; null when it does not. */
  #blockedBy: ErrorCode | null = null;
  /** Take messages one at a time: see PassOptions.careful. */
  #careful: boolean;
  /** Why the next listing begins. */
  #by: ListedBy = 'start';
  /** Folders that were not on the server at the last pass. */
  #missing: ReadonlySet<string> = new Set();

  constructor(context: IntakeContext, held: HeldMailbox, source: Source, afterCrash: boolean) {
    this.#context = context;
    this.held = held;
    this.#source = source;
    this.#careful = afterCrash;
  }

  start(): void {
    this.#done = this.#run();
  }

  /** Poll now. */
  wake(): void {
    this.#wake.abort();
  }

  /**
   * There may be mail. Unlike a wish of a person this does not cut a pause short: notifications come in hundreds, and a
   * server that asked us to wait must be left alone.
   */
  hint(): void {
    this.#hint.abort();
  }

  /** Ends the loop: between two batches when it can, and within a few seconds in any case. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.wake();
    const forced = sleep(CLOSE_DEADLINE_MS, undefined, { ref: false }).then(() => this.#session?.close());
    await Promise.race([this.#done, forced.then(() => this.#done)]);
  }

  /** Called by the supervisor: a session without progress is closed from outside, whatever it awaits. */
  async endIfStalled(): Promise<void> {
    const allowed = STALL_MS + this.held.mailbox.settings.pollSeconds * 1000;
    if (this.#session === null || performance.now() - this.#lastProgress < allowed) return;
    const session = this.#session;
    this.#session = null;
    await session.close();
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#hearWakes();
      try {
        await this.#enter('connecting');
        this.#progress();
        this.#session = await this.#source.connect(this.#stop.signal);
        this.#aliveSince ??= performance.now();
        await this.#poll(this.#session);
        await this.#close();
      } catch (thrown) {
        if (this.#stop.signal.aborted) break;
        const error = asPenstockError(thrown);
        if (error.code === 'lease_lost') break;
        await this.#close();
        const livedMs = this.#aliveSince === null ? 0 : performance.now() - this.#aliveSince;
        this.#aliveSince = null;
        await this.#pause(error, livedMs);
      }
    }
    await this.#close();
  }

  /** Polls on one session until it fails, is given up for others, or the mailbox is stopped. */
  async #poll(session: Session): Promise<void> {
    const { settings, id } = this.held.mailbox;
    while (!this.#stop.signal.aborted) {
      this.#hearWakes();
      const started = performance.now();
      const { added, missing } = await this.#listAll(session);
      this.#careful = false;
      this.#backoff = { ...this.#backoff, refusals: 0 };
      this.#blockedBy = null;
      this.#tellMissing(missing);
      const listening = settings.folders.find((path) => !missing.has(path));
      if (missing.size > 0) {
        const error = missingError([...missing]);
        await saveMissingFolders(this.#context.db, id, [...missing]);
        if (listening === undefined) throw error;
        await saveMailboxError(this.#context.db, id, error.code, error.message);
        await this.#enter('folder_missing');
      } else {
        if (this.#failing) {
          this.#failing = false;
          this.#context.events.emit('mailbox.recovered', { mailbox: id, failures: this.#backoff.failures });
        }
        await saveListed(this.#context.db, id);
        const milliseconds = Math.round(performance.now() - started);
        this.#context.events.emit('mailbox.listed', { mailbox: id, milliseconds, added, by: this.#by });
        await this.#enter('waiting');
      }
      this.#progress();
      // A folder that could not be opened has closed the one before it.
      if (listening !== undefined && listening !== settings.folders[0]) await session.open(listening);
      const woken = AbortSignal.any([this.#nextWake(), this.#hint.signal]);
      const heard = await session.wait(jitter(settings.pollSeconds * 1000), woken);
      if (this.#hint.signal.aborted) this.#by = 'notification';
      else if (this.#wake.signal.aborted) this.#by = 'request';
      else this.#by = heard === 'changed' ? 'server' : 'interval';
      this.#progress();
      if (heard === 'parted') return;
    }
  }

  /**
   * All folders; the first one last, because the wait listens on the folder that is open. One that is missing must not
   * keep the others from being read.
   */
  async #listAll(session: Session): Promise<{ added: number; missing: Set<string> }> {
    const [first, ...others] = this.held.mailbox.settings.folders;
    const missing = new Set<string>();
    let added = 0;
    for (const path of [...others, first!]) {
      try {
        const sync = await FolderSync.open(this.#context, this.held, session, path, {
          signal: this.#stop.signal,
          onProgress: () => this.#progress(),
          careful: this.#careful,
        });
        added += await sync.run();
      } catch (thrown) {
        const error = asPenstockError(thrown);
        if (error.code !== 'folder_missing') throw error;
        missing.add(path);
      }
      this.#progress();
    }
    return { added, missing };
  }

  /** Once for each folder: passes come every minute, and a folder may stay missing for days. */
  #tellMissing(missing: ReadonlySet<string>): void {
    const mailbox = this.held.mailbox.id;
    for (const folder of missing)
      if (!this.#missing.has(folder)) this.#context.events.emit('folder.missing', { mailbox, folder });
    for (const folder of this.#missing)
      if (!missing.has(folder)) this.#context.events.emit('folder.found', { mailbox, folder });
    this.#missing = missing;
  }

  async #pause(error: PenstockError, livedMs: number): Promise<void> {
    const { id } = this.held.mailbox;
    this.#by = 'start';
    const { state, waitMs, blocked } = backOff(this.#backoff, error, livedMs, Math.random());
    this.#backoff = state;
    this.#failing = true;
    // Twice on the same page, or the session names a message: that may be what breaks it.
    if (livedMs > 0 && (state.failures >= 2 || error.fields.suspectKey !== undefined)) this.#careful = true;
    const { code, message } = error;
    if (blocked) {
      // Told once: it is looked at now and then, but nothing new is known.
      if (this.#blockedBy !== code)
        this.#context.events.emit('mailbox.blocked', { mailbox: id, code, message });
      this.#blockedBy = code;
    } else {
      const consecutive = state.failures;
      this.#context.events.emit('mailbox.failed', {
        mailbox: id,
        code,
        message,
        retryInMs: Math.round(waitMs),
        consecutive,
      });
    }
    const phase = blocked ? (REFUSALS.has(code) ? 'auth_blocked' : 'blocked') : 'backing_off';
    try {
      await saveMailboxError(this.#context.db, id, code, message);
      await savePhase(this.#context.db, id, phase, waitMs);
      this.#phase = phase;
    } catch {
      // The database is away: that is the error being waited for.
    }
    await (this.#context.rest ?? rest)(waitMs, this.#nextWake());
  }

  /** A phase is stored when it changes; in the steady state that is once a poll or less. */
  async #enter(phase: MailboxPhase): Promise<void> {
    if (this.#phase === phase) return;
    this.#phase = phase;
    this.#context.events.emit('mailbox.phase', { mailbox: this.held.mailbox.id, phase });
    await savePhase(this.#context.db, this.held.mailbox.id, phase);
  }

  #nextWake(): AbortSignal {
    return AbortSignal.any([this.#wake.signal, this.#stop.signal]);
  }

  /** Wakes from now on are wishes for the pass after the one that begins; earlier ones are met by it. */
  #hearWakes(): void {
    if (this.#wake.signal.aborted) this.#wake = new AbortController();
    if (this.#hint.signal.aborted) this.#hint = new AbortController();
  }

  #progress(): void {
    this.#lastProgress = performance.now();
  }

  async #close(): Promise<void> {
    const session = this.#session;
    this.#session = null;
    await session?.close();
  }
}

function missingError(folders: string[]): PenstockError {
  const names = folders.map((folder) => `"${folder}"`).join(', ');
  return fail('folder_missing', `Not on the server: ${names}`);
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}

/** Spread, so that mailboxes on one host do not poll in step. */
function jitter(ms: number): number {
  return Math.round(ms * (0.9 + Math.random() * 0.2));
}
