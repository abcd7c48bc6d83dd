/** Exchange fails on single messages in many ways. Each of them costs that message and no other. */
import { describe, expect, it } from 'vitest';
import type { Action } from '../../src/lab/graph/faults.ts';
import { type GraphIntake, startGraphIntake } from '../support/graph-intake.ts';
import { startGraphLab } from '../support/graph-lab.ts';
import { countBy, names, stepping } from '../support/intake.ts';

const POISONS: readonly [string, Action][] = [
  ['500 ErrorContentConversionFailed', { do: 'answer', status: 500, code: 'ErrorContentConversionFailed' }],
  ['404 though it is there', { do: 'answer', status: 404, code: 'ErrorItemNotFound' }],
  ['405', { do: 'answer', status: 405, code: 'ErrorInvalidRequest' }],
  ['504 each time', { do: 'answer', status: 504 }],
  ['503 each time', { do: 'answer', status: 503, code: 'ErrorServerBusy' }],
  ['a page of a proxy', { do: 'answer', status: 502, html: '<html>Bad Gateway</html>' }],
  ['no answer', { do: 'hang' }],
  ['a connection that breaks', { do: 'reset' }],
  ['half a message', { do: 'cut', after: 20, end: 'reset' }],
  ['half a message, then silence', { do: 'cut', after: 20, end: 'hang' }],
  ['an empty message', { do: 'empty' }],
];

const retryNow = (intake: GraphIntake): Promise<unknown> =>
  intake.db
    .updateTable('ledger')
    .set({ next_fetch_at: new Date(0) })
    .execute();

describe('T3.3 one message cannot be read', () => {
  for (const [name, action] of POISONS) {
    it(`T3.3 ${name}: the others are taken, this one is tried again, and set aside`, async () => {
      const intake = await startGraphIntake();
      const keys = intake.lab.deliver(...names(1, 8));
      intake.server.faults.add({ at: 'value', key: keys[3]!, action });
      const graph = { answerMs: 1_000, bodyIdleMs: 1_000, retryMs: 1 };
      await intake.pass({ graph });
      // It has cost nobody else anything; a machine that stood still may have, and that is made good.
      for (let attempt = 2; countBy(await intake.ledger(), ({ state }) => state).pending; attempt += 1) {
        expect(attempt).toBeLessThan(20);
        await retryNow(intake);
        await intake.pass({ graph });
      }
      expect(await intake.subjects()).toEqual(names(1, 8).filter((subject) => subject !== 'm4'));
      const rows = await intake.ledger();
      expect(rows.find(({ key }) => key === keys[3])).toMatchObject({ state: 'fetch_failed' });
      expect(rows).toHaveLength(8);
    });
  }

  it('T3.3 it is taken when the server can read it again', async () => {
    const intake = await startGraphIntake();
    const keys = intake.lab.deliver('m1', 'm2', 'm3');
    const action = { do: 'answer', status: 500, code: 'ErrorContentConversionFailed' } as const;
    intake.server.faults.add({ at: 'value', key: keys[1]!, action, times: 1 });
    expect(await intake.pass()).toBe(2);
    await retryNow(intake);
    expect(await intake.pass()).toBe(1);
    expect(await intake.subjects()).toEqual(['m1', 'm2', 'm3']);
  });

  it('T3.3 a message that rights management protects does not stop the others', async () => {
    const intake = await startGraphIntake();
    const keys = intake.lab.deliver('m1', 'm2', 'm3');
    const action = { do: 'answer', status: 403, code: 'ErrorAccessDenied' } as const;
    intake.server.faults.add({ at: 'value', key: keys[1]!, action });
    expect(await intake.pass()).toBe(2);
    expect(countBy(await intake.ledger(), ({ state }) => state)).toEqual({ stored: 2, pending: 1 });
  });

  it('T3.3 but when nothing may be read, that is no fault of the messages', async () => {
    const intake = await startGraphIntake();
    intake.lab.deliver('m1', 'm2', 'm3');
    const action = { do: 'answer', status: 403, code: 'ErrorAccessDenied' } as const;
    const granted = intake.server.faults.add({ at: 'value', action });
    await expect(intake.pass()).rejects.toMatchObject({ code: 'permission_denied' });
    expect(await intake.ledger()).toEqual([]);
    granted();
    expect(await intake.pass()).toBe(3);
  });

  it('T3.3 nor is a network that is away', async () => {
    const intake = await startGraphIntake();
    intake.lab.deliver('m1');
    const gone = intake.pass({
      wrap: (session) =>
        stepping(session, (_step, call) => {
          if (call === 'fetch') void intake.server.stop();
        }),
    });
    await expect(gone).rejects.toMatchObject({ code: expect.stringMatching(/^connect/) });
    expect(await intake.ledger()).toEqual([]);
  });

  it('T3.3 a server that fails on a page is asked for smaller ones', async () => {
    const lab = await startGraphLab();
    lab.deliver(...names(1, 25));
    const session = await lab.session();
    lab.server.faults.add({
      at: 'delta',
      action: { do: 'answer', status: 500, code: 'ErrorInternalServerError' },
      times: 1,
    });
    const changes = await session.changes(null);
    if (changes.lost) throw new Error(changes.reason);
    const keys: string[] = [];
    for await (const { items } of changes.pages) keys.push(...items.map(({ key }) => key));
    expect(new Set(keys).size).toBe(25);
    const sizes = lab.server.requests
      .filter(({ route }) => route === 'delta')
      .map(({ prefer }) => /size=(\d+)/.exec(prefer)?.[1]);
    expect(sizes).toEqual(['200', '20', '200']);
  });

  it('T3.3 an answer without an end is cut at the limit', async () => {
    const lab = await startGraphLab();
    const keys = lab.deliver('m1', 'm2');
    const session = await lab.session();
    lab.server.faults.add({ at: 'value', key: keys[0]!, action: { do: 'endless' } });
    const answers = [];
    for await (const fetched of session.fetch(keys, 300_000)) answers.push(fetched);
    expect(answers[0]).toEqual({ key: keys[0], tooLarge: true });
    expect(answers[1]).toHaveProperty('bytes');
    const stream = await session.stream(keys[0]!, 1_000_000);
    await expect(stream.toArray()).rejects.toMatchObject({ code: 'message_oversized' });
    // Nothing is left of it that would hold up the next ones.
    for (let round = 0; round < 5; round += 1) expect(await session.existing(keys)).toEqual(new Set(keys));
  });
});
