/** Graph throttles each mailbox, and asks to be left alone for as long as it says. */
import { describe, expect, it } from 'vitest';
import type { PenstockError } from '../../src/errors.ts';
import { backOff, NO_FAILURES } from '../../src/intake/backoff.ts';
import type { LoggedRequest } from '../../src/lab/graph/server.ts';
import { collect, fetchAll } from '../contract/source-suite.ts';
import { startGraphIntake } from '../support/graph-intake.ts';
import { ANN, startGraphLab } from '../support/graph-lab.ts';
import { names } from '../support/intake.ts';

const never = (): AbortSignal => new AbortController().signal;

/** Milliseconds from the first answer with this status to the request after it. */
function pauseAfter(requests: readonly LoggedRequest[], status: number): number {
  const refused = requests.findIndex((request) => request.status === status);
  const next = requests.slice(refused + 1).find(({ at }) => at > requests[refused]!.at);
  return next!.at - requests[refused]!.at;
}

describe('T17.1 throttling', () => {
  for (const status of [429, 503, 504]) {
    it(`T17.1 ${status} with Retry-After: nothing is asked before, and nothing is lost`, async () => {
      const intake = await startGraphIntake();
      intake.lab.deliver(...names(1, 20));
      const action = { do: 'answer', status, code: 'ApplicationThrottled', retryAfter: 1 } as const;
      intake.server.faults.add({ at: 'delta', action, times: 1 });
      expect(await intake.pass()).toBe(20);
      // The request is logged when it comes, so the pause is at least what was asked for.
      expect(pauseAfter(intake.server.requests, status)).toBeGreaterThanOrEqual(1000);
      expect(await intake.subjects()).toEqual(names(1, 20).sort());
    });
  }

  it('T17.1 one request is throttled, and all of the mailbox wait', async () => {
    const lab = await startGraphLab();
    const keys = lab.deliver(...names(1, 12));
    const session = await lab.session({ concurrency: 1 });
    const action = { do: 'answer', status: 429, code: 'ApplicationThrottled', retryAfter: 1 } as const;
    lab.server.faults.add({ at: 'value', key: keys[3]!, action, times: 1 });
    expect(await fetchAll(session, keys)).toHaveLength(12);
    expect(pauseAfter(lab.server.requests, 429)).toBeGreaterThanOrEqual(1000);
  });

  it('T17.1 a long wait ends the session, which says for how long; until then nothing is asked', async () => {
    const lab = await startGraphLab();
    lab.deliver('m1');
    const source = lab.mailbox().source();
    const session = await source.connect(never());
    await session.open('INBOX');
    const action = { do: 'answer', status: 429, code: 'ApplicationThrottled', retryAfter: 900 } as const;
    lab.server.faults.add({ at: 'delta', action, times: 1 });
    const error = (await session.changes(null).catch((thrown: unknown) => thrown)) as PenstockError;
    expect(error).toMatchObject({ code: 'server_busy', fields: { backoffMs: 900_000 } });
    expect(backOff(NO_FAILURES, error, 1000, 0)).toMatchObject({ waitMs: 900_000, blocked: false });
    const asked = lab.server.requests.length;
    // A person who says "poll now" does not make it any sooner.
    await expect(source.connect(never())).rejects.toMatchObject({ code: 'server_busy' });
    expect(lab.server.requests.length).toBe(asked);
    await session.close();
  });

  it('T17.1 without Retry-After the waits grow, and then the session ends', async () => {
    const lab = await startGraphLab();
    const session = await lab.session();
    lab.server.faults.add({ at: 'delta', action: { do: 'answer', status: 503 } });
    await expect(session.changes(null)).rejects.toMatchObject({ code: 'server_busy' });
    expect(lab.server.count('delta')).toBe(4);
  });

  it('T17.1 a mailbox that is throttled does not stop another one', async () => {
    const lab = await startGraphLab();
    lab.server.addMailbox('bob@example.org');
    lab.deliver('m1');
    const action = { do: 'answer', status: 429, code: 'ApplicationThrottled', retryAfter: 900 } as const;
    lab.server.faults.add({ mailbox: ANN, action });
    await expect(lab.mailbox().source().connect(never())).rejects.toMatchObject({ code: 'server_busy' });
    const session = await lab.mailbox({ mailbox: 'bob@example.org' }).source().connect(never());
    await session.open('INBOX');
    await session.close();
  });
});

describe('T17 requests at once', () => {
  it('T17 a mailbox never has more than three, whatever goes on', async () => {
    const lab = await startGraphLab();
    const keys = lab.deliver(...names(1, 60));
    lab.server.faults.add({ at: 'value', action: { do: 'wait', ms: 5 } });
    const mailbox = lab.mailbox();
    const sessions = await Promise.all([1, 2].map(() => mailbox.source().connect(never())));
    for (const session of sessions) await session.open('INBOX');
    await Promise.all(sessions.map((session) => collect(session.fetch(keys, 1_000_000))));
    expect(lab.server.peak).toBe(3);
    expect(lab.server.requests.every(({ status }) => status === 200)).toBe(true);
    for (const session of sessions) await session.close();
  });

  it('T17 others of the same application may be at it too: MailboxConcurrency is waited out', async () => {
    const intake = await startGraphIntake();
    intake.lab.deliver(...names(1, 10));
    const action = { do: 'answer', status: 429, code: 'MailboxConcurrency' } as const;
    intake.server.faults.add({ at: 'value', action, times: 3 });
    expect(await intake.pass()).toBe(10);
    expect(await intake.subjects()).toEqual(names(1, 10).sort());
  });
});
