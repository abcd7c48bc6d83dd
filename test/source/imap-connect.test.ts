import { describe, expect, it } from 'vitest';
import { makeCertificate } from '../../src/lab/certificate.ts';
import type { DiagnosisStep } from '../../src/source/source.ts';
import { collect, never, SHORT, startLab } from '../support/imap-lab.ts';
import { freePort } from '../support/port.ts';

const DAY = 24 * 60 * 60 * 1000;
const good = makeCertificate({ names: ['localhost', '127.0.0.1'] });
const expired = makeCertificate({
  names: ['127.0.0.1'],
  notBefore: new Date(Date.now() - 2 * DAY),
  notAfter: new Date(Date.now() - DAY),
});
const otherName = makeCertificate({ names: ['mail.example.org'] });

describe('TLS', () => {
  for (const tls of ['implicit', 'starttls'] as const) {
    it(`${tls}: works with the authority that the settings name`, async () => {
      const lab = await startLab({ certificate: good, tls });
      const session = await lab.source({ tls, tlsCa: good.cert }).connect(never());
      expect((await session.open('INBOX')).path).toBe('INBOX');
      await session.close();
    });

    it(`${tls}: names the real cause when the certificate is not trusted`, async () => {
      const lab = await startLab({ certificate: good, tls });
      await expect(lab.source({ tls }).connect(never())).rejects.toMatchObject({
        code: 'tls_failed',
        message: 'TLS failed: the certificate is self-signed',
      });
    });

    it(`${tls}: names the real cause when the certificate has expired, or is for another name`, async () => {
      for (const [certificate, why] of [
        [expired, /expired/],
        [otherName, /another host name/],
      ] as const) {
        const lab = await startLab({ certificate, tls });
        const connecting = lab.source({ tls, tlsCa: certificate.cert }).connect(never());
        await expect(connecting).rejects.toMatchObject({
          code: 'tls_failed',
          message: expect.stringMatching(why),
        });
      }
    });

    it(`${tls}: takes any certificate only when asked to`, async () => {
      const lab = await startLab({ certificate: expired, tls });
      const session = await lab.source({ tls, tlsVerify: false }).connect(never());
      await session.close();
    });
  }

  it('starttls: never logs in over cleartext when the server does not offer it', async () => {
    const lab = await startLab();
    await expect(lab.source({ tls: 'starttls' }).connect(never())).rejects.toMatchObject({
      code: 'starttls_missing',
    });
    expect(lab.server.countCommands('AUTHENTICATE') + lab.server.countCommands('LOGIN')).toBe(0);
  });

  it('starttls: never logs in over cleartext when the server refuses it', async () => {
    const lab = await startLab({ certificate: good });
    lab.server.faults.add({ at: 'starttls', action: { do: 'bad', text: 'Not today' } });
    await expect(lab.source({ tls: 'starttls', tlsCa: good.cert }).connect(never())).rejects.toMatchObject({
      name: 'PenstockError',
    });
    expect(lab.server.countCommands('AUTHENTICATE') + lab.server.countCommands('LOGIN')).toBe(0);
  });

  it('none: stays without TLS even when the server offers it, because that was asked for', async () => {
    const lab = await startLab({ certificate: good });
    const session = await lab.source({ tls: 'none' }).connect(never());
    expect(lab.server.countCommands('STARTTLS')).toBe(0);
    await session.close();
  });

  it('implicit: says so when the port speaks no TLS', async () => {
    const lab = await startLab();
    await expect(lab.source({ tls: 'implicit' }, SHORT).connect(never())).rejects.toMatchObject({
      code: 'tls_failed',
    });
  });
});

describe('login', () => {
  it('takes a token with XOAUTH2', async () => {
    const lab = await startLab();
    const session = await lab.source({ auth: { kind: 'xoauth2', token: 'token' } }).connect(never());
    await session.close();
    expect(lab.server.logins.get('ann')).toBe(1);
  });

  it('says auth_failed for a token that is not taken', async () => {
    const lab = await startLab();
    const source = lab.source({ auth: { kind: 'xoauth2', token: 'stale' } });
    await expect(source.connect(never())).rejects.toMatchObject({ code: 'auth_failed' });
  });

  it('says auth_failed when the server takes no tokens at all', async () => {
    const lab = await startLab({ without: ['AUTH=XOAUTH2'] });
    const source = lab.source({ auth: { kind: 'xoauth2', token: 'token' } });
    await expect(source.connect(never())).rejects.toMatchObject({ code: 'auth_failed' });
  });

  it('works on a server without an initial response (SASL-IR)', async () => {
    const lab = await startLab({ without: ['SASL-IR'] });
    const session = await lab.source({ auth: { kind: 'xoauth2', token: 'token' } }).connect(never());
    await session.close();
  });

  it('keeps the password and the token out of errors', async () => {
    const lab = await startLab();
    for (const auth of [
      { kind: 'password', password: 'hunter2' },
      { kind: 'xoauth2', token: 'hunter2' },
    ] as const) {
      const error = await lab
        .source({ auth })
        .connect(never())
        .catch((thrown: unknown) => thrown as Error);
      const { message, fields } = error as Error & { fields: object };
      expect(`${message} ${JSON.stringify(fields)}`).not.toMatch(/hunter2/);
    }
  });

  it('ends an attempt when the signal says so', async () => {
    const lab = await startLab();
    lab.server.faults.add({ at: 'login', action: { do: 'hang' } });
    const stop = new AbortController();
    const connecting = lab.source().connect(stop.signal);
    await expect.poll(() => lab.server.countCommands('AUTHENTICATE')).toBe(1);
    stop.abort();
    await expect(connecting).rejects.toMatchObject({ code: 'connection_lost' });
    await expect.poll(() => lab.server.connections).toBe(0);
  });
});

describe('folders', () => {
  it('opens folders with names outside ASCII, moves there, and counts', async () => {
    const lab = await startLab();
    lab.server.store.createFolder('ann', 'Müll & Cø/日本');
    lab.fill(1);
    const session = await lab.session();
    expect((await session.dispose(['1'], 'move', 'Müll & Cø/日本')).get('1')).toBe('done');
    expect(await session.open('Müll & Cø/日本')).toMatchObject({
      path: 'Müll & Cø/日本',
      count: 1,
      writable: true,
    });
  });

  it('refuses calls before a folder is open, and after one could not be opened', async () => {
    const lab = await startLab();
    const session = await lab.source().connect(never());
    await expect(session.changes(null)).rejects.toMatchObject({ code: 'internal' });
    await session.open('INBOX');
    await expect(session.open('Nowhere')).rejects.toMatchObject({ code: 'folder_missing' });
    await expect(session.existing(['1'])).rejects.toMatchObject({ code: 'internal' });
    await expect(collect(session.keys())).rejects.toMatchObject({ code: 'internal' });
    await session.close();
  });
});

describe('diagnose', () => {
  async function last(steps: Promise<DiagnosisStep[]>): Promise<DiagnosisStep | undefined> {
    const all = await steps;
    expect(all.slice(0, -1).every(({ ok }) => ok)).toBe(true);
    return all.at(-1);
  }

  it('shows every step of settings that work', async () => {
    for (const [tls, order] of [
      ['implicit', ['dns', 'tcp', 'tls', 'greeting', 'capabilities', 'login', 'folders']],
      ['starttls', ['dns', 'tcp', 'greeting', 'capabilities', 'tls', 'login', 'folders']],
    ] as const) {
      const lab = await startLab({ certificate: good, tls });
      const steps = await lab.source({ tls, tlsCa: good.cert }).diagnose(never());
      expect(steps.map(({ step }) => step)).toEqual(order);
      expect(steps.filter(({ ok, advice }) => !ok || advice !== null)).toEqual([]);
      expect(steps.find(({ step }) => step === 'tls')?.found).toMatch(
        /DNS:localhost, IP Address:127.0.0.1.*valid until/,
      );
      expect(steps.at(-1)?.found).toBe('INBOX (0 messages)');
    }
  });

  it('dns: a host that does not exist', async () => {
    const lab = await startLab();
    const step = await last(lab.source({ host: 'no-such-host.invalid' }).diagnose(never()));
    expect(step).toMatchObject({
      step: 'dns',
      ok: false,
      advice: expect.stringContaining('no-such-host.invalid'),
    });
  });

  it('tcp: a port where nobody listens', async () => {
    const lab = await startLab();
    const port = await freePort();
    const step = await last(lab.source({ port }).diagnose(never()));
    expect(step).toMatchObject({ step: 'tcp', ok: false, advice: expect.stringContaining(String(port)) });
  });

  it('tls: what is wrong with the certificate, and what to do', async () => {
    for (const [certificate, tlsCa, found, advice] of [
      [good, null, /self-signed/, /tlsCa/],
      [expired, expired.cert, /expired.*valid until/, /Renew/],
      [otherName, otherName.cert, /does not name 127\.0\.0\.1/, /mail\.example\.org/],
    ] as const) {
      const lab = await startLab({ certificate, tls: 'implicit' });
      const step = await last(lab.source({ tls: 'implicit', tlsCa }).diagnose(never()));
      expect(step).toMatchObject({
        step: 'tls',
        ok: false,
        found: expect.stringMatching(found),
        advice: expect.stringMatching(advice),
      });
    }
  });

  it('tls: says what it would find when the check is switched off', async () => {
    const lab = await startLab({ certificate: expired, tls: 'implicit' });
    const steps = await lab.source({ tls: 'implicit', tlsVerify: false }).diagnose(never());
    expect(steps.at(-1)).toMatchObject({ step: 'folders', ok: true });
    expect(steps.find(({ step }) => step === 'tls')?.found).toMatch(/not checked/);
  });

  it('tls: TLS on a port that speaks none', async () => {
    const lab = await startLab();
    const step = await last(lab.source({ tls: 'implicit' }, SHORT).diagnose(never()));
    expect(step).toMatchObject({ step: 'tls', ok: false, advice: expect.stringContaining('starttls') });
  });

  it('greeting: a port that waits for TLS', async () => {
    const lab = await startLab({ certificate: good, tls: 'implicit' });
    const step = await last(lab.source({ tls: 'none' }, { ...SHORT, connectMs: 300 }).diagnose(never()));
    expect(step).toMatchObject({ step: 'greeting', ok: false, advice: expect.stringContaining('implicit') });
  });

  it('greeting: a server that turns connections away', async () => {
    const lab = await startLab();
    lab.server.faults.add({ at: 'greeting', action: { do: 'bye', text: 'Full' } });
    expect(await last(lab.source().diagnose(never()))).toMatchObject({
      step: 'greeting',
      ok: false,
      found: '* BYE Full',
    });
  });

  it('capabilities: no STARTTLS', async () => {
    const lab = await startLab();
    const step = await last(lab.source({ tls: 'starttls' }).diagnose(never()));
    expect(step).toMatchObject({ step: 'capabilities', ok: false, advice: expect.stringContaining('993') });
  });

  it('login: a stale token, and a busy server, get different advice', async () => {
    const lab = await startLab();
    const stale = await last(lab.source({ auth: { kind: 'xoauth2', token: 'stale' } }).diagnose(never()));
    expect(stale).toMatchObject({ step: 'login', ok: false, advice: expect.stringContaining('token') });
    lab.server.faults.add({ at: 'login', action: { do: 'no', text: '[LIMIT] Too many connections' } });
    const busy = await last(lab.source().diagnose(never()));
    expect(busy).toMatchObject({ step: 'login', ok: false, advice: expect.not.stringContaining('password') });
  });

  it('folders: one that is missing, with those that are there', async () => {
    const lab = await startLab();
    const step = await last(lab.source({ folders: ['INBOX', 'Suport'] }).diagnose(never()));
    expect(step).toMatchObject({
      step: 'folders',
      ok: false,
      found: 'Missing: Suport',
      advice: expect.stringContaining('Sent'),
    });
  });

  it('ends when the signal says so, and leaves no connection', async () => {
    const lab = await startLab();
    lab.server.faults.add({ at: 'greeting', action: { do: 'hang' } });
    const stop = new AbortController();
    const diagnosing = lab.source().diagnose(stop.signal);
    await expect.poll(() => lab.server.connections).toBe(1);
    stop.abort();
    expect((await diagnosing).at(-1)).toMatchObject({ ok: false });
    await expect.poll(() => lab.server.connections).toBe(0);
  });
});
