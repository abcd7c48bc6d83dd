/** What a person is told when a Graph mailbox does not work, and what they are told to change. */
import { describe, expect, it } from 'vitest';
import { fail } from '../../src/errors.ts';
import type { GraphOptions, GraphSettings } from '../../src/source/graph/settings.ts';
import type { DiagnosisStep } from '../../src/source/source.ts';
import { ANN, GOOD_TOKEN, type GraphLab, startGraphLab, tokensOf } from '../support/graph-lab.ts';
import { freePort } from '../support/port.ts';

const never = (): AbortSignal => new AbortController().signal;

interface Case {
  name: string;
  settings?: Partial<GraphSettings>;
  options?: Partial<GraphOptions>;
  token?: string;
  tokenError?: string;
  prepare?(lab: GraphLab): void;
  step: DiagnosisStep['step'];
  found: RegExp;
  advice: RegExp;
}

const CASES: Case[] = [
  {
    name: 'a host that DNS does not know',
    settings: { graphHost: 'graph.invalid' },
    step: 'dns',
    found: /ENOTFOUND|EAI_AGAIN/,
    advice: /spelling/,
  },
  {
    name: 'a certificate of nobody',
    settings: { tlsCa: null },
    step: 'tls',
    found: /self-signed/,
    advice: /tlsCa/,
  },
  {
    name: 'a refused token',
    token: 'wrong',
    step: 'login',
    found: /refused the access token/,
    advice: /tenant/,
  },
  {
    name: 'a tenant that does not exist',
    tokenError: "invalid_request: AADSTS90002: Tenant 'x' not found.",
    step: 'login',
    found: /tenant does not exist/,
    advice: /tenant id/,
  },
  {
    name: 'a wrong secret',
    tokenError: 'invalid_client: AADSTS7000215: Invalid client secret provided.',
    step: 'login',
    found: /secret is wrong/,
    advice: /not its id/,
  },
  {
    name: 'an expired secret',
    tokenError: 'invalid_client: AADSTS7000222: The provided client secret keys are expired.',
    step: 'login',
    found: /has expired/,
    advice: /new client secret/,
  },
  {
    name: 'a missing permission',
    prepare: (lab) => lab.server.grant(GOOD_TOKEN, ['contacts']),
    step: 'login',
    found: /may not do this/,
    advice: /Mail\.ReadWrite.*consent.*RBAC scope include ann@example\.org/s,
  },
  {
    name: 'a permission for other mailboxes',
    prepare: (lab) => lab.server.grant(GOOD_TOKEN, ['write'], ['bob@example.org']),
    step: 'login',
    found: /ErrorAccessDenied/,
    advice: /RBAC/,
  },
  {
    name: 'an address of nobody',
    settings: { mailbox: 'nobody@example.org' },
    step: 'login',
    found: /no such mailbox online \(ErrorInvalidUser/,
    advice: /nobody@example\.org/,
  },
  {
    name: 'a user without a licence',
    settings: { mailbox: 'none@example.org' },
    prepare: (lab) => void lab.server.addMailbox('none@example.org', false),
    step: 'login',
    found: /MailboxNotEnabledForRESTAPI/,
    advice: /licence/,
  },
  {
    name: 'a missing folder',
    settings: { folders: ['INBOX', 'Support'] },
    step: 'folders',
    found: /Missing: Support/,
    advice: /choose from: Inbox, Sent Items/,
  },
  {
    name: 'a server that is busy',
    prepare: (lab) =>
      void lab.server.faults.add({
        action: { do: 'answer', status: 429, code: 'ApplicationThrottled', retryAfter: 900 },
      }),
    step: 'login',
    found: /Graph limits us/,
    advice: /waits longer/,
  },
  {
    name: 'no Graph behind the host',
    prepare: (lab) => void lab.server.faults.add({ action: { do: 'answer', status: 200, html: '<html>' } }),
    step: 'login',
    found: /no JSON/,
    advice: /protocol/,
  },
];

describe('diagnosis', () => {
  for (const {
    name,
    settings,
    options,
    token = GOOD_TOKEN,
    tokenError,
    prepare,
    step,
    found,
    advice,
  } of CASES) {
    it(name, async () => {
      const lab = await startGraphLab();
      prepare?.(lab);
      const failing = { get: async () => Promise.reject(fail('auth_failed', tokenError ?? '')) };
      const tokens = tokenError === undefined ? tokensOf(token) : failing;
      const steps = await lab.mailbox(settings, options, tokens).source().diagnose(never());
      const last = steps.at(-1)!;
      expect(last).toMatchObject({ step, ok: false });
      expect(last.found).toMatch(found);
      expect(last.advice).toMatch(advice);
      expect(steps.slice(0, -1).every(({ ok }) => ok)).toBe(true);
    });
  }

  it('a port that nobody listens on', async () => {
    const lab = await startGraphLab();
    const graphHost = `127.0.0.1:${await freePort()}`;
    const steps = await lab.mailbox({ graphHost }).source().diagnose(never());
    expect(steps.at(-1)).toMatchObject({ step: 'tcp', ok: false });
  });

  it('all is well', async () => {
    const lab = await startGraphLab();
    lab.deliver('m1', 'm2');
    const steps = await lab.mailbox().source().diagnose(never());
    expect(steps.map(({ step, ok }) => `${step} ${ok}`)).toEqual([
      'dns true',
      'tcp true',
      'tls true',
      'login true',
      'folders true',
    ]);
    expect(steps.at(-1)?.found).toBe('INBOX (2 messages)');
    expect(steps[3]?.found).toContain(ANN);
  });

  it('ends when it is told to', async () => {
    const lab = await startGraphLab();
    lab.server.faults.add({ action: { do: 'hang' } });
    const stop = new AbortController();
    const running = lab.mailbox().source().diagnose(stop.signal);
    setTimeout(() => stop.abort(), 200);
    expect((await running).at(-1)?.ok).toBe(false);
  });
});
