import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DemoReport } from '../../src/lab/demo-report.ts';
import { tempFolder } from '../support/folder.ts';
import { type Running, startPenstock, startScript } from '../support/process.ts';

const DEMO_MS = 110_000;
const REMOVER = 'src/cli/demo-remover.ts';

/** Starts a demo that keeps its data below a folder of the test. */
async function startDemo(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ demo: Running; folder: string }> {
  const folder = await tempFolder('e2e');
  return {
    folder,
    demo: startPenstock(['demo', ...args], { env: { PENSTOCK_PORT: '0', ...env, TMPDIR: folder } }),
  };
}

/** Processes that name a folder in their command line, such as a database in it. */
async function processesIn(folder: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const commands = await Promise.all(
    pids.map((pid) => readFile(join('/proc', pid, 'cmdline'), 'utf8').catch(() => '')),
  );
  return commands.filter((command) => command.includes(folder));
}

/** Nothing is left: no data, and nobody who works on it. */
async function expectNothingLeft(folder: string): Promise<void> {
  await expect
    .poll(async () => [...(await readdir(folder)), ...(await processesIn(folder))], { timeout: 40_000 })
    .toEqual([]);
}

describe('penstock demo', () => {
  it('--once takes 200 messages through everything, proves it and ends with 0', {
    timeout: DEMO_MS,
  }, async () => {
    const { demo, folder } = await startDemo(['--once']);
    expect(await demo.ended, demo.output).toEqual({ code: 0, signal: null });
    const text = demo.stdout;
    expect(text).toContain('200 messages went from 4 mailboxes through rules into records');
    // A mailbox of each kind, of which no message is missing.
    const rows = [...text.matchAll(/^ +(IMAP|POP3|Graph|Gmail|all) .*? (\d+) +(\d+) {2}/gm)];
    expect(rows.map(([, name]) => name)).toEqual(['IMAP', 'POP3', 'Graph', 'Gmail', 'all']);
    for (const [row, , onServer, accountedFor] of rows) expect(accountedFor, row).toBe(onServer);
    expect(rows.at(-1)![2]).toBe('200');
    expect(text).toContain('200 on the servers, 200 accounted for, 0 unaccounted.');
    expect(text).toContain('Every message became what it should.');
    for (const words of [
      'ticket created',
      'ticket updated',
      'alert opened',
      'alert closed',
      'ignored',
      'quarantined',
    ]) {
      expect(text).toMatch(new RegExp(`^ +${words} +\\d+$`, 'm'));
    }
    expect(text).toMatch(/^ +API +http:\/\/127\.0\.0\.1:\d+\/api$/m);
    expect(text).toMatch(/^ +Client id +\S+$/m);
    expect(demo.stderr).toMatch(/200\/200/);
    expect(text).toMatch(/^ +Client secret +in \S+admin-client\.json$/m);
    expect(await readdir(folder)).toEqual([]);
    await expectNothingLeft(folder);
  });

  it('goes on with new mail, serves its API meanwhile, and ends at Ctrl-C', {
    timeout: DEMO_MS,
  }, async () => {
    // Settings that would lead it to other data must not count.
    const { demo, folder } = await startDemo(
      ['--json', '--messages', '40', '--every', '0.2', '--seed', '5'],
      {
        DATABASE_URL: 'postgres://nowhere.invalid/x',
        PENSTOCK_DATA: '/nowhere/at/all',
      },
    );
    await demo.waitForLine(/New mail keeps coming/, DEMO_MS);
    const report = JSON.parse(demo.stdout.slice(0, demo.stdout.indexOf('\n}\n') + 2)) as DemoReport;
    expect(report).toMatchObject({ missing: [], unmet: [] });
    expect(report.mailboxes.map(({ name }) => name)).toEqual(['IMAP', 'POP3', 'Graph', 'Gmail']);
    for (const { delivered, listed, accounted } of report.mailboxes) {
      expect(delivered).toBeGreaterThan(0);
      expect([listed, accounted]).toEqual([delivered, delivered]);
    }
    const arrival =
      /^\d\d:\d\d:\d\d {2}(IMAP|POP3|Graph|Gmail) +\S+ .*PROBLEM Service Alert.* rule: Monitoring alerts {2}\d+ ms$/;
    await demo.waitForLine(arrival, 30_000);
    expect((await fetch(`${report.api.url}/health/ready`)).status).toBe(200);
    const ended = await demo.stop('SIGINT', 12_000);
    expect(ended, demo.output).toEqual({ code: 0, signal: null });
    expect(existsSync(report.logFile)).toBe(false);
    await expectNothingLeft(folder);
  });

  it('leaves nothing when Ctrl-C comes before it is ready', { timeout: DEMO_MS }, async () => {
    const { demo, folder } = await startDemo(['--once']);
    await demo.waitForLine(/^Starting the database/);
    const ended = await demo.stop('SIGINT', 12_000);
    expect(ended, demo.output).toEqual({ code: 1, signal: null });
    expect(demo.stdout).toBe('');
    await expectNothingLeft(folder);
  });

  it('is cleared up behind when it was cut off with its database running', { timeout: DEMO_MS }, async () => {
    const { demo, folder } = await startDemo(['--messages', '1', '--every', '60']);
    await demo.waitForLine(/New mail keeps coming/, DEMO_MS);
    await demo.kill();
    const data = (await readdir(folder)).find((name) => name.startsWith('penstock-demo-'));
    expect(await processesIn(folder), 'the database outlives kill -9').not.toEqual([]);
    const remover = startScript(REMOVER, [join(folder, data!)]);
    expect(await remover.ended, remover.output).toEqual({ code: 0, signal: null });
    await expectNothingLeft(folder);
  });

  it('never removes a folder that is not of a demo', async () => {
    const folder = await tempFolder('kept');
    const remover = startScript(REMOVER, [folder]);
    expect((await remover.ended).code).toBe(1);
    expect(existsSync(folder)).toBe(true);
  });
});
