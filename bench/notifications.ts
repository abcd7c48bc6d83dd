/**
 * Notifications of Microsoft Graph at a steady rate against a running daemon, each on its own request as Graph sends
 * them: `node bin/penstock.mjs --run bench/notifications.ts`. Says how long answers took, and, after a kill -9 right
 * behind the last answer, whether everything that was answered with 202 is in the database. Graph wants an answer
 * within three seconds, else it holds notifications back.
 *
 *   node bin/penstock.mjs --run bench/notifications.ts [--rate 200] [--seconds 20] [--mailboxes 100]
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { newClientState, secretDigest } from '../src/source/graph/client-state.ts';
import { connectionOfRunning } from '../src/store/engine/embedded-postgres.ts';
import { cleanUp } from '../test/support/cleanup.ts';
import { tempFolder } from '../test/support/folder.ts';
import { startPenstock } from '../test/support/process.ts';
import { quantile } from './measure.ts';

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    rate: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '20' },
    mailboxes: { type: 'string', default: '100' },
  },
});
const RATE = Number(values.rate);
const COUNT = RATE * Number(values.seconds);

interface Subscribed {
  id: string;
  secret: string;
  /** When the last notification was sent that was answered with 202, by the clock that the database has too. */
  answered: number;
}

const data = await tempFolder('bench-notifications');
const env = { PENSTOCK_DATA: data, PENSTOCK_PORT: '0', PENSTOCK_ROLES: 'api', PENSTOCK_LOG_LEVEL: 'warn' };

async function connect(): Promise<pg.Client> {
  const target = await connectionOfRunning(data);
  if (target === null) throw new Error('The database of the daemon is not running');
  const client = new pg.Client(target);
  await client.connect();
  return client;
}

async function waitForUrl(pidBefore: number): Promise<{ url: string; pid: number }> {
  for (;;) {
    try {
      const running = JSON.parse(readFileSync(join(data, 'running.json'), 'utf8')) as {
        url: string;
        pid: number;
      };
      if (running.pid !== pidBefore && (await fetch(`${running.url}/health/live`)).ok) return running;
    } catch {
      // Not yet.
    }
    await sleep(100);
  }
}

/** Rows as the keeper of subscriptions leaves them. */
async function subscribe(): Promise<Subscribed[]> {
  const client = await connect();
  const all: Subscribed[] = [];
  for (let index = 0; index < Number(values.mailboxes); index += 1) {
    const one = { id: randomUUID(), secret: newClientState(), answered: 0 };
    const { rows } = await client.query<{ id: number }>(
      `insert into mailbox (name, kind, enabled, settings, halo) values ($1, 'graph', true, '{}', '{}') returning id`,
      [`bench ${index}`],
    );
    await client.query(
      `insert into subscription (mailbox_id, folder, provider_id, secret_sha256, renewed_at, expires_at)
       values ($1, 'INBOX', $2, $3, now(), now() + interval '2 days')`,
      [rows[0]!.id, one.id, secretDigest(one.secret)],
    );
    all.push(one);
  }
  await client.end();
  return all;
}

async function tell(url: string, { id, secret }: Subscribed): Promise<number> {
  const value = [
    {
      subscriptionId: id,
      clientState: secret,
      changeType: 'created',
      resource: `Users/u/Messages/${randomUUID()}`,
      subscriptionExpirationDateTime: new Date(Date.now() + 86_400_000).toISOString(),
      tenantId: 'bench',
    },
  ];
  const answer = await fetch(`${url}/notifications/graph`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ value }),
  });
  await answer.arrayBuffer();
  return answer.status;
}

let daemon = startPenstock(['start'], { env });
const { url, pid } = await waitForUrl(0);
const subscribed = await subscribe();
for (const one of subscribed.slice(0, 20)) await tell(url, one);

const took: number[] = [];
const other: number[] = [];
const sending: Promise<void>[] = [];
const begun = performance.now();
for (let index = 0; index < COUNT; index += 1) {
  await sleep(Math.max(0, begun + (index * 1000) / RATE - performance.now()));
  const one = subscribed[index % subscribed.length]!;
  sending.push(
    (async () => {
      const sent = performance.now();
      const at = Date.now();
      const status = await tell(url, one);
      took.push(performance.now() - sent);
      if (status === 202) one.answered = Math.max(one.answered, at);
      else other.push(status);
    })(),
  );
}
await Promise.all(sending);
const seconds = (performance.now() - begun) / 1000;
await daemon.kill();

daemon = startPenstock(['start'], { env });
await waitForUrl(pid);
const client = await connect();
const { rows } = await client.query<{ id: string; noted: Date | null }>(
  'select provider_id as id, notified_at as noted from subscription',
);
await client.end();
const noted = new Map(rows.map((row) => [row.id, row.noted?.getTime() ?? 0]));
const lost = subscribed.filter(({ id, answered }) => (noted.get(id) ?? 0) < answered).length;
const ms = (share: number): string => `${quantile(took, share).toFixed(1)} ms`;
console.log(
  `${COUNT} notifications in ${seconds.toFixed(1)} s: ${(COUNT / seconds).toFixed(0)} a second, asked for ${RATE}`,
);
console.log(
  `answers: p50 ${ms(0.5)}, p99 ${ms(0.99)}, max ${Math.max(...took).toFixed(1)} ms; other than 202: ${other.length}`,
);
console.log(
  `mailboxes whose last notification was answered and is not in the database after kill -9: ${lost}`,
);
await daemon.stop();
await cleanUp();
process.exit(other.length === 0 && lost === 0 ? 0 : 1);
