/** `penstock doctor`: looks at every part and says what to change. */
import { access, constants, stat, statfs } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/settings.ts';
import { asPenstockError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { checkRedis } from '../queue/queue.ts';
import { openRuntime, type Runtime } from '../runtime.ts';
import { backlog } from '../store/emails.ts';
import { listMailboxes } from '../store/mailboxes.ts';
import { EXIT } from './exit.ts';
import { table } from './table.ts';
import { print } from './with-runtime.ts';

interface Finding {
  part: string;
  ok: boolean;
  found: string;
  advice: string | null;
}

const CLOCK_TOLERANCE_MS = 2_000;
const DIAGNOSIS_MS = 30_000;
/** Of which the files are looked for. */
const NEWEST_MESSAGES = 1_000;

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('Check engines, disk, clock, keys, files of messages, queue and mailboxes')
    .option('--no-mailboxes', 'do not connect to mail servers')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExit code: 0 when all is well, 1 when not.\n\nExample:\n  penstock doctor')
    .action(async (options: { mailboxes: boolean; json?: boolean }) => {
      const findings = await examine(options.mailboxes);
      print(options.json, findings, () =>
        table(
          ['', 'part', 'found'],
          findings.map((row) => [
            row.ok ? 'ok' : 'FAIL',
            row.part,
            row.advice === null ? row.found : `${row.found} -> ${row.advice}`,
          ]),
          // Advice that is cut off is none.
          { maxCellWidth: Number.POSITIVE_INFINITY },
        ),
      );
      if (findings.some((row) => !row.ok)) process.exitCode = EXIT.negative;
    });
}

async function examine(withMailboxes: boolean): Promise<Finding[]> {
  const { config, file } = await loadConfig();
  const findings: Finding[] = [good('configuration', file ?? 'defaults and environment')];
  findings.push(await tried('disk', () => disk(config)));
  let runtime: Runtime;
  try {
    runtime = await openRuntime(config, { borrow: true, onError: () => undefined });
  } catch (error) {
    return [...findings, bad('database', error)];
  }
  try {
    findings.push(
      good('database', `${runtime.embedded ? 'embedded' : 'server'}, ${await databaseVersion(runtime)}`),
    );
    findings.push(await tried('clock', () => clock(runtime)));
    findings.push(await tried('keys', () => keys(runtime)));
    findings.push(await tried('messages', () => messages(runtime)));
    findings.push(await tried('queue', () => queue(config)));
    findings.push(await tried('backlog', () => waiting(runtime)));
    if (withMailboxes) findings.push(...(await mailboxes(runtime)));
  } finally {
    await runtime.close();
  }
  return findings;
}

async function disk(config: Config): Promise<Finding> {
  const directory = resolve(config.data);
  await access(directory, constants.W_OK);
  const { bavail, bsize } = await statfs(directory);
  const found = `${Math.round((bavail * bsize) / 1_048_576)} MB free in ${directory}`;
  if (bavail * bsize >= LIMITS.diskFreeBytes) return good('disk', found);
  return { part: 'disk', ok: false, found, advice: 'Free space: intake pauses until there is more.' };
}

async function databaseVersion({ connection }: Runtime): Promise<string> {
  const { rows } = await connection.pool.query<{ server_version: string }>('show server_version');
  return `PostgreSQL ${rows[0]?.server_version ?? '?'}`;
}

/** Leases go by the database's clock, logs by ours: they should tell the same time. */
async function clock({ connection }: Runtime): Promise<Finding> {
  const before = Date.now();
  const { rows } = await connection.pool.query<{ now: Date }>('select clock_timestamp() as now');
  const skew = Math.abs(rows[0]!.now.getTime() - (before + Date.now()) / 2);
  const found = `${Math.round(skew)} ms from the database's clock`;
  if (skew <= CLOCK_TOLERANCE_MS) return good('clock', found);
  return { part: 'clock', ok: false, found, advice: 'Synchronise both machines (NTP).' };
}

async function keys({ keyFile, keys: ring, db }: Runtime): Promise<Finding> {
  const { mode } = await stat(keyFile);
  const rows = await db.selectFrom('secret').selectAll().execute();
  for (const row of rows) {
    ring.open(
      { keyId: row.key_id, nonce: row.nonce, ciphertext: row.ciphertext },
      `${row.owner}/${row.name}`,
    );
  }
  const found = `${rows.length} secrets decrypt with ${keyFile}`;
  if ((mode & 0o077) === 0) return good('keys', found);
  return {
    part: 'keys',
    ok: false,
    found: `${keyFile} can be read by others`,
    advice: `chmod 600 ${keyFile}`,
  };
}

/** Half a restore shows here, and a machine that shares the database with others but not the data directory. */
async function messages({ raw, dataDirectory }: Runtime): Promise<Finding> {
  const { files, missing } = await raw.files.countMissing(NEWEST_MESSAGES);
  const found = `${files - missing} of ${files} files of the newest ${NEWEST_MESSAGES} messages are in ${dataDirectory}`;
  if (missing === 0) return good('messages', found);
  const advice =
    'Restore raw/ from the backup of this database; processes on several machines share one data directory.';
  return { part: 'messages', ok: false, found, advice };
}

async function queue(config: Config): Promise<Finding> {
  if (config.queue.redisUrl === null) return good('queue', 'in PostgreSQL');
  const warnings = await checkRedis(config.queue.redisUrl);
  if (warnings.length === 0) return good('queue', 'Redis, append-only, noeviction');
  return { part: 'queue', ok: false, found: 'Redis', advice: warnings.join(' ') };
}

async function waiting({ db }: Runtime): Promise<Finding> {
  const { waiting: count, oldestSeconds } = await backlog(db, LIMITS.queueDepth);
  return good('backlog', `${count} messages wait, the oldest for ${Math.round(oldestSeconds)} s`);
}

async function mailboxes(runtime: Runtime): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const mailbox of await listMailboxes(runtime.db)) {
    const part = `mailbox ${mailbox.id}`;
    if (!mailbox.enabled) {
      findings.push(good(part, `${mailbox.name}: paused`));
      continue;
    }
    findings.push(
      await tried(part, async () => {
        const source = await runtime.sources.source(mailbox);
        const steps = await source.diagnose(AbortSignal.timeout(DIAGNOSIS_MS));
        const failed = steps.find((step) => !step.ok);
        if (failed === undefined) return good(part, `${mailbox.name}: all ${steps.length} steps pass`);
        return {
          part,
          ok: false,
          found: `${mailbox.name}: ${failed.step}: ${failed.found}`,
          advice: failed.advice,
        };
      }),
    );
  }
  return findings;
}

async function tried(part: string, look: () => Promise<Finding>): Promise<Finding> {
  try {
    return await look();
  } catch (error) {
    return bad(part, error);
  }
}

function good(part: string, found: string): Finding {
  return { part, ok: true, found, advice: null };
}

function bad(part: string, thrown: unknown): Finding {
  const error = asPenstockError(thrown);
  return { part, ok: false, found: error.message, advice: error.hint };
}
