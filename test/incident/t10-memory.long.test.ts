/** Large messages and large folders are taken in bounded memory. The intake runs in a process of its own. */
import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Content } from '../../src/lab/mail-store.ts';
import { LIMITS } from '../../src/limits.ts';
import { imapSettings } from '../support/imap-settings.ts';
import { countBy, type Intake, startIntake, USER } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';
import type { OnePass, OnePassResult } from '../support/one-pass.ts';
import { startScript } from '../support/process.ts';

const MB = 1024 * 1024;
const PEAK = 400 * MB;
const script = new URL('../support/one-pass.ts', import.meta.url).pathname;

async function passInProcess(intake: Intake, stopAt?: number): Promise<OnePassResult> {
  const { held, databaseUrl, dataDirectory, server } = intake;
  const task: OnePass = {
    databaseUrl,
    dataDirectory,
    mailbox: held.mailbox.id,
    leaseToken: held.leaseToken,
    server: imapSettings({ port: server.port, user: USER }),
    stopAt,
  };
  const running = startScript(script, [JSON.stringify(task)]);
  const ended = await running.ended;
  expect(ended, running.output).toEqual({ code: 0, signal: null });
  return JSON.parse(running.stdout) as OnePassResult;
}

/** Messages of `size` bytes that exist only while they are sent; the last one is kept, as it is asked for in parts. */
function largeMessages(size: number): (index: number) => Content {
  let last = { index: -1, bytes: Buffer.alloc(0) };
  return (index) => ({
    size,
    bytes: () => {
      if (last.index === index) return last.bytes;
      const head = simpleMessage(`large${index}`, '');
      const bytes = Buffer.alloc(size, `line ${index} of a large message\r\n`);
      head.copy(bytes);
      last = { index, bytes };
      return bytes;
    },
  });
}

async function rawFiles(intake: Intake): Promise<number[]> {
  const folder = join(intake.dataDirectory, 'raw');
  const names = (await readdir(folder, { recursive: true })).filter((name) => /[0-9a-f]{64}$/.test(name));
  return await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
}

describe('T10.1 many large messages', () => {
  it('T10.1 20 messages of 40 MB: never whole in memory, and each byte is right', async () => {
    const intake = await startIntake();
    const content = largeMessages(40 * MB);
    for (let index = 0; index < 20; index += 1) intake.server.deliver(USER, 'INBOX', content(index));
    const { added, peakBytes } = await passInProcess(intake);
    expect(added).toBe(20);
    expect(peakBytes).toBeLessThan(PEAK);
    expect(await rawFiles(intake)).toEqual(Array.from({ length: 20 }, () => 40 * MB));
    const rows = await intake.db.selectFrom('raw_message').select(['sha256', 'bytes']).execute();
    expect(rows.every((row) => row.bytes === null)).toBe(true);
    const wanted = createHash('sha256').update(content(7).bytes()).digest('hex');
    expect(rows.map((row) => row.sha256.toString('hex'))).toContain(wanted);
  }, 300_000);

  it('T10.1 a page of messages just below the limit for rows: bounded by bytes, not by count', async () => {
    const intake = await startIntake();
    const content = largeMessages(250 * 1024);
    for (let index = 0; index < LIMITS.batchMessages; index += 1)
      intake.server.deliver(USER, 'INBOX', content(index));
    const { added, peakBytes } = await passInProcess(intake);
    expect(added).toBe(LIMITS.batchMessages);
    expect(peakBytes).toBeLessThan(PEAK);
  });

  it('T10.1 a session that receives is making progress, however long it takes', async () => {
    const intake = await startIntake();
    const content = largeMessages(5 * MB);
    for (let index = 0; index < 3; index += 1) intake.server.deliver(USER, 'INBOX', content(index));
    let told = 0;
    await intake.pass({
      onProgress: () => {
        told += 1;
      },
    });
    // For each megabyte, not only for each message or page.
    expect(told).toBeGreaterThanOrEqual(15);
  });
});

describe('T10.2 and T10.3 sizes that cannot be', () => {
  it('T10.2 announced with 2 GB: oversized, and no more of it is asked for than of any small one', async () => {
    const intake = await startIntake({ after: 'delete' });
    intake.deliver(['a']);
    let asked = 0;
    intake.server.deliver(USER, 'INBOX', {
      size: 2 ** 31,
      bytes: () => {
        asked += 1;
        return Buffer.alloc(LIMITS.readAheadBytes * 2);
      },
    });
    intake.deliver(['b']);
    expect(await intake.pass()).toBe(2);
    const [row] = (await intake.ledger()).filter(({ state }) => state === 'oversized');
    expect(row).toMatchObject({ key: '2', email: null, disposition: 'none' });
    expect(row?.reason).toContain(String(2 ** 31));
    // With the listing, which asks for the first bytes of any message, and never again.
    expect(asked).toBe(1);
    // It stays on the server, and is not looked at again.
    expect(intake.server.messages(USER).map(({ uid }) => uid)).toEqual([2]);
    expect(await intake.pass()).toBe(0);
  });

  it('T10.3 announced with 1 kB, sends more than is allowed: cut at the limit, oversized', async () => {
    const intake = await startIntake({ maxMessageBytes: 3 * MB });
    intake.deliver(['a']);
    intake.server.deliver(USER, 'INBOX', largeMessages(20 * MB)(1));
    intake.deliver(['b']);
    intake.server.faults.add({ at: 'fetch', uids: [2], action: { do: 'claim-size', bytes: 1_000 } });
    expect(await intake.pass()).toBe(2);
    expect(countBy(await intake.ledger(), (row) => row.state)).toEqual({ stored: 2, oversized: 1 });
    expect(await rawFiles(intake)).toEqual([]);
    expect(await readdir(join(intake.dataDirectory, 'raw', 'tmp'))).toEqual([]);
  });

  it('T10.3 a small message that is announced as smaller than it is counts by its bytes too', async () => {
    const intake = await startIntake({ maxMessageBytes: 2_000 });
    intake.server.deliver(USER, 'INBOX', simpleMessage('too large', 'x'.repeat(3_000)));
    intake.deliver(['b']);
    intake.server.faults.add({ at: 'fetch', uids: [1], action: { do: 'claim-size', bytes: 1_000 } });
    expect(await intake.pass()).toBe(1);
    expect(countBy(await intake.ledger(), (row) => row.state)).toEqual({ stored: 1, oversized: 1 });
  });

  it('T10.3 a literal without end: in the end fetch_failed, all others stored, in bounded memory', async () => {
    const intake = await startIntake();
    intake.deliver(['a', 'endless', 'b']);
    intake.server.faults.add({ at: 'fetch', uids: [2], action: { do: 'endless', announce: 2 ** 31 } });
    await expect(intake.pass()).rejects.toMatchObject({
      code: 'server_protocol',
      fields: { suspectKey: '2' },
    });
    for (let round = 0; round < 8; round += 1) {
      await intake.pass({ careful: true }).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'server_protocol' });
      });
      await intake.db
        .updateTable('ledger')
        .set({ next_fetch_at: new Date(0) })
        .execute();
    }
    expect(countBy(await intake.ledger(), (row) => row.state)).toEqual({ stored: 2, fetch_failed: 1 });
    await expect.poll(() => intake.server.connections).toBe(0);
  });
});

describe('T10.4 a very large folder', () => {
  const COUNT = 100_000;

  it(`T10.4 the first sync of ${COUNT} messages: constant memory, stopped at 30 %, exact`, async () => {
    const intake = await startIntake();
    for (let index = 1; index <= COUNT; index += 1) {
      const bytes = (): Buffer => Buffer.from(`Subject: m${index}\r\n\r\n${index}\r\n`);
      intake.server.deliver(USER, 'INBOX', { size: bytes().length, bytes });
    }
    const first = await passInProcess(intake, COUNT * 0.3);
    expect(first.stopped).toBe(true);
    expect(first.added).toBeGreaterThanOrEqual(COUNT * 0.3);
    expect(first.added).toBeLessThan(COUNT * 0.31);
    const second = await passInProcess(intake);
    expect(first.added + second.added).toBe(COUNT);
    expect(first.peakBytes).toBeLessThan(PEAK);
    expect(second.peakBytes).toBeLessThan(PEAK);
    // 60,000 messages later: 200 bytes that each of them had left behind would show.
    expect(second.growthBytes).toBeLessThan(10 * MB);
    const { rows, keys, last } = await intake.db
      .selectFrom('ledger')
      .select((eb) => [
        eb.fn.countAll<number>().as('rows'),
        eb.fn.count<number>('key').distinct().as('keys'),
        eb.fn.max(eb.cast<number>('key', 'integer')).as('last'),
      ])
      .where('state', '=', 'stored')
      .executeTakeFirstOrThrow();
    expect({ rows, keys, last }).toEqual({ rows: COUNT, keys: COUNT, last: COUNT });
    expect(intake.toldOf('mailbox.failed')).toEqual([]);
  }, 180_000);
});
