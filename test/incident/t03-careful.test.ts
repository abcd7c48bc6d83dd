/** A message that ends the session, or the process, whenever it is touched: it costs itself and no other. */
import { describe, expect, it } from 'vitest';
import { fail } from '../../src/errors.ts';
import { Poller } from '../../src/intake/poller.ts';
import { Supervisor } from '../../src/intake/supervisor.ts';
import type { Action } from '../../src/lab/imap/faults.ts';
import { LIMITS } from '../../src/limits.ts';
import type { Session, Source } from '../../src/source/source.ts';
import { countBy, type Intake, names, startIntake, stepping } from '../support/intake.ts';

const MB = 1024 * 1024;
const BREAKING: [string, Action][] = [
  ['cuts the connection', { do: 'cut', after: 3, end: 'reset' }],
  ['sends a literal without end', { do: 'endless', announce: 900 * MB }],
];

/** Runs a poller until `done`, without its waits: each failure is followed by the next attempt at once. */
async function pollUntil(intake: Intake, poller: Poller, done: () => Promise<boolean>): Promise<void> {
  let waking = Promise.resolve();
  intake.context.events.listen((name) => {
    if (name !== 'mailbox.failed') return;
    waking = waking.then(async () => {
      await intake.db
        .updateTable('ledger')
        .set({ next_fetch_at: new Date(0) })
        .execute();
      poller.wake();
    });
  });
  poller.start();
  await expect.poll(done, { timeout: 25_000, interval: 100 }).toBe(true);
  await poller.stop();
  await waking;
}

const states = async (intake: Intake): Promise<Record<string, number>> =>
  countBy(await intake.ledger(), (row) => row.state);

/** The source of a mailbox, and the keys of each call that fetched whole messages. */
function recorded(intake: Intake): { source: Source; asked: string[][] } {
  const source = intake.source();
  const asked: string[][] = [];
  return {
    asked,
    source: {
      ...source,
      connect: async (signal) => recording(await source.connect(signal), asked),
    },
  };
}

function recording(session: Session, asked: string[][]): Session {
  return {
    ...stepping(session, () => undefined),
    fetch: (keys, maxBytes) => {
      asked.push([...keys]);
      return session.fetch(keys, maxBytes);
    },
  };
}

const uids = (from: number, to: number): string[] => names(from, to).map((name) => name.slice(1));

describe('T3.3 a message that breaks the session', () => {
  for (const [what, action] of BREAKING) {
    it(`T3.3 the server ${what}: fetch_failed after ${LIMITS.fetchAttempts} attempts, all others are stored`, async () => {
      const intake = await startIntake({ pollSeconds: 3600 });
      intake.deliver(names(1, 30));
      intake.server.faults.add({ at: 'fetch', uids: [7], action });
      const { source, asked } = recorded(intake);
      const poller = new Poller(intake.context, intake.held, source, false);
      await pollUntil(intake, poller, async () => {
        const { stored, fetch_failed: failed } = await states(intake);
        return stored === 29 && failed === 1;
      });
      expect(await intake.ledger()).toHaveLength(30);
      const [failed] = (await intake.ledger()).filter((row) => row.state === 'fetch_failed');
      expect(failed).toMatchObject({ key: '7' });
      expect(asked.filter((keys) => keys.join() === '7')).toHaveLength(LIMITS.fetchAttempts);
      expect(intake.toldOf('message.fetch_failed').at(-1)).toMatchObject({ key: '7', final: true });
    });
  }

  it('T3.3 the others do not wait for its attempts: they are through after the first', async () => {
    const intake = await startIntake();
    intake.deliver(names(1, 30));
    intake.server.faults.add({ at: 'fetch', uids: [7], action: { do: 'cut', after: 3, end: 'reset' } });
    await expect(intake.pass({ careful: true })).rejects.toMatchObject({ code: 'connection_lost' });
    expect(await states(intake)).toEqual({ stored: 6, pending: 24 });
    expect(await intake.pass({ careful: true })).toBe(23);
    expect(await states(intake)).toEqual({ stored: 29, pending: 1 });
    const [pending] = (await intake.ledger()).filter((row) => row.state === 'pending');
    expect(pending).toMatchObject({ key: '7', attempts: 1 });
  });

  it('T3.3 a session that names the message is believed at once', async () => {
    const intake = await startIntake({ pollSeconds: 3600 });
    intake.deliver(names(1, 30));
    intake.server.faults.add({ at: 'fetch', uids: [7], action: { do: 'endless', announce: 900 * MB } });
    const { source, asked } = recorded(intake);
    const poller = new Poller(intake.context, intake.held, source, false);
    await pollUntil(intake, poller, async () => (await states(intake)).stored === 29);
    expect(asked.slice(0, 2)).toEqual([uids(1, 30), ['1']]);
  });

  it('T3.3 pages far behind the trouble are taken in batches again', async () => {
    const intake = await startIntake();
    const careful = 3 * LIMITS.batchMessages;
    const total = careful + 100;
    intake.deliver(names(1, total));
    const asked: string[][] = [];
    expect(await intake.pass({ careful: true, wrap: (session) => recording(session, asked) })).toBe(total);
    expect(asked.slice(0, careful).every((keys) => keys.length === 1)).toBe(true);
    expect(asked.slice(careful)).toEqual([uids(careful + 1, total)]);
  });

  it('T3.3 a message that shows late and breaks the session is counted too', async () => {
    const intake = await startIntake();
    intake.deliver(names(1, 5));
    await intake.pass();
    await intake.db.deleteFrom('ledger').where('key', 'in', ['2', '3', '4']).execute();
    await intake.db.deleteFrom('incoming_email').execute();
    await intake.db.updateTable('folder').set({ late_check_at: null }).execute();
    intake.server.faults.add({ at: 'fetch', uids: [3], action: { do: 'cut', after: 3, end: 'reset' } });
    await expect(intake.pass()).rejects.toMatchObject({ code: 'connection_lost' });
    await expect(intake.pass({ careful: true })).rejects.toMatchObject({ code: 'connection_lost' });
    expect(await states(intake)).toEqual({ stored: 3, pending: 2 });
    await intake.pass({ careful: true });
    expect(await states(intake)).toEqual({ stored: 4, pending: 1 });
  });

  it('T3.3 a full disk here is not the fault of the message', async () => {
    const intake = await startIntake();
    intake.server.deliver(
      'ann',
      'INBOX',
      Buffer.concat([Buffer.from('Subject: large\r\n\r\n'), Buffer.alloc(MB, 'x')]),
    );
    const { raw } = intake.context;
    const putStream = raw.putStream.bind(raw);
    raw.putStream = async () => {
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    };
    for (let round = 0; round < LIMITS.fetchAttempts + 1; round += 1)
      await expect(intake.pass()).rejects.toThrow('no space left');
    expect(await intake.ledger()).toEqual([]);
    raw.putStream = putStream;
    expect(await intake.pass()).toBe(1);
  });
});

describe('T3.3 a message that ends the process', () => {
  it('T3.3 dropped in the middle of it again and again: it runs out of attempts', async () => {
    const intake = await startIntake();
    intake.deliver(names(1, 12));
    let died = 0;
    for (let start = 0; start < LIMITS.fetchAttempts + 2; start += 1) {
      const pass = intake.pass({
        // What the supervisor asks for after an owner that died.
        careful: true,
        wrap: (session) => ({
          ...stepping(session, () => undefined),
          fetch: (keys, maxBytes) => {
            if (keys.includes('5')) throw fail('internal', 'as if the process had died');
            return session.fetch(keys, maxBytes);
          },
        }),
      });
      await pass.catch(() => {
        died += 1;
      });
      await intake.db
        .updateTable('ledger')
        .set({ next_fetch_at: new Date(0) })
        .execute();
    }
    expect(died).toBe(LIMITS.fetchAttempts);
    expect(await states(intake)).toEqual({ stored: 11, fetch_failed: 1 });
  });

  for (const [how, owner] of [
    ['in order', ''],
    ['without a word', 'dead'],
  ] as const) {
    it(`T3.3 the owner before ended ${how}: mail is taken ${owner === '' ? 'in batches' : 'one at a time'}`, async () => {
      const intake = await startIntake({ pollSeconds: 3600 });
      intake.deliver(names(1, 10));
      await intake.db
        .updateTable('lease')
        .set({ owner, expires_at: new Date(0) })
        .execute();
      const { source, asked } = recorded(intake);
      const supervisor = new Supervisor(intake.context, { leaseSeconds: 30, makeSource: async () => source });
      supervisor.start();
      await expect.poll(() => intake.toldOf('mailbox.listed').length, { timeout: 20_000 }).toBe(1);
      await supervisor.stop();
      expect(await intake.subjects()).toEqual(names(1, 10).sort());
      expect(asked).toEqual(owner === '' ? [uids(1, 10)] : uids(1, 10).map((uid) => [uid]));
    });
  }
});
