/** The container image, as far as it can be judged without building it. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { SETTINGS } from '../../src/config/settings.ts';
import { onCleanup } from '../support/cleanup.ts';
import { freePort } from '../support/port.ts';

const root = new URL('../../', import.meta.url).pathname;
let dockerfile: string;

beforeAll(async () => {
  dockerfile = await readFile(join(root, 'Dockerfile'), 'utf8');
});

describe('Dockerfile', () => {
  it('copies only what the repository has and .dockerignore lets through', async () => {
    const ignore = await readFile(join(root, '.dockerignore'), 'utf8');
    expect(ignore).toMatch(/^\*$/m);
    const let_ = [...ignore.matchAll(/^!(\S+)$/gm)].map(([, path]) => path!);
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths]) =>
      paths!.split(' '),
    );
    expect(copied.length).toBeGreaterThan(5);
    for (const path of new Set(copied)) {
      expect(existsSync(join(root, path)), path).toBe(true);
      expect(
        let_.some((one) => one === path || one.startsWith(`${path}/`)),
        path,
      ).toBe(true);
    }
  });

  it('runs as an ordinary user, on one fixed base, with a healthcheck', () => {
    const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, base]) => base);
    expect(new Set(bases)).toEqual(new Set(['node:24-bookworm-slim']));
    expect(dockerfile).toMatch(/^USER node$/m);
    expect(dockerfile).toMatch(/^HEALTHCHECK .*healthcheck\.mjs/m);
    expect(dockerfile.indexOf('USER node')).toBeGreaterThan(dockerfile.lastIndexOf('RUN '));
  });

  it('sets only settings that exist', () => {
    const known = new Set<string>(SETTINGS.map(({ env }) => env));
    for (const [name] of dockerfile.matchAll(/PENSTOCK_[A-Z_]+(?==)/g)) expect(known).toContain(name);
  });
});

describe('healthcheck of the container', () => {
  async function check(port: number): Promise<{ code: number; stdout: string }> {
    const env = { PATH: process.env.PATH, PENSTOCK_PORT: String(port) };
    try {
      const { stdout } = await promisify(execFile)(process.execPath, [join(root, 'bin/healthcheck.mjs')], {
        env,
      });
      return { code: 0, stdout };
    } catch (error) {
      const { code, stdout } = error as { code: number; stdout: string };
      return { code, stdout };
    }
  }

  async function serve(status: number, body: object): Promise<number> {
    const server = createServer((request, response) => {
      response.statusCode = request.url === '/health/ready' ? status : 404;
      response.end(JSON.stringify(body));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onCleanup(() => void server.close());
    return (server.address() as AddressInfo).port;
  }

  it('is content with a Penstock that is ready', async () => {
    expect(await check(await serve(200, { ready: true, reasons: [] }))).toEqual({ code: 0, stdout: '' });
  });

  it('says why one is not', async () => {
    const port = await serve(503, { ready: false, reasons: [{ text: 'PostgreSQL does not answer.' }] });
    expect(await check(port)).toEqual({ code: 1, stdout: 'PostgreSQL does not answer.\n' });
  });

  it('says so when nobody answers', async () => {
    const answer = await check(await freePort());
    expect(answer.code).toBe(1);
    expect(answer.stdout).toMatch(/^no answer on port \d+: .*ECONNREFUSED/);
  });
});
