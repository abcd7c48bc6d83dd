import net from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeCertificate } from '../../src/lab/certificate.ts';
import type { DiagnosisStep } from '../../src/source/source.ts';
import { never } from '../support/imap-lab.ts';
import { SHORT, startPop3Lab } from '../support/pop3-lab.ts';

const DAY = 24 * 60 * 60 * 1000;
const good = makeCertificate({ names: ['localhost', '127.0.0.1'] });
const expired = makeCertificate({
  names: ['127.0.0.1'],
  notBefore: new Date(Date.now() - 2 * DAY),
  notAfter: new Date(Date.now() - DAY),
});
const otherName = makeCertificate({ names: ['mail.example.org'] });

/** A server that says `script` line by line, one line for each that it hears; the first as its greeting. */
async function scripted(script: readonly string[]): Promise<{ port: number; heard: string[] }> {
  const heard: string[] = [];
  const server = net.createServer((socket) => {
    const left = [...script];
    socket.on('error', () => {});
    socket.write(left.shift() ?? '');
    socket.on('data', (bytes) => {
      for (const line of bytes.toString('latin1').split('\r\n').slice(0, -1)) {
        heard.push(line);
        const next = left.shift();
        if (next === undefined) socket.end();
        else socket.write(next);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  onTestFinished(() => void server.close());
  return { port: (server.address() as net.AddressInfo).port, heard };
}

describe('TLS', () => {
  for (const tls of ['implicit', 'starttls'] as const) {
    it(`${tls}: works with the authority that the settings name`, async () => {
      const lab = await startPop3Lab({ certificate: good, tls });
      const session = await lab.source({ tls, tlsCa: good.cert }).connect(never());
      expect((await session.open('INBOX')).path).toBe('INBOX');
      await session.close();
    });

    it(`${tls}: names the real cause when the certificate is not trusted, expired or another's`, async () => {
      for (const [certificate, tlsCa, why] of [
        [good, null, /self-signed/],
        [expired, expired.cert, /expired/],
        [otherName, otherName.cert, /another host name/],
      ] as const) {
        const lab = await startPop3Lab({ certificate, tls });
        await expect(lab.source({ tls, tlsCa }).connect(never())).rejects.toMatchObject({
          code: 'tls_failed',
          message: expect.stringMatching(why),
        });
        expect(lab.server.countCommands('USER')).toBe(0);
      }
    });

    it(`${tls}: takes any certificate only when asked to`, async () => {
      const lab = await startPop3Lab({ certificate: expired, tls });
      await (await lab.source({ tls, tlsVerify: false }).connect(never())).close();
    });
  }

  it.each([
    { without: [] },
    // Without CAPA there is only one way to find out.
    { without: ['CAPA', 'STLS'] },
  ])('starttls: never logs in over cleartext to a server without it: $without', async (options) => {
    const lab = await startPop3Lab(options);
    await expect(lab.source({ tls: 'starttls' }).connect(never())).rejects.toMatchObject({
      code: 'starttls_missing',
    });
    expect(lab.server.countCommands('USER') + lab.server.countCommands('AUTH')).toBe(0);
  });

  it('starttls: is tried on a server without CAPA', async () => {
    const lab = await startPop3Lab({ certificate: good, without: ['CAPA'] });
    const session = await lab.source({ tls: 'starttls', tlsCa: good.cert }).connect(never());
    await session.close();
    expect(lab.server.countCommands('STLS')).toBe(1);
  });

  it('starttls: refuses words that came with the answer to STLS, before the handshake', async () => {
    const { port, heard } = await scripted([
      '+OK hello\r\n',
      '+OK\r\nSTLS\r\n.\r\n',
      '+OK begin\r\n+OK injected\r\n',
    ]);
    const lab = await startPop3Lab();
    await expect(lab.source({ port, tls: 'starttls' }).connect(never())).rejects.toMatchObject({
      code: 'tls_failed',
      message: expect.stringContaining('attack'),
    });
    expect(heard).toEqual(['CAPA', 'STLS']);
  });

  it('starttls: forgets what was said before, and asks again', async () => {
    const lab = await startPop3Lab({ certificate: good });
    await (await lab.source({ tls: 'starttls', tlsCa: good.cert }).connect(never())).close();
    expect(lab.server.commands.map(({ name }) => name)).toEqual([
      'CAPA',
      'STLS',
      'CAPA',
      'USER',
      'PASS',
      'CAPA',
      'QUIT',
    ]);
  });

  it('none: stays without TLS even when the server offers it, because that was asked for', async () => {
    const lab = await startPop3Lab({ certificate: good });
    await (await lab.source({ tls: 'none' }).connect(never())).close();
    expect(lab.server.countCommands('STLS')).toBe(0);
  });

  it('implicit: says so when the port speaks no TLS', async () => {
    const lab = await startPop3Lab();
    await expect(lab.source({ tls: 'implicit' }, SHORT).connect(never())).rejects.toMatchObject({
      code: 'tls_failed',
      message: expect.stringContaining('does not speak TLS'),
    });
  });
});

describe('the login', () => {
  it('XOAUTH2: a short token goes with the command, a long one on a line of its own (RFC 5034, RFC 2449)', async () => {
    for (const [token, asked] of [
      ['token', 'XOAUTH2 with a response'],
      ['t'.repeat(2_000), 'XOAUTH2'],
    ] as const) {
      const lab = await startPop3Lab();
      lab.server.addUser('ann', { token });
      const session = await lab.source({ auth: { kind: 'xoauth2', token } }).connect(never());
      await session.close();
      expect(lab.server.commands.filter(({ name }) => name === 'AUTH').map(({ detail }) => detail)).toEqual([
        asked,
      ]);
    }
  });

  it('XOAUTH2: tells what the server says about a token that it does not take', async () => {
    for (const token of ['wrong', 'w'.repeat(2_000)]) {
      const lab = await startPop3Lab();
      await expect(lab.source({ auth: { kind: 'xoauth2', token } }).connect(never())).rejects.toMatchObject({
        code: 'auth_failed',
        message: expect.stringContaining('"status":"401"'),
      });
    }
  });

  it('AUTH PLAIN is used where USER is not offered', async () => {
    const lab = await startPop3Lab({ without: ['USER'] });
    await (await lab.source().connect(never())).close();
    expect(lab.server.countCommands('AUTH')).toBe(1);
    await expect(
      lab.source({ auth: { kind: 'password', password: 'wrong' } }).connect(never()),
    ).rejects.toMatchObject({ code: 'auth_failed' });
  });

  it('takes a password with spaces and other letters, and none that would be two lines', async () => {
    const lab = await startPop3Lab();
    const password = ' ein  Paßwort 🙂 ';
    // The lab reads lines as latin1, as bytes.
    lab.server.addUser('ann', { password: Buffer.from(password).toString('latin1') });
    await (await lab.source({ auth: { kind: 'password', password } }).connect(never())).close();
    const two = { kind: 'password', password: 'a\r\nDELE 1' } as const;
    await expect(lab.source({ auth: two }).connect(never())).rejects.toMatchObject({
      code: 'config_invalid',
    });
    expect(lab.server.countCommands('DELE')).toBe(0);
  });

  it.each([
    ['[AUTH] wrong', 'auth_failed'],
    ['wrong password', 'auth_failed'],
    ['[IN-USE] Do you have another POP session running?', 'mailbox_in_use'],
    ['Unable to lock maildrop: Mailbox is locked by POP server', 'mailbox_in_use'],
    ['[LOGIN-DELAY] minimum time between mail checks violation', 'server_busy'],
    ['[SYS/TEMP] Problem with database', 'server_busy'],
    ['[SYS/PERM] Account is closed', 'server_refused'],
    ['Too many connections, try again later', 'server_busy'],
    ['[sys/temp] in small letters', 'server_busy'],
  ])('%s is %s', async (text, code) => {
    const lab = await startPop3Lab();
    lab.server.faults.add({ at: 'login', action: { do: 'err', text } });
    await expect(lab.source().connect(never())).rejects.toMatchObject({ code });
  });

  it('says how long a server without patience wants to be left alone', async () => {
    const lab = await startPop3Lab({ also: ['LOGIN-DELAY 300'] });
    lab.server.faults.add({ at: 'login', action: { do: 'err', text: '[LOGIN-DELAY] too soon' } });
    await expect(lab.source().connect(never())).rejects.toMatchObject({
      code: 'server_busy',
      fields: { backoffMs: 300_000 },
    });
  });

  it('works on a server without CAPA', async () => {
    const lab = await startPop3Lab({ without: ['CAPA', 'PIPELINING'] });
    lab.fill(2);
    const session = await lab.session();
    expect(await session.existing(['1', '2'])).toEqual(new Set(['1', '2']));
  });
});

describe('servers that are none', () => {
  it.each([
    ['* OK IMAP4 ready\r\n', 'server_protocol'],
    ['-ERR go away\r\n', 'greeting_failed'],
    ['-ERR [SYS/TEMP] later\r\n', 'server_busy'],
    [`+OK ${'x'.repeat(20_000)}\r\n`, 'server_protocol'],
    ['y'.repeat(20_000), 'server_protocol'],
    ['', 'stalled'],
  ])('a greeting of %j', async (greeting, code) => {
    const { port } = await scripted([greeting]);
    const lab = await startPop3Lab();
    const connecting = lab.source({ port }, { ...SHORT, greetingMs: 300 }).connect(never());
    await expect(connecting).rejects.toMatchObject({ code });
  });

  it('a listing without end is cut off', async () => {
    const lab = await startPop3Lab();
    const endless = Array.from({ length: 300 }, (_value, index) => `X-${index}`);
    const { port } = await scripted(['+OK\r\n', `+OK\r\n${endless.join('\r\n')}\r\n`]);
    await expect(lab.source({ port }).connect(never())).rejects.toMatchObject({ code: 'server_protocol' });
  });

  it('an attempt that is ended says so', async () => {
    const lab = await startPop3Lab();
    lab.server.faults.add({ at: 'login', action: { do: 'hang' } });
    const stop = new AbortController();
    const connecting = lab.source().connect(stop.signal);
    setTimeout(() => stop.abort(), 50);
    await expect(connecting).rejects.toMatchObject({ code: 'connection_lost' });
  });
});

describe('the diagnosis', () => {
  const last = (steps: DiagnosisStep[]): DiagnosisStep => steps.at(-1) as DiagnosisStep;

  it('goes through every step', async () => {
    for (const tls of ['implicit', 'starttls'] as const) {
      const lab = await startPop3Lab({ certificate: good, tls, also: ['LOGIN-DELAY 300'] });
      lab.fill(3);
      const steps = await lab.source({ tls, tlsCa: good.cert }).diagnose(never());
      expect(steps.filter(({ ok }) => !ok)).toEqual([]);
      expect(steps.map(({ step }) => step).sort()).toEqual(
        ['capabilities', 'dns', 'folders', 'greeting', 'login', 'tcp', 'tls'].sort(),
      );
      expect(steps.find(({ step }) => step === 'capabilities')?.found).toContain(
        '300 seconds between two logins',
      );
      expect(last(steps)).toMatchObject({ step: 'folders', found: 'INBOX (3 messages)' });
    }
  });

  it('says what to change', async () => {
    const plain = await startPop3Lab();
    expect(last(await plain.source({ tls: 'starttls' }).diagnose(never()))).toMatchObject({
      step: 'capabilities',
      ok: false,
      advice: expect.stringContaining('995'),
    });
    expect(last(await plain.source({ tls: 'implicit' }, SHORT).diagnose(never()))).toMatchObject({
      step: 'tls',
      ok: false,
    });
    const wrong = { kind: 'password', password: 'wrong' } as const;
    expect(last(await plain.source({ auth: wrong }).diagnose(never()))).toMatchObject({
      step: 'login',
      ok: false,
      advice: expect.stringContaining('app password'),
    });
    plain.server.faults.add({ at: 'login', action: { do: 'err', text: '[IN-USE] locked' } });
    expect(last(await plain.source().diagnose(never()))).toMatchObject({
      step: 'login',
      ok: false,
      advice: expect.stringContaining('One POP3 session at a time'),
    });
  });

  it('mentions messages that have no unique-id of their own', async () => {
    const lab = await startPop3Lab({ without: ['UIDL'] });
    lab.fill(2);
    expect(last(await lab.source().diagnose(never()))).toMatchObject({
      ok: true,
      found: expect.stringContaining('2 without a unique-id'),
    });
  });
});
