/**
 * What docker-compose.yml describes, by hand: Penstock against servers of PostgreSQL and Redis as Debian packages them,
 * judged by the container's own healthcheck and by Prometheus' own tool.
 */
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type DebianPostgres, startDebianPostgres } from '../support/debian-postgres.ts';
import { tempFolder } from '../support/folder.ts';
import { freePort } from '../support/port.ts';
import { type Running, runPenstock, startPenstock, startProgram } from '../support/process.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

const root = new URL('../../', import.meta.url).pathname;
const DEADLINE_MS = 60_000;

// Servers start and stop in here, which takes a slow machine a while.
vi.setConfig({ testTimeout: 3 * DEADLINE_MS, hookTimeout: 3 * DEADLINE_MS });

let postgres: DebianPostgres;
let redis: TestRedis;
let daemon: Running;
let env: Record<string, string>;
let port: number;

beforeAll(async () => {
  [postgres, redis, port] = await Promise.all([startDebianPostgres(), startRedis(), freePort()]);
  env = {
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
    PENSTOCK_DATA: await tempFolder(),
    PENSTOCK_PORT: String(port),
    PENSTOCK_LOG_FORMAT: 'json',
  };
  daemon = startPenstock(['start'], { env });
  await daemon.waitForLine(/"msg":"Ready"/);
});

afterAll(async () => {
  await daemon.stop();
});

/** What the container's healthcheck says. */
async function healthcheck(): Promise<{ code: number | null; text: string }> {
  const check = startProgram(process.execPath, [join(root, 'bin/healthcheck.mjs')], {
    env: { PENSTOCK_PORT: String(port) },
  });
  const { code } = await check.ended;
  return { code, text: check.stdout };
}

async function until(ask: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  while (!(await ask())) {
    if (Date.now() > deadline) throw new Error(`Waited in vain until ${what}.`);
    await sleep(200);
  }
}

const metrics = async (): Promise<string> => await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();

it('is healthy on a database server and Redis, and says so in its metrics', async () => {
  expect(await healthcheck()).toEqual({ code: 0, text: '' });
  expect(await metrics()).toMatch(/^penstock_build_info\{.*queue="redis",database="server"\} 1$/m);
});

it('takes a message all the way', async () => {
  const file = join(await tempFolder(), 'message.eml');
  await writeFile(file, 'From: a@example.org\r\nTo: help@example.org\r\nSubject: Hello\r\n\r\nHello\r\n');
  const add = [
    'mailbox',
    'add',
    '--host',
    'mail.invalid',
    '--user',
    'u',
    '--password-stdin',
    '--paused',
    '--json',
  ];
  const added = await runPenstock(add, { env, input: 'secret\n' });
  const { id } = JSON.parse(added.stdout) as { id: number };
  const imported = await runPenstock(['import', file, '--mailbox', String(id), '--json'], { env });
  expect(imported.code).toBe(0);
  const processed = `penstock_messages_processed_total{mailbox="${id}",outcome="create"} 1`;
  await until(async () => (await metrics()).includes(processed), 'the daemon has processed it');
});

it('gives Prometheus metrics that it finds nothing wrong with', async () => {
  const text = await metrics();
  const check = spawn('promtool', ['check', 'metrics']);
  let said = '';
  check.stdout.on('data', (part) => {
    said += part;
  });
  check.stderr.on('data', (part) => {
    said += part;
  });
  check.stdin.end(text);
  const code = await new Promise((resolve) => check.on('close', resolve));
  expect({ code, said }).toEqual({ code: 0, said: '' });
});

it('says that the queue is away, and recovers by itself', async () => {
  await redis.stop();
  await until(async () => (await healthcheck()).code === 1, 'the healthcheck fails');
  expect((await healthcheck()).text).toMatch(/The queue does not answer/);
  await redis.start();
  await until(async () => (await healthcheck()).code === 0, 'the healthcheck passes');
});

it('says that the database is away, lives on, and recovers by itself', async () => {
  await postgres.stop();
  await until(async () => (await healthcheck()).code === 1, 'the healthcheck fails');
  expect((await healthcheck()).text).toMatch(/PostgreSQL does not answer/);
  expect((await fetch(`http://127.0.0.1:${port}/health/live`)).status).toBe(200);
  expect(await metrics()).toMatch(/^penstock_database_up 0$/m);
  await postgres.start();
  await until(async () => (await healthcheck()).code === 0, 'the healthcheck passes');
});

it('ends orderly when it is told to', async () => {
  // Penstock gives itself ten seconds and ends with 1 when they are not enough; the compose file allows fifteen.
  expect(await daemon.stop()).toEqual({ code: 0, signal: null });
});
