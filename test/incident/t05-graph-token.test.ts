/** Tokens end, and are revoked, whenever it suits nobody. */
import { describe, expect, it } from 'vitest';
import { fail } from '../../src/errors.ts';
import { startGraphIntake } from '../support/graph-intake.ts';
import { GOOD_TOKEN, startGraphLab, tokensOf } from '../support/graph-lab.ts';
import { names } from '../support/intake.ts';

const never = (): AbortSignal => new AbortController().signal;

describe('T5.1 a token ends in mid-run', () => {
  it('T5.1 another one is asked for, once, and nothing is lost or taken twice', async () => {
    const intake = await startGraphIntake({ dedup: 'none' });
    intake.lab.deliver(...names(1, 30));
    intake.server.grant('second');
    const tokens = tokensOf(GOOD_TOKEN, 'second');
    // Each request that is under way with the old token learns of it for itself.
    intake.server.faults.add({
      at: 'value',
      action: { do: 'answer', status: 401, code: 'InvalidAuthenticationToken' },
      after: 10,
      times: 1,
    });
    expect(await intake.pass({ tokens })).toBe(30);
    expect(await intake.subjects()).toEqual(names(1, 30).sort());
    expect(tokens.asked.filter((refused) => refused !== undefined)).toEqual([GOOD_TOKEN]);
  });

  it('T5.1 a token that is revoked altogether is replaced for all requests', async () => {
    const lab = await startGraphLab();
    const keys = lab.deliver(...names(1, 30));
    lab.server.grant('second');
    const tokens = tokensOf(GOOD_TOKEN, 'second');
    const session = await lab.session({}, tokens);
    let got = 0;
    for await (const fetched of session.fetch(keys, 1_000_000)) {
      if (!('bytes' in fetched)) throw new Error(`No bytes for ${fetched.key}`);
      got += 1;
      if (got === 10) lab.server.tokens.delete(GOOD_TOKEN);
    }
    expect(got).toBe(30);
  });
});

describe('T5.3 no good token is to be had', () => {
  it('T5.3 refused twice: the session ends with auth_failed after two requests', async () => {
    const lab = await startGraphLab();
    const tokens = tokensOf('bad', 'worse');
    const source = lab.mailbox({}, {}, tokens).source();
    await expect(source.connect(never())).rejects.toMatchObject({ code: 'auth_failed' });
    expect(tokens.asked).toEqual([undefined, 'bad']);
    expect(lab.server.requests).toHaveLength(2);
  });

  it('T5.3 what the token provider says is what the operator is told', async () => {
    const lab = await startGraphLab();
    const get = async (): Promise<string> => {
      throw fail('auth_failed', 'AADSTS7000222: The provided client secret keys are expired.');
    };
    const source = lab.mailbox({}, {}, { get }).source();
    const refusal = { code: 'auth_failed', message: /AADSTS7000222/ };
    await expect(source.connect(never())).rejects.toMatchObject({ code: refusal.code });
    await expect(source.connect(never())).rejects.toThrow(refusal.message);
    expect(lab.server.requests).toEqual([]);
  });

  it('T5.3 a provider that never answers ends the attempt in time, and when it is told to end', async () => {
    const lab = await startGraphLab();
    const tokens = { get: () => new Promise<string>(() => {}) };
    const late = lab.mailbox({}, { answerMs: 50 }, tokens).source().connect(never());
    await expect(late).rejects.toMatchObject({ code: 'stalled' });
    const stop = new AbortController();
    const stopped = lab.mailbox({}, { answerMs: 600_000 }, tokens).source().connect(stop.signal);
    setImmediate(() => stop.abort());
    await expect(stopped).rejects.toMatchObject({ code: 'connection_lost' });
  });
});
