/**
 * One installation for tests of the whole pipe: a lab mail server, a database, a queue, a data directory, and the
 * questions that prove exactly-once. What runs on it comes and goes: see pipe.ts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { onTestFinished } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/settings.ts';
import { auditMailbox } from '../../src/intake/audit.ts';
import { LabImapServer } from '../../src/lab/imap/server.ts';
import type { DeliverOptions } from '../../src/lab/mail-store.ts';
import { LabPop3Server } from '../../src/lab/pop3/server.ts';
import { secretOwner } from '../../src/mailbox-source.ts';
import { openRuntime, type Runtime } from '../../src/runtime.ts';
import { defaultMailboxSettings, type MailboxSettings } from '../../src/store/mailbox-settings.ts';
import { createMailbox, listMailboxes, type Mailbox } from '../../src/store/mailboxes.ts';
import { writeSecret } from '../../src/store/secrets.ts';
import type { EmailState } from '../../src/store/states.ts';
import { readTrace } from '../../src/store/traces.ts';
import { onCleanup } from './cleanup.ts';
import { tempFolder } from './folder.ts';
import { createTestDatabase } from './postgres.ts';
import { startRedis, type TestRedis } from './redis.ts';

export const BACKENDS = ['postgres', 'redis'] as const;
export type Backend = (typeof BACKENDS)[number];

export interface SiteOptions {
  backend: Backend;
  /** Another database than a copy of the template. `embedded`: the daemon's own; see {@link Site.attach}. */
  databaseUrl?: string | 'embedded';
}

/** A record, as far as the tests look at it. */
export interface EmailRow {
  id: number;
  mailbox: number;
  ledgerId: number;
  key: string;
  state: EmailState;
  subject: string;
  sha256: Buffer;
  errorCode: string | null;
  errorStage: string | null;
  errorMessage: string | null;
  attempts: number;
  ticketId: number | null;
}

/** What became of a record, for the message of an assertion about its state. */
export function fateOf({ subject, attempts, errorStage, errorCode, errorMessage }: EmailRow): string {
  const why = errorCode === null ? '' : `, ${errorStage}: ${errorCode}, ${errorMessage}`;
  return `state of ${subject} (attempt ${attempts}${why})`;
}

/** Limits for a very busy machine; no test comes near them on another. */
const SETTLE_MS = 60_000;
const REDIS_DATABASES = 16;

let startedRedis: Promise<TestRedis> | undefined;
let redisDatabase = 0;

/** One server for all tests of a file. */
function redisOfFile(): Promise<TestRedis> {
  if (startedRedis === undefined) {
    startedRedis = startRedis();
    onCleanup(() => {
      startedRedis = undefined;
    });
  }
  return startedRedis;
}

export class Site {
  readonly backend: Backend;
  readonly server = new LabImapServer();
  /** Serves the same mail over POP3, under unique-ids that equal the UIDs. */
  readonly pop3 = new LabPop3Server({ store: this.server.store });
  /** Everything that ever came in. */
  readonly delivered: { user: string; uid: number; bytes: Buffer }[] = [];
  readonly redis: TestRedis | null;
  readonly env: Record<string, string>;
  #runtime: Runtime | null = null;

  private constructor(backend: Backend, redis: TestRedis | null, env: Record<string, string>) {
    this.backend = backend;
    this.redis = redis;
    this.env = env;
  }

  /** Ends with the test. */
  static async start(options: SiteOptions): Promise<Site> {
    const { databaseUrl } = options;
    const own = databaseUrl === undefined ? await createTestDatabase() : null;
    const env: Record<string, string> = {
      PENSTOCK_DATA: await tempFolder('site'),
      DATABASE_URL: databaseUrl === 'embedded' ? '' : (databaseUrl ?? own!.url),
      PENSTOCK_LEASE_SECONDS: '2',
      PENSTOCK_WORKER_THREADS: '1',
    };
    const redis = options.backend === 'redis' ? await redisOfFile() : null;
    if (redis !== null) {
      // Queues of earlier tests may still have jobs, and perhaps somebody who writes them.
      redisDatabase = (redisDatabase + 1) % REDIS_DATABASES;
      env.REDIS_URL = `${redis.url}/${redisDatabase}`;
    }
    const site = new Site(options.backend, redis, env);
    if (databaseUrl !== 'embedded') await site.attach();
    await site.server.start();
    await site.pop3.start();
    onTestFinished(async () => {
      site.server.faults.clear();
      site.pop3.faults.clear();
      await site.server.stop();
      await site.pop3.stop();
      await site.#runtime?.close();
      await own?.drop();
    });
    return site;
  }

  /** The test's own way to database and bytes; no part of what is tested. */
  get runtime(): Runtime {
    if (this.#runtime === null) throw new Error('Attach to the database first.');
    return this.#runtime;
  }

  /** Connects to the database; to an embedded one each time that a daemon has started on it. */
  async attach(): Promise<void> {
    await this.#runtime?.close();
    this.#runtime = await openRuntime(await this.config(), { borrow: true, onError: () => {} });
  }

  /** The configuration of a process on this site. */
  async config(changes: Record<string, string> = {}): Promise<Config> {
    return await configOf({ ...this.env, ...changes });
  }

  /** A mailbox of the user with this name, enabled. It polls every second, and hears of news at once. */
  async addMailbox(
    user: string,
    changes: Partial<Omit<MailboxSettings, 'server'>> = {},
    kind: 'imap' | 'pop3' = 'imap',
  ): Promise<Mailbox> {
    this.server.addUser(user, { password: 'secret' });
    const { server, ...rest } = defaultMailboxSettings('127.0.0.1', user, kind);
    const { port } = kind === 'imap' ? this.server : this.pop3;
    const settings: MailboxSettings = {
      ...rest,
      server: { ...server, port, tls: 'none' },
      pollSeconds: 1,
      ...changes,
    };
    const { db, keys } = this.runtime;
    return await db.transaction().execute(async (tx) => {
      const mailbox = await createMailbox(tx, {
        name: user,
        kind,
        enabled: true,
        settings,
        halo: {},
      });
      await writeSecret(tx, keys, secretOwner(mailbox.id), 'password', 'secret');
      return mailbox;
    });
  }

  deliver(user: string, bytes: Buffer, options?: DeliverOptions): void {
    const { uid } = this.server.deliver(user, 'INBOX', bytes, options);
    this.delivered.push({ user, uid, bytes });
  }

  async emails(): Promise<EmailRow[]> {
    const { rows } = await sql<EmailRow>`
      select id, mailbox_id as mailbox, ledger_id as "ledgerId", mail_id as key, state, subject, raw_sha256 as sha256,
        error_code as "errorCode", error_stage as "errorStage",
        error_message as "errorMessage", attempts, ticket_id as "ticketId"
      from incoming_email order by id`.execute(this.runtime.db);
    return rows;
  }

  /** Records by state. */
  async states(): Promise<Partial<Record<EmailState, number>>> {
    const counts: Partial<Record<EmailState, number>> = {};
    for (const { state } of await this.emails()) counts[state] = (counts[state] ?? 0) + 1;
    return counts;
  }

  /** The exact bytes of a record, checked against their digest. */
  async rawBytes(email: { sha256: Buffer }): Promise<Buffer> {
    return await this.runtime.raw.read(email.sha256);
  }

  async trace(email: { ledgerId: number }) {
    return await readTrace(this.runtime.db, email.ledgerId);
  }

  /** What `penstock audit` would say, over all mailboxes. */
  async audit(): Promise<{ listed: number; unaccounted: number }> {
    const { db, sources } = this.runtime;
    let listed = 0;
    let unaccounted = 0;
    for (const mailbox of await listMailboxes(db)) {
      const source = await sources.source(mailbox);
      const result = await auditMailbox(db, source, mailbox, 0, AbortSignal.timeout(SETTLE_MS));
      listed += result.listed;
      unaccounted += result.unaccounted.length;
    }
    return { listed, unaccounted };
  }

  /**
   * Waits until everything delivered is in the ledger and nothing is left to do for any of it. `meanwhile` is called
   * again and again.
   */
  async waitUntilProcessed(meanwhile?: () => Promise<void>): Promise<void> {
    const messages = this.delivered.length;
    const open = async () => {
      const { rows } = await sql<{
        ledger: number;
        fetching: number;
        disposing: number;
        processing: number;
        reasons: string[] | null;
      }>`
        select (select count(*)::int from ledger) as ledger,
          (select array_agg(distinct reason) from ledger where state = 'pending') as reasons,
          (select count(*)::int from ledger where state = 'pending') as fetching,
          (select count(*)::int from ledger where disposition = 'pending') as disposing,
          (select count(*)::int from incoming_email
            where state in ('queued', 'retrying', 'waiting')) as processing`.execute(this.runtime.db);
      return rows[0]!;
    };
    await until(
      async () => {
        await meanwhile?.();
        const { ledger, fetching, disposing, processing } = await open();
        return ledger >= messages && fetching + disposing + processing === 0;
      },
      async () => `not settled: ${JSON.stringify({ wanted: messages, ...(await open()) })}`,
    );
  }

  /** Messages that were changed on the server or left their inbox, and those of them that no row names. */
  async touched(): Promise<{ count: number; withoutRow: string[] }> {
    const { rows } = await sql<{ name: string }>`
      select mailbox.name || ' ' || ledger.key as name from ledger
      join mailbox on mailbox.id = ledger.mailbox_id`.execute(this.runtime.db);
    const known = new Set(rows.map(({ name }) => name));
    const touched = this.delivered.filter(({ user, uid }) => {
      const there = this.server.messages(user).find((message) => message.uid === uid);
      return there === undefined || there.flags.has('\\Seen');
    });
    const names = touched.map(({ user, uid }) => `${user} ${uid}`);
    return { count: names.length, withoutRow: names.filter((name) => !known.has(name)) };
  }

  /**
   * Lets so much time pass for all that the database has a clock for: leases, claims, lost jobs. Nothing that
   * waits on a timer of its own is hurried.
   */
  async passTime(seconds: number): Promise<void> {
    const ago = sql`make_interval(secs => ${seconds})`;
    const { db } = this.runtime;
    await sql`update lease set expires_at = expires_at - ${ago}`.execute(db);
    await sql`
      update incoming_email set enqueued_at = enqueued_at - ${ago}, claimed_until = claimed_until - ${ago},
        next_attempt_at = next_attempt_at - ${ago}`.execute(db);
    await this.hurryRetries();
  }

  /** What waits for its next attempt at the mail server is due now. */
  async hurryRetries(): Promise<void> {
    await sql`
      update ledger set next_fetch_at = least(next_fetch_at, now()), next_disposition_at = least(next_disposition_at, now())
      where state = 'pending' or disposition = 'pending'`.execute(this.runtime.db);
  }

  /** Takes every job away, as FLUSHALL does. */
  async emptyQueue(): Promise<void> {
    if (this.redis !== null) await this.redis.flushAll();
    else await sql`truncate bullmq.job cascade`.execute(this.runtime.db);
  }
}

/** Waits until `done` says so. The time is a limit for a machine that is very busy, not part of any test. */
export async function until(
  done: () => Promise<boolean> | boolean,
  why: () => Promise<string> | string = () => 'it did not happen',
): Promise<void> {
  const deadline = performance.now() + SETTLE_MS;
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error(await why());
    await sleep(25);
  }
}

async function configOf(env: Record<string, string>): Promise<Config> {
  return (await loadConfig(env)).config;
}
