import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { DemoReport } from '../../src/lab/demo-report.ts';
import { startPenstock } from '../support/process.ts';

const DEMO_MS = 110_000;

describe('penstock demo', () => {
  it('--once takes 200 messages through everything, proves it and ends with 0', {
    timeout: DEMO_MS,
  }, async () => {
    const demo = startPenstock(['demo', '--once'], { env: { PENSTOCK_PORT: '0' } });
    expect(await demo.ended, demo.output).toEqual({ code: 0, signal: null });
    const text = demo.stdout;
    expect(text).toContain('200 messages went from the mailbox through rules into records');
    expect(text).toContain('200 on the server, 200 accounted for, 0 unaccounted.');
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
    const secretFile = /in (\S+admin-client\.json)/.exec(text)?.[1] ?? '';
    expect(secretFile).not.toBe('');
    expect(existsSync(secretFile), 'the data of the demo is gone').toBe(false);
  });

  it('goes on with new mail, serves its API meanwhile, and ends at Ctrl-C', {
    timeout: DEMO_MS,
  }, async () => {
    const args = ['demo', '--json', '--messages', '40', '--every', '0.2', '--seed', '5'];
    // Settings that would lead it to other data must not count.
    const demo = startPenstock(args, {
      env: { DATABASE_URL: 'postgres://nowhere.invalid/x', PENSTOCK_PORT: '0' },
    });
    await demo.waitForLine(/New mail keeps coming/, DEMO_MS);
    const report = JSON.parse(demo.stdout.slice(0, demo.stdout.indexOf('\n}\n') + 2)) as DemoReport;
    expect(report).toMatchObject({
      missing: [],
      unmet: [],
      audit: { listed: 40, accounted: 40, unaccounted: 0 },
    });
    const arrival = /^\d\d:\d\d:\d\d {2}\S+ .*PROBLEM Service Alert.* rule: Monitoring alerts {2}\d+ ms$/;
    await demo.waitForLine(arrival, 30_000);
    expect((await fetch(`${report.api.url}/health/ready`)).status).toBe(200);
    const ended = await demo.stop('SIGINT', 12_000);
    expect(ended, demo.output).toEqual({ code: 0, signal: null });
    expect(existsSync(report.logFile)).toBe(false);
  });

  it('ends at Ctrl-C before it is ready as well, and does not call that a success', {
    timeout: DEMO_MS,
  }, async () => {
    const demo = startPenstock(['demo', '--once'], { env: { PENSTOCK_PORT: '0' } });
    await demo.waitForLine(/^Starting the database/);
    const ended = await demo.stop('SIGINT', 12_000);
    expect(ended, demo.output).toEqual({ code: 1, signal: null });
    expect(demo.stdout).toBe('');
  });
});
