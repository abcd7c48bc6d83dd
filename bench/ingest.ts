/**
 * From a Dovecot mailbox of 10,000 messages with 100 rules, to all processed, stored and marked seen on the
 * server: `npm run bench`. Compares with mbsync and with a bare imapflow + mailparser loop on the same mailbox in
 * the same run. Needs what the tests need, and isync for mbsync.
 *
 *   npm run bench -- [--rounds 3] [--messages 10000] [--rules 100] [--singles 100] [--large 20] [--redis]
 *
 * A machine that others use too is faster in one minute and slower in the next. So there are several rounds, each with a
 * mailbox and a daemon of its own; the loop runs before and after the daemon, and a round is judged by itself.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ImapFlow } from 'imapflow';
import pg from 'pg';
import { connectionOfRunning } from '../src/store/engine/embedded-postgres.ts';
import { cleanUp } from '../test/support/cleanup.ts';
import { startDovecot } from '../test/support/dovecot.ts';
import { tempFolder } from '../test/support/folder.ts';
import { startPenstock } from '../test/support/process.ts';
import { startRedis } from '../test/support/redis.ts';
import { BenchApi } from './bench-api.ts';
import { benchRule, largeMessage, smallMessage } from './mail.ts';
import { descendants, peakMegabytes, quantile, sumCpu } from './measure.ts';

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    rounds: { type: 'string', default: '3' },
    messages: { type: 'string', default: '10000' },
    rules: { type: 'string', default: '100' },
    singles: { type: 'string', default: '100' },
    large: { type: 'string', default: '20' },
    redis: { type: 'boolean', default: false },
  },
});
const MESSAGES = Number(values.messages);
const COMPILE_CACHE = new URL('../node_modules/.cache/penstock', import.meta.url).pathname;
/** Node as `npm start` runs it. */
const NODE = { NODE_OPTIONS: startFlags(), NODE_COMPILE_CACHE: COMPILE_CACHE };
const PASSWORD = 'bench';
const LARGE_BYTES = 20 * 1024 * 1024;

interface Row {
  what: string;
  count: number;
  seconds: number;
  cpu: number;
  peak: number;
}

const dovecot = await startDovecot();
const rounds: Round[] = [];
const latencies: Latency[] = [];
for (let number = 1; number <= Number(values.rounds); number += 1) {
  const user = `round${number}`;
  say(`round ${number}: delivering ${MESSAGES} messages to Dovecot`);
  await dovecot.addUser(user, PASSWORD);
  await dovecot.deliverMany(user, MESSAGES, smallMessage);
  // One client opens the mailbox first, so that nobody pays for Dovecot's own indexing.
  bareLoop(user);
  const before = bareLoop(user);
  const isLast = number === Number(values.rounds) && Number(values.singles) > 0;
  const pipe = await penstock(user, async (api, database) => {
    if (isLast) latencies.push(...(await latencyByFormat(user, api, database)));
  });
  const bare = mean(before, bareLoop(user));
  rounds.push({ pipe, bare, mirror: mbsync(user) });
}
print(rounds);
const memoryLarge = Number(values.large) === 0 ? null : await large();
for (const { where, waits } of latencies) {
  say(
    `latency of a single message, from a bare IDLE client's EXISTS to processed, ${waits.length} messages,`,
  );
  say(
    `  ${where}: p50 ${quantile(waits, 0.5).toFixed(0)} ms, p99 ${quantile(waits, 0.99).toFixed(0)} ms, most ${Math.max(...waits).toFixed(0)} ms`,
  );
}
if (memoryLarge !== null)
  say(`${values.large} messages of 20 MB: peak ${memoryLarge.toFixed(0)} MB in a fresh daemon`);
await cleanUp();
process.exit(0);

function bareLoop(user: string): Row {
  const script = new URL('bare-loop.ts', import.meta.url).pathname;
  const output = execFileSync(process.execPath, [script, String(dovecot.ports.imap), user, PASSWORD], {
    encoding: 'utf8',
  });
  const answer = JSON.parse(output) as {
    count: number;
    seconds: number;
    cpuSeconds: number;
    peakMegabytes: number;
  };
  return {
    what: 'bare imapflow + mailparser',
    count: answer.count,
    seconds: answer.seconds,
    cpu: answer.cpuSeconds,
    peak: answer.peakMegabytes,
  };
}

function mbsync(user: string): Row | null {
  if (spawnSync('mbsync', ['--version']).error) {
    say('mbsync is not installed (Debian package isync); left out');
    return null;
  }
  const folder = mkdtempSync(join(tmpdir(), 'bench-mbsync-'));
  const file = join(folder, 'mbsyncrc');
  writeFileSync(
    file,
    `FSync yes\nIMAPAccount a\nHost 127.0.0.1\nPort ${dovecot.ports.imap}\nUser ${user}\nPass ${PASSWORD}\nSSLType None\nAuthMechs LOGIN\n\n` +
      `IMAPStore remote\nAccount a\n\nMaildirStore local\nPath ${folder}/mail/\nInbox ${folder}/mail/INBOX\n\n` +
      `Channel c\nFar :remote:\nNear :local:\nPatterns INBOX\nCreate Near\nSync Pull\nSyncState *\n`,
  );
  spawnSync('mkdir', ['-p', `${folder}/mail`]);
  const started = performance.now();
  const result = spawnSync('/usr/bin/env', ['time', '-f', '%U %S %M', 'mbsync', '-c', file, 'c'], {
    encoding: 'utf8',
  });
  const seconds = (performance.now() - started) / 1000;
  if (result.status !== 0) throw new Error(`mbsync failed: ${result.stderr}`);
  const [user_, system, kilobytes] = (result.stderr.trim().split('\n').at(-1) ?? '').split(' ').map(Number);
  spawnSync('rm', ['-rf', folder]);
  return {
    what: 'mbsync, fsync',
    count: MESSAGES,
    seconds,
    cpu: (user_ ?? 0) + (system ?? 0),
    peak: (kilobytes ?? 0) / 1024,
  };
}

interface Round {
  pipe: Row;
  bare: Row;
  mirror: Row | null;
}

interface Latency {
  where: string;
  waits: number[];
}

/** A daemon from its first start to the end of the mailbox; `then` goes on with it before it stops. */
async function penstock(
  user: string,
  then: (api: BenchApi, database: pg.Client) => Promise<void>,
): Promise<Row> {
  const data = await tempFolder('bench-data');
  const redis = values.redis ? await startRedis() : null;
  const env = {
    PENSTOCK_DATA: data,
    PENSTOCK_PORT: '0',
    PENSTOCK_LOG_FORMAT: 'json',
    ...NODE,
    ...(redis ? { REDIS_URL: redis.url } : {}),
  };
  const daemon = startPenstock(['start'], { env });
  await daemon.waitForLine(/"Ready"/);
  const api = await BenchApi.connect(data);
  const database = new pg.Client((await connectionOfRunning(data)) ?? {});
  await database.connect();
  for (let at = 0; at < Number(values.rules); at += 100) {
    await api.post(
      '/api/EmailRule',
      Array.from({ length: Math.min(100, Number(values.rules) - at) }, (_, i) => benchRule(at + i)),
    );
  }
  const processes = (): number[] => [api.pid, ...descendants(api.pid)];
  const cpuBefore = sumCpu(processes());
  const started = performance.now();
  await api.addMailbox(dovecot.ports.imap, user, PASSWORD);
  await until(async () => await allDone(database, MESSAGES));
  const seconds = (performance.now() - started) / 1000;
  if ((await finished(database)) < MESSAGES) throw new Error('not every message was processed');
  const row: Row = {
    what: `Penstock, all of it (queue on ${redis ? 'Redis' : 'PostgreSQL'})`,
    count: MESSAGES,
    seconds,
    cpu: sumCpu(processes()) - cpuBefore,
    peak: peakMegabytes(api.pid),
  };
  await then(api, database);
  await database.end();
  await daemon.stop();
  return row;
}

/** In the Maildir of the run, and in a mailbox of the same size that the server keeps in its own format. */
async function latencyByFormat(user: string, api: BenchApi, database: pg.Client): Promise<Latency[]> {
  const count = Number(values.singles);
  const maildir = await singles(dovecot.ports.imap, user, database, count, (message) =>
    dovecot.deliver(user, message),
  );
  const bare = await bareSingles();
  const other = await startDovecot({ format: 'sdbox' });
  await other.addUser('single', PASSWORD);
  say(`appending ${MESSAGES} messages to a mailbox in Dovecot's own format`);
  const client = await connect(other.ports.imap, 'single');
  for (let index = 0; index < MESSAGES; index += 1)
    await client.append('INBOX', smallMessage(500_000 + index));
  const before = await lastId(database);
  await api.addMailbox(other.ports.imap, 'single', PASSWORD);
  await until(async () => await allDone(database, before + MESSAGES));
  const own = await singles(other.ports.imap, 'single', database, count, async (message) => {
    await client.append('INBOX', message);
  });
  await client.logout();
  return [
    { where: `Maildir of ${MESSAGES}`, waits: maildir },
    { where: `Maildir of ${MESSAGES}, a bare client until it has the bytes`, waits: bare },
    { where: `sdbox of ${MESSAGES}`, waits: own },
  ];
}

async function connect(port: number, user: string): Promise<ImapFlow> {
  const client = new ImapFlow({
    host: '127.0.0.1',
    port,
    secure: false,
    doSTARTTLS: false,
    auth: { user, pass: PASSWORD },
    logger: false,
  });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/**
 * What a client has to wait for that stores nothing: from what one bare IDLE client hears until another one has the bytes,
 * with one FETCH as soon as it hears. It marks them \Seen too.
 */
async function bareSingles(): Promise<number[]> {
  const user = 'bare';
  await dovecot.addUser(user, PASSWORD);
  await dovecot.deliverMany(user, MESSAGES, smallMessage);
  const listener = await connect(dovecot.ports.imap, user);
  const fetcher = await connect(dovecot.ports.imap, user);
  await listener.mailboxOpen('INBOX');
  await fetcher.mailboxOpen('INBOX');
  await fetcher.messageFlagsAdd('1:*', ['\\Seen'], { silent: true });
  void listener.idle();
  const waits: number[] = [];
  for (let index = 0; index < Number(values.singles); index += 1) {
    const first = new Promise<number>((resolve) => listener.once('exists', () => resolve(performance.now())));
    const told = new Promise<void>((resolve) => fetcher.once('exists', () => resolve()));
    void fetcher.idle();
    await new Promise((resolve) => setTimeout(resolve, 700 + (index % 7) * 50));
    await dovecot.deliver(user, smallMessage(2_000_000 + index));
    await told;
    await fetcher.fetchOne('*', { source: true });
    const fetchedAt = performance.now();
    waits.push(Math.max(0, fetchedAt - (await first)));
    await fetcher.messageFlagsAdd('*', ['\\Seen'], { silent: true });
  }
  await listener.logout();
  await fetcher.logout();
  return waits;
}

/** Delivers one message at a time and measures from what a bare IDLE client hears to the stored result. */
async function singles(
  port: number,
  user: string,
  database: pg.Client,
  count: number,
  deliver: (message: Buffer) => Promise<void>,
): Promise<number[]> {
  const listener = await connect(port, user);
  await listener.mailboxOpen('INBOX');
  // One IDLE for all: entering it again makes the server look at once, without the delay that both wait for.
  void listener.idle();
  const waits: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const heard = new Promise<number>((resolve) => listener.once('exists', () => resolve(performance.now())));
    // Marking the message before makes the server look for that listener too, half a second later; only then is
    // what it hears about this message alone.
    await new Promise((resolve) => setTimeout(resolve, 700 + (index % 7) * 50));
    const before = await lastId(database);
    await deliver(smallMessage(1_000_000 + index));
    const heardAt = await heard;
    await until(async () => await isFinishedAfter(database, before), 5);
    waits.push(performance.now() - heardAt);
  }
  await listener.logout();
  return waits;
}

async function large(): Promise<number> {
  const count = Number(values.large);
  say(`delivering ${count} messages of 20 MB`);
  await dovecot.addUser('large', PASSWORD);
  await dovecot.deliverMany('large', count, (index) => largeMessage(index, LARGE_BYTES));
  const data = await tempFolder('bench-large');
  const daemon = startPenstock(['start'], {
    env: { PENSTOCK_DATA: data, PENSTOCK_PORT: '0', PENSTOCK_LOG_FORMAT: 'json', ...NODE },
  });
  await daemon.waitForLine(/"Ready"/);
  const api = await BenchApi.connect(data);
  const database = new pg.Client((await connectionOfRunning(data)) ?? {});
  await database.connect();
  await api.addMailbox(dovecot.ports.imap, 'large', PASSWORD);
  await until(async () => (await finished(database)) >= count);
  const peak = peakMegabytes(api.pid);
  await database.end();
  await daemon.stop();
  return peak;
}

async function finished(database: pg.Client): Promise<number> {
  const { rows } = await database.query(
    "select count(*)::int as n from incoming_email where state in ('processed', 'ignored', 'parked')",
  );
  return rows[0].n;
}

async function lastId(database: pg.Client): Promise<number> {
  const { rows } = await database.query('select coalesce(max(id), 0)::int as id from incoming_email');
  return rows[0].id;
}

async function isFinishedAfter(database: pg.Client, id: number): Promise<boolean> {
  const { rows } = await database.query(
    "select 1 from incoming_email where id > $1 and state in ('processed', 'ignored', 'parked')",
    [id],
  );
  return rows.length > 0;
}

/** Nothing is left to do for `count` messages. Asks partial indexes only: counting rows would be work for the machine. */
async function allDone(database: pg.Client, count: number): Promise<boolean> {
  const { rows } = await database.query(`
    select (select coalesce(max(id), 0)::int from incoming_email) as last,
      exists(select 1 from incoming_email where state in ('queued', 'retrying', 'waiting')) as unprocessed,
      exists(select 1 from ledger where disposition = 'pending') as undisposed`);
  return rows[0].last >= count && !rows[0].unprocessed && !rows[0].undisposed;
}

async function until(done: () => Promise<boolean>, everyMs = 100): Promise<void> {
  const deadline = Date.now() + 300_000;
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error('the bench did not finish within five minutes');
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/** The same work twice, as one. */
function mean(a: Row, b: Row): Row {
  return {
    ...a,
    seconds: (a.seconds + b.seconds) / 2,
    cpu: (a.cpu + b.cpu) / 2,
    peak: Math.max(a.peak, b.peak),
  };
}

function print(all: readonly Round[]): void {
  say('');
  say(
    'what                                            messages/s   cpu s/1000   peak MB   speed of Penstock to this',
  );
  for (const [index, { pipe, bare, mirror }] of all.entries()) {
    if (all.length > 1) say(`round ${index + 1}`);
    for (const row of [pipe, bare, ...(mirror === null ? [] : [mirror])]) say(line(row, speed(pipe, row)));
  }
  if (all.length > 1) {
    const ratios = all.map(({ pipe, bare }) => speed(pipe, bare));
    say(
      `speed of Penstock to the bare loop, median of ${all.length} rounds: ${quantile(ratios, 0.5).toFixed(2)}`,
    );
  }
  say('');
}

function speed(first: Row, second: Row): number {
  return first.count / first.seconds / (second.count / second.seconds);
}

function line({ what, count, seconds, cpu, peak }: Row, ratio: number): string {
  const columns = [
    (count / seconds).toFixed(0).padStart(11),
    ((cpu / count) * 1000).toFixed(2).padStart(12),
    peak.toFixed(0).padStart(9),
    `  ${ratio.toFixed(2)}`,
  ];
  return `${what.padEnd(46)} ${columns.join(' ')}`;
}

/** The flags that the script `start` of package.json gives to Node. */
function startFlags(): string {
  const { scripts } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    scripts: { start: string };
  };
  return scripts.start
    .split(' ')
    .filter((word) => word.startsWith('--'))
    .join(' ');
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
