import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import Fastify from 'fastify';
import { describe, expect, it } from 'vitest';
import { decodeBase64 } from '../../src/api/http/base64.ts';
import { limitBodies } from '../../src/api/http/body-budget.ts';
import { readDate } from '../../src/api/http/input.ts';
import { handleErrors } from '../../src/api/http/problem.ts';
import { buildApi } from '../../src/api/server.ts';
import { PenstockError } from '../../src/errors.ts';
import { LIMITS } from '../../src/limits.ts';
import { Events } from '../../src/observe/events.ts';
import { tempFolder } from '../support/folder.ts';
import { newMailbox, rawMessage, useApi } from './fixture.ts';

const fixture = useApi();

describe('Requests', () => {
  it.each([
    'application/json',
    'application/json; charset=utf-8',
    'text/json',
    'application/json-patch+json',
    'application/merge-patch+json; charset=utf-8',
  ])('take JSON as %s', async (type) => {
    const answer = await fixture.send('POST', '/api/Mail/ProcessMail', '[]', { 'content-type': type });
    expect(answer.statusCode).toBe(200);
  });

  it.each([
    ['a form', 'application/x-www-form-urlencoded', 'a=b', 415],
    ['plain text', 'text/plain', '[]', 415],
    ['broken JSON', 'application/json', '[{', 400],
    ['nothing', 'application/json', '', 400],
    ['null', 'application/json', 'null', 400],
    ['a text', 'application/json', '"x"', 400],
    ['an empty array', 'application/json', '[]', 400],
  ])('do not take %s', async (_, type, body, status) => {
    const answer = await fixture.send('POST', '/api/Mailbox', body, { 'content-type': type });
    expect(answer.statusCode).toBe(status);
    expect(answer.json()).toMatchObject({
      ClassName: expect.any(String),
      Message: expect.any(String),
      error: expect.any(String),
    });
  });

  it('reach the same call with and without /api, in any letter case, with a slash at the end', async () => {
    for (const url of ['/api/EmailRule', '/api/emailrule', '/API/EMAILRULE', '/EmailRule', '/emailrule/']) {
      expect((await fixture.send('GET', url)).statusCode, url).toBe(200);
    }
  });

  it('that are nested very deep are refused, and harm nobody', async () => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"fieldmappings":', '}'],
    ] as const) {
      const deep = `${open.repeat(100_000)}1${close.repeat(100_000)}`;
      const answer = await fixture.send('POST', '/api/EmailRule', deep, {
        'content-type': 'application/json',
      });
      expect(answer.statusCode).toBe(400);
    }
    expect((await fixture.send('GET', '/api/Lookup')).statusCode).toBe(200);
  });

  it('have an id, which is in the answer and in the error', async () => {
    const answer = await fixture.send('GET', '/api/Mailbox/999999');
    expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(answer.json()).toMatchObject({ request_id: answer.headers['x-request-id'] });
  });

  it('get answers that a browser and a cache leave alone', async () => {
    for (const url of ['/api/Mailbox', '/nowhere']) {
      expect((await fixture.send('GET', url)).headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'cache-control': 'no-store',
        'x-frame-options': 'DENY',
        'content-security-policy': expect.stringContaining("default-src 'none'"),
      });
    }
  });

  it('to nowhere are 404 in our shape, without a token and without echoing the query', async () => {
    for (const [method, url] of [
      ['GET', '/api/Nothing?token=hunter2'],
      ['PATCH', '/api/Mailbox'],
      ['GET', '/%00'],
    ] as const) {
      const answer = await fixture.api.inject({ method, url });
      expect(answer.statusCode).toBe(404);
      expect(answer.json()).toMatchObject({
        ClassName: 'NotFoundException',
        error: 'not_found',
        details: [],
      });
      expect(answer.payload).not.toContain('hunter2');
    }
    const broken = await fixture.api.inject({ url: '/api/%zz' });
    expect(broken.statusCode).toBe(400);
    expect(broken.json()).toMatchObject({ code: 'validation_failed', ClassName: 'ValidationException' });
    const long = await fixture.send('GET', `/api/Mailbox/${'1'.repeat(5_000)}`);
    expect(long.json()).toMatchObject({ ClassName: expect.any(String), error: expect.any(String) });
  });

  it('that fail through us tell the client nothing, and the log the cause', async () => {
    fixture.failures.length = 0;
    const { explain } = fixture.services;
    fixture.services.explain = async () => {
      throw new Error('the password is hunter2');
    };
    const answer = await fixture.send('POST', '/api/EmailRule/test?token=abc', { raw: rawMessage('x') });
    fixture.services.explain = explain;
    expect(answer.statusCode).toBe(500);
    expect(answer.json()).toMatchObject({ code: 'internal', ClassName: 'InternalException' });
    expect(answer.payload).not.toContain('hunter2');
    expect(fixture.failures).toHaveLength(1);
    expect(fixture.failures[0]).toContain('"path":"/api/EmailRule/test"');
    expect(fixture.failures[0]).not.toContain('abc');
  });

  it('are told as events, by pattern and without their query', async () => {
    const told: unknown[] = [];
    fixture.events.listen((name, data) => {
      if (name === 'api.answered') told.push(data);
    });
    await fixture.send('GET', '/api/Mailbox/999999?secret=abc');
    expect(told).toEqual([
      {
        method: 'GET',
        route: '/api/Mailbox/:id',
        status: 404,
        milliseconds: expect.any(Number),
        client: expect.any(String),
      },
    ]);
  });
});

describe('Limits', () => {
  it('answer 429 with whole seconds, per client and not for others', async () => {
    const api = await buildApi({
      ...fixture.context,
      config: {
        ...fixture.context.config,
        server: { ...fixture.context.config.server, requestsPerMinute: 3 },
      },
    });
    const ask = async (token: string, url = '/api/Lookup') =>
      await api.inject({ url, headers: { authorization: `Bearer ${token}` } });
    const [one, two] = [await fixture.tokenFor('all'), await fixture.tokenFor('all')];
    for (let i = 0; i < 3; i += 1) expect((await ask(one)).statusCode).toBe(200);
    const answer = await ask(one);
    expect(answer.statusCode).toBe(429);
    expect(answer.headers['retry-after']).toMatch(/^\d+$/);
    expect(answer.json()).toMatchObject({ code: 'rate_limited', ClassName: 'RateLimitedException' });
    expect((await ask(two)).statusCode).toBe(200);
    // Bad tokens and unknown routes are counted by address.
    for (let i = 0; i < 3; i += 1) await ask('wrong');
    expect((await ask('wrong')).statusCode).toBe(429);
    expect((await ask('', '/nowhere')).statusCode).toBe(429);
    // Probes are not.
    expect((await ask('', '/health/live')).statusCode).toBe(200);
    await api.close();
  });

  it('do not fail on a unix socket, where there is no address', async () => {
    const api = await buildApi(fixture.context);
    const path = join(await tempFolder(), 'api.sock');
    await api.listen({ path });
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect(path, () =>
        socket.end('GET /api/AuthInfo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
      );
      let received = '';
      socket.setEncoding('utf8').on('data', (part: string) => {
        received += part;
      });
      socket.on('end', () => resolve(received)).on('error', reject);
    });
    await api.close();
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('hold large bodies to a budget, which is given back', async () => {
    const app = Fastify({ bodyLimit: 10 * 1024 * 1024 });
    handleErrors(app, new Events());
    limitBodies(app, 5 * 1024 * 1024);
    const gate = Promise.withResolvers<void>();
    const inside = Promise.withResolvers<void>();
    app.post('/', async () => {
      inside.resolve();
      await gate.promise;
      return {};
    });
    const payload = JSON.stringify('x'.repeat(3 * 1024 * 1024));
    const headers = { 'content-type': 'application/json' };
    const post = async () => await app.inject({ method: 'POST', url: '/', payload, headers });
    const first = post();
    await inside.promise;
    const second = await post();
    expect(second.statusCode).toBe(503);
    expect(second.json()).toMatchObject({ code: 'overloaded' });
    expect(second.headers['retry-after']).toBe('5');
    gate.resolve();
    expect((await first).statusCode).toBe(200);
    await expect.poll(async () => (await post()).statusCode).toBe(200);
    await app.close();
  });

  it('bound the items of one request and the names of one query', async () => {
    const items = Array.from({ length: LIMITS.batchItems + 1 }, () => ({ type: 1 }));
    expect((await fixture.send('POST', '/api/EmailRule', items)).statusCode).toBe(400);
    const query = Array.from({ length: 5_000 }, (_, i) => `x${i}=1`).join('&');
    expect((await fixture.send('GET', `/api/EmailRule?${query}`)).statusCode).toBe(200);
  });
});

describe('When the database is away', () => {
  it('answers 503 with Retry-After, and goes on when it is back', async () => {
    const port = await new Promise<number>((resolve) => {
      const server = createServer().listen(0, '127.0.0.1', () => {
        const { port } = server.address() as { port: number };
        server.close(() => resolve(port));
      });
    });
    const { openDatabase } = await import('../../src/store/database.ts');
    const away = openDatabase(`postgres://x:y@127.0.0.1:${port}/x`, { connections: 1, onError: () => {} });
    const api = await buildApi({ ...fixture.context, db: away.db });
    const answer = await api.inject({
      url: '/api/Lookup',
      headers: { authorization: `Bearer ${fixture.token}` },
    });
    expect(answer.statusCode).toBe(503);
    expect(answer.headers['retry-after']).toBe('5');
    expect(answer.json()).toMatchObject({ code: 'database_unavailable' });
    expect(answer.payload).not.toContain(String(port));
    await api.close();
    await away.close();
  });
});

describe('Health and metrics', () => {
  it('are open, and say 503 when something is wrong', async () => {
    const ready = await fixture.api.inject({ url: '/health/ready' });
    expect([ready.statusCode, ready.json()]).toEqual([200, { ready: true, reasons: [] }]);
    const { ready: before } = fixture.services;
    fixture.services.ready = async () => ({ ok: false, body: { ready: false, reasons: ['queue'] } });
    const unwell = await fixture.api.inject({ url: '/health/ready' });
    fixture.services.ready = before;
    expect([unwell.statusCode, unwell.json()]).toEqual([503, { ready: false, reasons: ['queue'] }]);
    expect((await fixture.api.inject({ url: '/health/live' })).statusCode).toBe(200);
    const metrics = await fixture.api.inject({ url: '/metrics' });
    expect(metrics.headers['content-type']).toContain('text/plain');
    expect(metrics.payload).toBe('penstock_up 1\n');
  });
});

describe('Dates', () => {
  it.each([
    ['2026-01-31', '2026-01-31T00:00:00.000Z'],
    ['2026-01-31T10:00', '2026-01-31T10:00:00.000Z'],
    ['2026-01-31T10:00:00.1234567', '2026-01-31T10:00:00.123Z'],
    ['2026-01-31T10:00:00+02:00', '2026-01-31T08:00:00.000Z'],
    ['2026-01-31T10:00:00Z', '2026-01-31T10:00:00.000Z'],
    ['1900-01-01T00:00:00', null],
    ['0001-01-01T00:00:00', null],
    ['0001-01-01T00:00:00Z', null],
    ['', null],
    ['31.01.2026', '31.01.2026'],
    ['2026-13-01', '2026-13-01'],
  ])('%j is %j', (given, read) => {
    expect(readDate(given)).toBe(read);
  });
});

describe('Base64', () => {
  it.each(['', 'a', 'ab', 'abc', 'äöü€', '\0\xff'.repeat(50)])('takes what encodes %j', (text) => {
    const bytes = Buffer.from(text, 'latin1');
    const encoded = bytes.toString('base64');
    for (const form of [
      encoded,
      encoded.replace(/=+$/, ''),
      bytes.toString('base64url'),
      encoded.replace(/(.{4})/g, '$1\r\n'),
    ]) {
      expect(decodeBase64(form, 'raw').equals(bytes)).toBe(true);
    }
  });

  it.each(['a', 'ab=c', '=', 'a b', 'ab*=', 'äöü', 'abcde'])('does not take %j', (text) => {
    expect(() => decodeBase64(text, 'raw')).toThrow(PenstockError);
  });
});

describe('The id of a mailbox that is being made', () => {
  it('is that of the database, not the one posted as 0', async () => {
    expect(await newMailbox(fixture, { id: 0 })).toBeGreaterThan(0);
  });
});
