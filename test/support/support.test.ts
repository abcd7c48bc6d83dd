/** The support for tests is tested too: a helper that lies makes every test lie. */
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { isAlive } from '../../src/store/engine/postmaster-file.ts';
import { startDebianPostgres } from './debian-postgres.ts';
import { createTestDatabase } from './postgres.ts';
import { startProgram, startScript } from './process.ts';
import { startRedis } from './redis.ts';

async function ask(url: string, text: string): Promise<object[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query<object>(text)).rows;
  } finally {
    await client.end();
  }
}

describe('a database for tests', () => {
  it('has our schema, is shared with nobody, and goes with its clients', async () => {
    const [one, other] = await Promise.all([createTestDatabase(), createTestDatabase()]);
    expect(await ask(one.url, 'select name from migration order by name')).not.toHaveLength(0);
    await ask(one.url, 'create table mine (n int)');
    expect(await ask(other.url, "select to_regclass('mine') as found")).toEqual([{ found: null }]);
    const client = new pg.Client(one.url);
    client.on('error', () => {});
    await client.connect();
    await one.drop();
    await other.drop();
    await expect(ask(one.url, 'select 1')).rejects.toThrow(/does not exist/);
  });

  it('is empty when asked for', async () => {
    const database = await createTestDatabase({ empty: true });
    expect(await ask(database.url, "select to_regclass('migration') as found")).toEqual([{ found: null }]);
    await database.drop();
  });
});

describe('a Redis for tests', () => {
  it('keeps its data over a stop, and loses all of it on flushall', async () => {
    const redis = await startRedis();
    await redis.command('set', 'word', 'kept');
    await redis.stop();
    await redis.start();
    expect(await redis.command('get', 'word')).toBe('kept');
    expect(await redis.command('config', 'get', 'maxmemory-policy')).toEqual([
      'maxmemory-policy',
      'noeviction',
    ]);
    await redis.flushAll();
    expect(await redis.command('get', 'word')).toBeNull();
    await redis.kill();
    await expect(redis.command('ping')).rejects.toThrow();
    await redis.start();
    expect(await redis.command('ping')).toBe('PONG');
  });
});

describe("a PostgreSQL of the system's package", () => {
  it('answers over TCP, and again after kill -9', async () => {
    const server = await startDebianPostgres();
    await ask(server.url, 'create table kept as select 1 as n');
    await server.kill();
    await expect(ask(server.url, 'select 1')).rejects.toThrow();
    await server.start();
    expect(await ask(server.url, 'select n from kept')).toEqual([{ n: 1 }]);
    await server.stop();
  });
});

describe('a program under test', () => {
  it('is heard line by line, and its end is told', async () => {
    const program = startProgram('sh', ['-c', 'echo one; echo two >&2; exit 3']);
    expect((await program.waitForLine(/^(t.o)$/))[1]).toBe('two');
    expect(await program.ended).toEqual({ code: 3, signal: null });
    expect(program.stdout).toBe('one\n');
    await expect(program.waitForLine(/never/)).rejects.toThrow(/Ended without/);
  });

  it('gets input, and a clean environment', async () => {
    process.env.PENSTOCK_PORT = '1';
    const program = startProgram('sh', ['-c', 'cat; echo "<$PENSTOCK_PORT$VITEST$NODE_ENV>"'], {
      input: 'in\n',
    });
    delete process.env.PENSTOCK_PORT;
    await program.ended;
    expect(program.stdout).toBe('in\n<>\n');
  });

  it('that does not stop in time is killed, and that is an error', async () => {
    const program = startProgram('sh', ['-c', 'trap "" TERM; echo deaf; while :; do sleep 0.05; done']);
    await program.waitForLine(/deaf/);
    await expect(program.stop('SIGTERM', 100)).rejects.toThrow(/Did not stop/);
    expect(await isAlive(program.pid)).toBe(false);
  });

  it('that cannot be started says so', async () => {
    const program = startProgram('/no/such/program', []);
    expect((await program.ended).code).toBe(127);
    expect(program.output).toContain('ENOENT');
  });

  it('dies with the process that started it', async () => {
    // The same thread ties a daemon to its test worker and to the launcher in bin/.
    const parent = startScript('test/support/parent-of-sleeper.mjs');
    const pid = Number((await parent.waitForLine(/^child (\d+)/))[1]);
    expect(await isAlive(pid)).toBe(true);
    await parent.kill();
    await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
  });
});
