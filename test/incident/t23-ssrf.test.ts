/** T23.1: a destination must not become a way into the network that Penstock stands in. */
import type { lookup } from 'node:dns';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { AllowList, refusal } from '../../src/deliver/egress.ts';
import { Egress, type Resolver } from '../../src/deliver/http.ts';
import type { PenstockError } from '../../src/errors.ts';
import { LIMITS } from '../../src/limits.ts';
import { Outbox, outcome } from '../support/outbox.ts';

const NOBODY = new AllowList([]);

describe('addresses', () => {
  it.each([
    '0.0.0.0',
    '0.1.2.3',
    '10.0.0.1',
    '100.64.0.1',
    '100.100.100.200',
    '127.0.0.1',
    '127.255.255.254',
    '168.63.129.16',
    '169.254.0.1',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.192',
    '192.0.2.1',
    '192.168.1.1',
    '198.18.0.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::7f00:1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:a9fe:a9fe',
    '::ffff:169.254.169.254',
    '64:ff9b::7f00:1',
    '64:ff9b::a9fe:a9fe',
    '2002:7f00:1::',
    '2002:a9fe:a9fe::1',
    '2001:db8::1',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    'no address',
  ])('%s is closed', (address) => {
    expect(refusal('example.org', address, NOBODY)).toMatchObject({ code: 'egress_blocked' });
  });

  it.each(['8.8.8.8', '172.32.0.1', '192.169.0.1', '2606:4700::1111', '::ffff:8.8.8.8', '64:ff9b::808:808'])(
    '%s is open',
    (address) => {
      expect(refusal('example.org', address, NOBODY)).toBeNull();
    },
  );

  it('says which setting would open it', () => {
    const { message } = refusal('hub.corp', '10.1.2.3', NOBODY)!;
    expect(message).toBe(
      'hub.corp is 10.1.2.3, which is not on the public internet (private). The setting destinations.allow (PENSTOCK_DESTINATIONS_ALLOW) names the exceptions.',
    );
  });

  it.each([
    ['hub.corp', 'hub.corp', '10.1.2.3', true],
    ['HUB.corp', 'hub.corp.', '127.0.0.1', true],
    ['other.corp', 'hub.corp', '10.1.2.3', false],
    ['10.1.0.0/16', 'hub.corp', '10.1.2.3', true],
    ['10.1.0.0/16', 'hub.corp', '::ffff:10.1.2.3', true],
    ['10.1.0.0/16', 'hub.corp', '10.2.2.3', false],
    ['fd00::/8', 'hub.corp', 'fd12::1', true],
    ['::1', 'localhost', '::1', true],
    ['::1', 'localhost', '127.0.0.1', false],
    // A name that is trusted may still not lead to where clouds keep credentials.
    ['hub.corp', 'hub.corp', '169.254.169.254', false],
    ['169.254.169.254', 'metadata', '169.254.169.254', true],
  ])('with %s allowed, %s at %s: %s', (entry, host, address, open) => {
    expect(refusal(host, address, new AllowList([entry])) === null).toBe(open);
  });

  it('a network that is none is no silent nothing', () => {
    expect(() => new AllowList(['10.1.0.0/99'])).toThrow(/which is no network/);
  });
});

const send = (egress: Egress, url: string) =>
  egress.send({ method: 'POST', url, headers: {}, body: '{}', timeoutMs: 5_000, tlsCa: null });
const codeOf = async (sent: Promise<unknown>): Promise<string> =>
  await sent.then(
    () => 'sent',
    (error: PenstockError) => error.code,
  );

describe('spellings in URLs', () => {
  it.each([
    'https://127.0.0.1/',
    'https://127.1/',
    'https://2130706433/',
    'https://0x7f000001/',
    'https://0x7f.1/',
    'https://0177.0.0.1/',
    'https://127.0.0.1./',
    'https://[::1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::ffff:7f00:1]/',
    'https://[::ffff:169.254.169.254]/',
    'https://[0:0:0:0:0:0:0:1]/',
    'https://2852039166/',
    'https://0251.0376.0251.0376/',
    'https://①②⑦.⓪.⓪.①/',
    'https://0/',
    'https://localhost/',
  ])('%s is not reached', async (url) => {
    expect(await codeOf(send(new Egress(NOBODY), url))).toBe('egress_blocked');
  });

  it.each([
    'http://example.org/',
    'file:///etc/passwd',
    'gopher://example.org/',
    'https://u:p@example.org/',
    'no url',
  ])('%s is refused', async (url) => {
    expect(await codeOf(send(new Egress(NOBODY), url))).toBe('validation_failed');
  });
});

/** Answers with these addresses, one list after the other. */
function resolving(...answers: string[][]): Resolver {
  let turn = 0;
  const resolver = (_host: string, _options: object, done: (...args: unknown[]) => void): void => {
    const addresses = answers[Math.min(turn++, answers.length - 1)]!;
    done(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  };
  return resolver as unknown as typeof lookup;
}

describe('names', () => {
  it('that lead inside are not reached, whatever else they lead to', async () => {
    for (const addresses of [
      ['127.0.0.1'],
      ['8.8.8.8', '10.0.0.1'],
      ['::ffff:10.0.0.1'],
      ['169.254.169.254'],
    ])
      expect(await codeOf(send(new Egress(NOBODY, resolving(addresses)), 'https://evil.example/'))).toBe(
        'egress_blocked',
      );
  });

  it('are connected to at the address that was judged: a second answer is never asked for (DNS rebinding)', async () => {
    let asked = 0;
    const inner = resolving(['127.0.0.1'], ['169.254.169.254']);
    const counting = ((host: string, options: object, done: () => void) => {
      asked += 1;
      return (inner as unknown as (...args: unknown[]) => void)(host, options, done);
    }) as unknown as Resolver;
    const server = createServer((_request, response) => response.end('here'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const egress = new Egress(new AllowList(['rebind.example']), counting);
    expect((await send(egress, `http://rebind.example:${port}/`)).text).toBe('here');
    expect(asked).toBe(1);
    // Asked anew for the next connection, and judged anew.
    expect(await codeOf(send(egress, `http://rebind.example:${port}/`))).toBe('egress_blocked');
  });
});

it('a redirect to the metadata service is not followed, and its answer not read beyond a limit', async () => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url!);
    if (request.url === '/big') return response.end('x'.repeat(LIMITS.answerBytes * 4));
    response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const egress = new Egress(new AllowList(['127.0.0.1']));
  expect((await send(egress, `http://127.0.0.1:${port}/hook`)).status).toBe(302);
  expect(asked).toEqual(['/hook']);
  expect((await send(egress, `http://127.0.0.1:${port}/big`)).text.length).toBe(LIMITS.answerBytes);
});

it('a blocked delivery uses up no attempt, says why, and goes out when the setting is right', async () => {
  const outbox = await Outbox.start({ allow: [], resolver: resolving(['10.0.0.1']) });
  const destination = await outbox.add('webhook', { settings: { url: 'https://inside.example/hook' } });
  await outbox.tell(destination, outcome(1), outcome(2));
  await outbox.deliverer.run();
  expect(await outbox.rows()).toMatchObject([
    {
      state: 'pending',
      attempts: 0,
      errorCode: 'egress_blocked',
      error: expect.stringContaining('destinations.allow'),
    },
    { state: 'pending', attempts: 0 },
  ]);
  expect(await outbox.destination(destination.id)).toMatchObject({
    enabled: true,
    lastErrorCode: 'egress_blocked',
  });
});
