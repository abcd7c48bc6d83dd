/** Pages over a folder that changes while it is read. */
import { describe, expect, it } from 'vitest';
import { collect } from '../contract/source-suite.ts';
import { startGraphIntake } from '../support/graph-intake.ts';
import { ANN, startGraphLab } from '../support/graph-lab.ts';
import { countBy, names } from '../support/intake.ts';

describe('T19.1 paging drift', () => {
  for (const after of ['seen', 'move'] as const) {
    it(`T19.1 450 messages, each page treated (${after}) while the next one is listed: all are taken`, async () => {
      const intake = await startGraphIntake({
        dedup: 'none',
        after,
        afterFolder: after === 'move' ? 'Done' : null,
      });
      intake.lab.deliver(...names(1, 450));
      expect(await intake.pass()).toBe(450);
      expect(await intake.pass()).toBe(0);
      expect(await intake.subjects()).toEqual(names(1, 450).sort());
      expect(countBy(await intake.ledger(), ({ disposition }) => disposition)).toEqual({ done: 450 });
    });
  }

  it('T19.1 empty pages in the middle and at the end of a round end nothing', async () => {
    const intake = await startGraphIntake();
    Object.assign(intake.server.delta.script, { emptyPages: 2, lastIsEmpty: true });
    intake.lab.deliver(...names(1, 250));
    expect(await intake.pass()).toBe(250);
    intake.lab.deliver('new');
    expect(await intake.pass()).toBe(1);
    expect(await intake.pass()).toBe(0);
    expect(await intake.subjects()).toEqual([...names(1, 250), 'new'].sort());
  });

  it('T19.1 the list for the audit misses nothing when others delete meanwhile', async () => {
    const lab = await startGraphLab();
    const keys = lab.deliver(...names(1, 1200));
    const mailbox = lab.server.mailbox(ANN);
    const session = await lab.session();
    const seen: string[] = [];
    for await (const page of session.keys()) {
      seen.push(...page);
      // An offset would now point behind a hundred that nobody has seen.
      if (seen.length === 1000) for (const key of keys.slice(0, 100)) mailbox.remove(mailbox.message(key)!);
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toEqual(keys);
  });

  it('T19.1 nor when more than a page came in one second', async () => {
    const lab = await startGraphLab();
    const receivedDateTime = new Date('2024-05-05T05:05:05Z');
    const keys: string[] = [];
    for (const subject of names(1, 2_100)) {
      const message = Buffer.from(`Subject: ${subject}\r\n\r\n`);
      keys.push(lab.server.deliver(ANN, message, { receivedDateTime }).immutableId);
    }
    keys.push(...lab.deliver('later'));
    const session = await lab.session();
    const seen = (await collect(session.keys())).flat();
    expect(new Set(seen)).toEqual(new Set(keys));
    expect(seen).toHaveLength(keys.length);
  });
});

it('T19 an idle folder costs no transaction a round; once in a while its cursor is stored anew', async () => {
  const intake = await startGraphIntake();
  intake.lab.deliver('m1');
  await intake.pass();
  const first = await intake.cursor();
  await intake.pass();
  expect(await intake.cursor()).toBe(first);
  await intake.pass({ graph: { renewCursorMs: 0 } });
  expect(await intake.cursor()).not.toBe(first);
  intake.lab.deliver('m2');
  expect(await intake.pass()).toBe(1);
});
