/** SIGTERM in the middle of everything: an end within ten seconds, and nothing lost or doubled after the next start. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { stopLeftOver } from '../../src/store/engine/embedded-postgres.ts';
import { expectExactlyOnce } from '../support/exactly-once.ts';
import { names } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';
import { startDaemon } from '../support/pipe.ts';
import type { Running } from '../support/process.ts';
import { Site, until } from '../support/site.ts';

/** What the product promises. */
const STOP_MS = 10_000;
const MESSAGES = 1_500;
/** This one the mail server begins to send and never ends. */
const HANGS_AT = 1_100;

const ALL_ROLES = { PENSTOCK_ROLES: 'api,poller,worker', PENSTOCK_PORT: '0', PENSTOCK_LOG_LEVEL: 'info' };

async function start(site: Site): Promise<{ daemon: Running; url: string; headers: Record<string, string> }> {
  const daemon = startDaemon(site, ALL_ROLES);
  const url = (await daemon.waitForLine(/"api":"(http[^"]+)"/, 60_000))[1]!;
  const file = join(site.env.PENSTOCK_DATA!, 'admin-client.json');
  const client = JSON.parse(await readFile(file, 'utf8')) as Record<string, string>;
  const answer = await fetch(`${url}/auth/token`, {
    method: 'POST',
    body: new URLSearchParams({ ...client, grant_type: 'client_credentials' }),
  });
  const { access_token } = (await answer.json()) as { access_token: string };
  return {
    daemon,
    url,
    headers: { authorization: `Bearer ${access_token}`, 'content-type': 'application/json' },
  };
}

/** A large request of which a little comes at a time. Resolves with what became of it. */
function trickle(
  url: string,
  headers: Record<string, string>,
): { begun: Promise<unknown>; end: Promise<string> } {
  const request = http.request(`${url}/api/Mail/Integrator/IMAP`, {
    method: 'POST',
    agent: false,
    headers: { ...headers, 'content-length': 20 * 1024 * 1024, expect: '100-continue' },
  });
  // The server says so when it has begun with the request.
  const begun = once(request, 'continue');
  request.write(`{"raw":"${'A'.repeat(64 * 1024)}`);
  const more = setInterval(() => request.write('AAAA'), 50);
  const end = new Promise<string>((resolve) => {
    request.on('response', (response) => resolve(`answered ${response.statusCode}`));
    request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  }).finally(() => {
    clearInterval(more);
    request.destroy();
  });
  return { begun, end };
}

/** A client that hands in one small message after the other, and notes what it was told about each. */
class Poster {
  /** Answered with 201: Penstock has it now. */
  readonly taken: number[] = [];
  /** No such answer came; the client is to hand it in again. */
  readonly open: number[] = [];
  readonly refusals: { status: number; code: string; connection: string | null }[] = [];
  readonly #mailbox: number;
  #next = 1;

  constructor(mailbox: number) {
    this.#mailbox = mailbox;
  }

  static bytes(id: number): Buffer {
    return simpleMessage(`posted-${id}`);
  }

  async post(url: string, headers: Record<string, string>, id: number): Promise<Response> {
    const raw = Poster.bytes(id).toString('base64');
    const body = JSON.stringify({ id: String(id), haloMailboxId: this.#mailbox, raw });
    return await fetch(`${url}/api/Mail/Integrator/IMAP`, { method: 'POST', headers, body });
  }

  /** Until the server is gone. */
  async run(url: string, headers: Record<string, string>): Promise<void> {
    for (;;) {
      const id = this.#next++;
      try {
        const answer = await this.post(url, headers, id);
        const { code } = (await answer.json()) as { code: string };
        if (answer.status === 201) this.taken.push(id);
        else {
          this.open.push(id);
          this.refusals.push({ status: answer.status, code, connection: answer.headers.get('connection') });
        }
      } catch {
        this.open.push(id);
        return;
      }
      await sleep(100);
    }
  }
}

/** Somebody locks the rules, as an administrator with psql may: whoever lists them waits. Returns the way out. */
async function lockRules(site: Site): Promise<() => Promise<void>> {
  const client = new pg.Client(site.runtime.connection.settings);
  client.on('error', () => {});
  await client.connect();
  await client.query('begin; lock table email_rule in access exclusive mode');
  const release = (): Promise<void> => client.end().catch(() => {});
  onTestFinished(release);
  return release;
}

describe.each([
  { name: 'embedded database, queue in it', backend: 'postgres', databaseUrl: 'embedded' },
  { name: 'database server, queue in Redis', backend: 'redis', databaseUrl: undefined },
] as const)('SIGTERM under load: $name', ({ backend, databaseUrl }) => {
  it('ends within ten seconds whatever hangs, loses no answered request, and all is exactly once', async () => {
    const site = await Site.start({ backend, ...(databaseUrl === undefined ? {} : { databaseUrl }) });
    const { daemon, url, headers } = await start(site);
    await site.attach();
    site.server.faults.add({
      at: 'fetch',
      user: 'ann',
      uids: [HANGS_AT],
      action: { do: 'cut', after: 100, end: 'hang' },
    });
    const desk = await site.addMailbox('desk');
    await site.addMailbox('ann', { after: 'move', afterFolder: 'Done' });
    await site.addMailbox('bob', { after: 'seen' });
    for (const user of ['ann', 'bob']) {
      for (const name of names(1, MESSAGES)) {
        // Some are large enough to be files.
        const body = name.endsWith('77') ? 'x'.repeat(300_000) : 'Hello.\r\n';
        site.deliver(user, simpleMessage(`${user}-${name}`, body));
      }
    }
    await until(async () => ((await site.states()).processed ?? 0) >= 100);

    const release = await lockRules(site);
    const listing = fetch(`${url}/api/EmailRule`, { headers }).then(
      (answer) => `answered ${answer.status}`,
      () => 'cut off',
    );
    const posting = trickle(url, headers);
    await posting.begun;
    const poster = new Poster(desk.id);
    const posted = poster.run(url, headers);
    await until(() => poster.taken.length >= 5);

    const asked = performance.now();
    daemon.signal('SIGTERM');
    const ended = await daemon.ended;
    const took = performance.now() - asked;
    expect(ended, daemon.output).toEqual({ code: 0, signal: null });
    expect(took).toBeLessThan(STOP_MS);
    expect(await posting.end).toMatch(/ECONNRESET|EPIPE/);
    expect(await listing).toBe('cut off');
    await posted;
    expect(new Set(poster.refusals.map((refusal) => JSON.stringify(refusal)))).toEqual(
      new Set([JSON.stringify({ status: 503, code: 'stopping', connection: 'close' })]),
    );
    if (databaseUrl === 'embedded') expect(await stopLeftOver(site.env.PENSTOCK_DATA!)).toBe(false);

    await release();
    site.server.faults.clear();
    const second = await start(site);
    await site.attach();
    for (const id of poster.open) {
      // It may have been taken without the answer getting through.
      expect([200, 201]).toContain((await poster.post(second.url, second.headers, id)).status);
    }
    for (const id of [...poster.taken, ...poster.open])
      site.delivered.push({ user: 'desk', uid: id, bytes: Poster.bytes(id) });
    await site.waitUntilProcessed();
    await expectExactlyOnce(site);
    const { rows } = await sql<{ running: number }>`
      select count(*)::int as running from incoming_email where attempts > 1`.execute(site.runtime.db);
    expect(rows[0]?.running, 'a stop uses up no attempt').toBe(0);

    // A second signal does not wait for the slow one.
    const slow = trickle(second.url, second.headers);
    await slow.begun;
    second.daemon.signal('SIGTERM');
    await second.daemon.waitForLine(/"msg":"Stopping"/);
    await sleep(1_200);
    second.daemon.signal('SIGTERM');
    expect(await second.daemon.ended, second.daemon.output).toEqual({ code: 1, signal: null });
    expect(second.daemon.stderr).toBe('penstock: asked again; the stop was cut short, nothing is lost\n');
    await slow.end;
  });
});
