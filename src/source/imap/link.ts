/**
 * One live imapflow connection under supervision. Every call through {@link Link.run} settles: with its result,
 * with an error of ours, or with `stalled` when its deadline has passed, in which case the socket is gone too.
 */
import type { ImapFlow } from 'imapflow';
import { fail, type PenstockError } from '../../errors.ts';
import { busyImapError, classifyImapError } from './errors.ts';

/** Shape of imapflow's log entries that matter here. */
interface LogEntry {
  msg?: unknown;
  err?: unknown;
  throttleDelay?: unknown;
}

type EndListener = (error: PenstockError) => void;

export class Link {
  #client: ImapFlow | null = null;
  #ended: PenstockError | null = null;
  #running: string | null = null;
  #refusal: unknown = null;
  /** We are about to close; the end of the connection is then no loss. */
  #parting: PenstockError | null = null;
  #ready = false;
  readonly #endListeners = new Set<EndListener>();

  /**
   * imapflow answers `false` for a refused command and tells the reason only to its log; and when the server
   * throttles, it stops reading for as long as the server asked, up to minutes. This log catches both.
   */
  readonly log = {
    isLevelEnabled: (level: string): boolean => level === 'warn',
    debug: (): void => {},
    info: (): void => {},
    warn: (entry: LogEntry): void => this.#noted(entry),
    error: (): void => {},
  };

  /** Takes the client over, with listeners that stay for its whole life. Before connect(). */
  adopt(client: ImapFlow): void {
    this.#client = client;
    client.on('error', (error) => this.end(this.classify(error, this.#running ?? 'waiting')));
    client.on('close', () => {
      if (this.#parting) return this.end(this.#parting);
      const reason = client.byeReason;
      const lost = { code: this.#ready ? 'NoConnection' : 'ClosedAfterConnectText', reason };
      this.end(this.classify(lost, this.#running ?? 'waiting'));
    });
  }

  get client(): ImapFlow {
    if (!this.#client) throw fail('internal', 'The link has no client yet');
    return this.#client;
  }

  /** The error that ended the connection; null while it lives. */
  get ended(): PenstockError | null {
    return this.#ended;
  }

  /** The login is done: from now on a broken connection is an interruption, not a failed attempt. */
  ready(): void {
    this.#ready = true;
  }

  classify(thrown: unknown, command: string): PenstockError {
    return classifyImapError(thrown, this.#ready ? 'connected' : 'connecting', command);
  }

  /** Why the last command was refused, from imapflow's log. */
  refusal(command: string): PenstockError {
    const why = this.#refusal ?? { responseStatus: 'NO', responseText: 'no reason given' };
    return this.classify(why, command);
  }

  /** Announces that the connection is about to end for this reason, by the other side's leave. */
  part(error: PenstockError): void {
    this.#parting = error;
  }

  /** Ends the connection for a reason that every pending and later call fails with. The first reason stays. */
  end(error: PenstockError): void {
    if (this.#ended) return;
    this.#ended = error;
    for (const listener of this.#endListeners) listener(error);
    this.#endListeners.clear();
    this.#client?.close();
  }

  /** Calls `listener` once when the connection ends, unless the returned function is called before. */
  onEnd(listener: EndListener): () => void {
    if (this.#ended) listener(this.#ended);
    else this.#endListeners.add(listener);
    return () => this.#endListeners.delete(listener);
  }

  /** Runs one call under a deadline of `ms`. */
  async run<T>(command: string, ms: number, call: (client: ImapFlow) => Promise<T>): Promise<T> {
    const release = this.acquire(command);
    try {
      return await this.within(command, ms, () => call(this.client));
    } finally {
      release();
    }
  }

  /**
   * Claims the connection for a call of several steps. IMAP commands queue behind one another, and a command sent
   * inside a loop over FETCH answers would wait for itself for ever; so a second call at the same time is refused.
   */
  acquire(command: string): () => void {
    if (this.#ended) throw this.#ended;
    if (this.#running !== null) {
      throw fail('internal', `${command} was called while ${this.#running} is still running on this session`);
    }
    this.#running = command;
    this.#refusal = null;
    return () => {
      this.#running = null;
    };
  }

  /** One step of a claimed call, under its own deadline. */
  async within<T>(command: string, ms: number, step: () => Promise<T>): Promise<T> {
    if (this.#ended) throw this.#ended;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const off = this.onEnd(reject);
    const timer = setTimeout(() => {
      this.end(fail('stalled', `No answer to ${command} within ${ms} ms`, { command, deadlineMs: ms }));
    }, ms);
    // After a deadline nobody waits for the step any more; `then` with both handlers keeps its end from being
    // an unhandled rejection.
    step().then(resolve, (error: unknown) => reject(this.#ended ?? this.classify(error, command)));
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      off();
    }
  }

  #noted(entry: LogEntry): void {
    if (entry.err) this.#refusal = entry.err;
    if (entry.msg !== 'Throttling detected') return;
    const backoffMs = typeof entry.throttleDelay === 'number' ? entry.throttleDelay : null;
    this.end(busyImapError('request is throttled', backoffMs, this.#running ?? 'waiting', entry.err));
  }
}
