/**
 * The handler of a job: claim rows, load bytes, analyse, decide, commit. It never fails a job: what goes wrong
 * is written to the rows, and the sweeper does the rest.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Wanting } from '../deliver/destination.ts';
import { asPenstockError, PenstockError } from '../errors.ts';
import { crashPoint } from '../lab/crash-point.ts';
import { LIMITS } from '../limits.ts';
import type { Events, Stage } from '../observe/events.ts';
import type { JobData } from '../queue/job.ts';
import type { RawStore } from '../raw/raw-store.ts';
import type { Database } from '../store/database.ts';
import { queueDeliveries } from '../store/deliveries.ts';
import { type ClaimedEmail, claimEmails, renewClaims, returnClaims, saveFailure } from '../store/emails.ts';
import { appendTraces } from '../store/ledger.ts';
import { isOutage } from '../store/outage.ts';
import { type Analysis, type AnalysisFailure, isFailure } from './analysis.ts';
import {
  type AnalysisPool,
  analyseEach,
  type MessageTask,
  runTask,
  type Timeouts,
} from './analysis-runner.ts';
import { commitOutcomes } from './commit.ts';
import { deliveriesOf, quarantineEvent } from './outcome-event.ts';
import { OverrunCounter, switchOff } from './overruns.ts';
import type { ProcessingPolicy } from './policy.ts';
import { afterFailure, errorFingerprint } from './retry.ts';
import type { CachedRules, RuleCache } from './rule-cache.ts';
import { Turns } from './turns.ts';

export interface ProcessorOptions {
  db: Database;
  raw: RawStore;
  events: Events;
  rules: RuleCache;
  pool: AnalysisPool;
  timeouts: Timeouts;
  instanceId: string;
  /** The mailbox's and the daemon's settings that decide outcomes. */
  policyOf(mailboxId: number): Promise<ProcessingPolicy>;
  /** Those that are told of outcomes. */
  destinations(): Promise<readonly Wanting[]>;
}

/** A database that is away must not empty the queue in no time, with an error for each job. */
const OUTAGE_PAUSE_MS = 1_000;

export class Processor {
  readonly #options: ProcessorOptions;
  /** Jobs in work, with the records that they hold. */
  readonly #running = new Map<Promise<void>, ClaimedEmail[]>();
  readonly #turns = new Turns();
  readonly #suspects = new Turns();
  readonly #overruns = new OverrunCounter();
  #stopping = false;

  constructor(options: ProcessorOptions) {
    this.#options = options;
  }

  /**
   * Handles one job. Ids that others hold, or that are finished, are left out; so are those that were taken before,
   * unless the job is one to take them alone.
   */
  async handle(job: JobData): Promise<void> {
    if (this.#stopping) return;
    const emails: ClaimedEmail[] = [];
    const run = job.alone ? this.#suspects.take(0, () => this.#runEach(job, emails)) : this.#run(job, emails);
    this.#running.set(run, emails);
    await run;
    this.#running.delete(run);
  }

  /**
   * Takes no more jobs, and waits for those that run. What is not finished after `graceMs` is given back: another
   * process, or the next start, goes on with it.
   */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    const late = new AbortController();
    await Promise.race([
      Promise.all(this.#running.keys()),
      sleep(graceMs, undefined, { signal: late.signal }).catch(() => undefined),
    ]);
    late.abort();
    // When that fails the claims expire.
    await returnClaims(this.#options.db, [...this.#running.values()].flat()).catch(() => undefined);
  }

  /** One after the other: when the process dies, only one of those that may have ended it is in hand. */
  async #runEach(job: JobData, emails: ClaimedEmail[]): Promise<void> {
    for (const id of job.ids) if (!this.#stopping) await this.#run({ ...job, ids: [id] }, emails);
  }

  /** Never fails. Puts what it claims into `held`. */
  async #run(job: JobData, held: ClaimedEmail[]): Promise<void> {
    const { db, events } = this.#options;
    let emails: ClaimedEmail[] = [];
    try {
      emails = await claimEmails(db, job.ids, LIMITS.claimSeconds, job.alone ? 'any' : 'fresh');
      held.push(...emails);
      if (emails.length === 0) return;
      crashPoint('after-claim');
      await this.#process(job.mailbox, emails);
    } catch (error) {
      // The database is away: nobody's message is at fault, so no attempt is used up.
      await returnClaims(db, emails).catch(() => undefined);
      // A thread that was ended by the stop is no error.
      if (this.#stopping) return;
      events.emit('engine.error', { engine: 'database', message: (error as Error).message });
      await sleep(OUTAGE_PAUSE_MS);
    }
  }

  async #process(mailboxId: number, claimed: ClaimedEmail[]): Promise<void> {
    const spent = claimed.filter((email) => email.attempts > LIMITS.processingAttempts);
    for (const email of spent) {
      const message = `Processing ended without a result ${LIMITS.processingAttempts} times; the process may have died of it.`;
      await this.#fail(email, 'parse', new PenstockError('parse_failed', message));
    }
    const emails = claimed.filter((email) => email.attempts <= LIMITS.processingAttempts);
    if (emails.length === 0) return;
    const rules = await this.#options.rules.current();
    const policy = await this.#options.policyOf(mailboxId);
    const results = await this.#analyse(mailboxId, emails, rules, policy.ownAddresses);
    crashPoint('after-analysis');

    const byId = new Map(emails.map((email) => [email.id, email]));
    const done = results.filter((result) => !isFailure(result)) as Analysis[];
    for (const result of results) {
      if (!isFailure(result)) continue;
      const stage = result.code === 'raw_missing' ? 'load' : 'parse';
      await this.#fail(byId.get(result.id)!, stage, new PenstockError(result.code, result.message));
    }
    if (done.length === 0) return;
    this.#time('parse', done, (analysis) => analysis.parseMs);
    this.#time('match', done, (analysis) => analysis.matchMs);
    // The database lets one decide at a time for a mailbox; waiting here costs no connection.
    await this.#turns.take(mailboxId, async () => {
      const started = performance.now();
      await this.#commit(policy, rules, done, byId);
      const milliseconds = performance.now() - started;
      this.#options.events.emit('stage.timed', { stage: 'commit', milliseconds, messages: done.length });
    });
    for (const [ruleId, count] of this.#overruns.note(done.map(({ match }) => match)))
      await switchOff(this.#options, rules, ruleId, count);
  }

  async #analyse(
    mailboxId: number,
    claimed: ClaimedEmail[],
    rules: CachedRules,
    ownAddresses: string[],
  ): Promise<(Analysis | AnalysisFailure)[]> {
    const { raw, pool, timeouts, instanceId, db, events } = this.#options;
    const started = performance.now();
    const found = await raw.find(claimed.map((email) => email.rawSha256));
    const location = (email: ClaimedEmail) => found.get(email.rawSha256.toString('hex'));
    const emails = claimed.filter((email) => location(email) !== undefined);
    const lost = claimed.filter((email) => location(email) === undefined).map(lostBytes);
    events.emit('stage.timed', {
      stage: 'load',
      milliseconds: performance.now() - started,
      messages: claimed.length,
    });
    if (emails.length === 0) return lost;
    const task: MessageTask = {
      messages: emails.map((email) => ({ id: email.id, raw: location(email)! })),
      sizes: new Map(emails.map((email) => [email.id, email.size])),
      mailboxId,
      ownAddresses,
      instanceId,
    };
    const renew = (): Promise<void> => renewClaims(db, emails, LIMITS.claimSeconds);
    if (emails.every((email) => email.attempts === 1)) {
      try {
        return [...lost, ...(await runTask(pool, task, rules, timeouts))];
      } catch (error) {
        if (!(error instanceof PenstockError) || this.#stopping) throw error;
        const { code, message } = error;
        // Time may have passed because the machine stood still: that is found out by a second try.
        if (emails.length === 1 && code !== 'parse_timeout')
          return [...lost, { id: emails[0]!.id, code, message }];
      }
    }
    return [...lost, ...(await analyseEach(pool, task, rules, timeouts, renew))];
  }

  /** When the database does not take a batch for what is in it, one message is the reason: each is tried alone. */
  async #commit(
    policy: ProcessingPolicy,
    rules: CachedRules,
    analyses: Analysis[],
    emails: ReadonlyMap<number, ClaimedEmail>,
  ): Promise<void> {
    try {
      const { db, events } = this.#options;
      const destinations = await this.#options.destinations();
      await commitOutcomes({ db, events, destinations }, policy, rules, analyses, emails);
    } catch (error) {
      if (isOutage(error)) throw error;
      if (analyses.length === 1)
        return await this.#fail(emails.get(analyses[0]!.id)!, 'commit', asPenstockError(error));
      for (const analysis of analyses) await this.#commit(policy, rules, [analysis], emails);
    }
  }

  async #fail(email: ClaimedEmail, stage: Stage, error: PenstockError): Promise<void> {
    const { db, events } = this.#options;
    const next = afterFailure(error, email.attempts, Math.random());
    const final = next.retryInSeconds === null;
    const { code, message } = error;
    const told = final ? await this.#options.destinations() : [];
    const deliveries = deliveriesOf(
      [{ event: quarantineEvent(email, { stage, code, message }), ledgerId: email.ledgerId }],
      told,
    );
    const written = await db.transaction().execute(async (tx) => {
      const fingerprint = errorFingerprint(code, stage, message);
      if (
        !(await saveFailure(tx, {
          id: email.id,
          claim: email.claim,
          code,
          stage,
          message,
          fingerprint,
          ...next,
        }))
      )
        return false;
      const event = { event: 'failed' as const, stage, code, message, attempts: email.attempts, final };
      await appendTraces(tx, [{ ledgerId: email.ledgerId, events: [event] }]);
      await queueDeliveries(tx, deliveries);
      return true;
    });
    if (!written) return;
    if (deliveries.length > 0) events.emit('delivery.queued', { deliveries: deliveries.length });
    const data = { mailbox: email.mailboxId, id: email.id, stage, code, message };
    if (final) events.emit('message.quarantined', data);
    else events.emit('message.retrying', { ...data, attempts: email.attempts });
  }

  #time(stage: Stage, analyses: Analysis[], pick: (analysis: Analysis) => number): void {
    const milliseconds = analyses.reduce((sum, analysis) => sum + pick(analysis), 0);
    this.#options.events.emit('stage.timed', { stage, milliseconds, messages: analyses.length });
  }
}

function lostBytes({ id, rawSha256 }: ClaimedEmail): AnalysisFailure {
  return {
    id,
    code: 'raw_missing',
    message: `No bytes are stored for ${rawSha256.toString('hex')}, or they have changed.`,
  };
}
