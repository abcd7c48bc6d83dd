/** Graph names no size of a message, only what it takes in the store; and that may be anything. */
import { describe, expect, it } from 'vitest';
import { startGraphIntake } from '../support/graph-intake.ts';
import { ANN } from '../support/graph-lab.ts';
import { countBy } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';

const LIMIT = 400_000;
const body = (bytes: number): string => `${'x'.repeat(70)}\r\n`.repeat(Math.ceil(bytes / 72));

describe('T10 sizes', () => {
  it('T10.2 what is surely too large is not downloaded', async () => {
    const intake = await startGraphIntake({ maxMessageBytes: LIMIT });
    intake.server.deliver(ANN, { size: 2_000_000_000, bytes: () => simpleMessage('huge') });
    intake.lab.deliver('m1');
    expect(await intake.pass()).toBe(1);
    expect(countBy(await intake.ledger(), ({ state }) => state)).toEqual({ oversized: 1, stored: 1 });
    expect(intake.server.count('value')).toBe(1);
  });

  it('T10.3 what is said to be small and is not is cut at the limit, and recorded as oversized', async () => {
    const intake = await startGraphIntake({ maxMessageBytes: LIMIT });
    const large = simpleMessage('large', body(LIMIT));
    intake.server.deliver(ANN, { size: 1_000, bytes: () => large });
    intake.lab.deliver('m1');
    expect(await intake.pass()).toBe(1);
    expect(countBy(await intake.ledger(), ({ state }) => state)).toEqual({ oversized: 1, stored: 1 });
    expect(await intake.subjects()).toEqual(['m1']);
  });

  it('T10.3 what takes more in the store than the limit, and less on the wire, is taken', async () => {
    const intake = await startGraphIntake({ maxMessageBytes: LIMIT });
    const message = simpleMessage('text', body(LIMIT - 2_000));
    intake.server.deliver(ANN, { size: LIMIT + 50_000, bytes: () => message });
    expect(await intake.pass()).toBe(1);
    expect(await intake.subjects()).toEqual(['text']);
  });

  it('T10.3 a server that gives no sizes with a delta is listed all the same', async () => {
    const intake = await startGraphIntake({ maxMessageBytes: LIMIT });
    intake.server.delta.script.expands = false;
    intake.server.deliver(ANN, simpleMessage('large', body(LIMIT)));
    intake.server.deliver(ANN, simpleMessage('medium', body(300_000)));
    intake.lab.deliver('small');
    expect(await intake.pass()).toBe(2);
    expect(await intake.subjects()).toEqual(['medium', 'small']);
    expect(countBy(await intake.ledger(), ({ state }) => state)).toEqual({ oversized: 1, stored: 2 });
  });
});
