import { describe, expect, it } from 'vitest';
import { newMailbox, rawMessage, useApi } from '../api/fixture.ts';

const fixture = useApi();

/** Nothing that a client sent may have become a property of every object. */
function expectClean(): void {
  expect(({} as Record<string, unknown>).admin).toBeUndefined();
  expect(Object.prototype).not.toHaveProperty('admin');
  expect(Array.prototype).not.toHaveProperty('admin');
}

const send = async (url: string, json: string) =>
  await fixture.send('POST', url, json, { 'content-type': 'application/json' });

describe('T24.1 keys in JSON bodies', () => {
  const POISON = [
    '{"__proto__":{"admin":true}}',
    '{"\\u005f_proto__":{"admin":true}}',
    '{"constructor":{"prototype":{"admin":true}}}',
    '[{"a":{"b":{"__proto__":{"admin":true}}}}]',
  ];
  const CALLS = [
    '/api/Mailbox',
    '/api/EmailRule',
    '/api/EmailRule/test',
    '/api/incomingemail',
    '/api/incomingemail/release',
    '/api/Mail/Integrator/IMAP',
    '/api/Mail/Integrator/Pop3',
    '/api/Mail/ProcessMail',
  ];

  it.each(CALLS)('T24.1 POST %s refuses __proto__ and constructor.prototype at any depth', async (url) => {
    for (const body of POISON) {
      const answer = await send(url, body);
      expect(answer.statusCode, body).toBe(400);
      expect(answer.json()).toMatchObject({ code: 'validation_failed' });
      expectClean();
    }
  });

  it('T24.1 other names of Object.prototype are unknown properties like any other', async () => {
    const id = await newMailbox(fixture);
    const names = [
      'constructor',
      'toString',
      'hasOwnProperty',
      'valueOf',
      '__defineGetter__',
      '__PROTO__',
      '__Proto__',
    ];
    const item = Object.fromEntries(names.map((name) => [name, 'x']));
    const answer = await send('/api/Mailbox', JSON.stringify([{ id, ...item, name: 'kept' }]));
    expect(answer.statusCode).toBe(201);
    expect(answer.json()).toMatchObject({ name: 'kept' });
    for (const name of names) expect(Object.keys(answer.json())).not.toContain(name);
    expectClean();
  });

  it('T24.1 a key that becomes dangerous only in lower case is no property either', async () => {
    const answer = await send('/api/EmailRule', '[{"type":1,"subject":"t24","__PROTO__":{"admin":true}}]');
    expect(answer.statusCode).toBe(201);
    expectClean();
  });

  it('T24.1 in a form or a query they are data', async () => {
    const form = await fixture.api.inject({
      method: 'POST',
      url: '/auth/token?__proto__[admin]=1&__proto__=1&constructor=1',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: '__proto__[admin]=1&__proto__=x&constructor=x&grant_type=client_credentials',
    });
    expect(form.statusCode).toBe(401);
    const query = await fixture.send('GET', '/api/incomingemail?__proto__=1&constructor=1&hasOwnProperty=1');
    expect(query.statusCode).toBe(200);
    expectClean();
  });

  it('T24.1 as a field that a pattern fills they are kept as data', async () => {
    const rule = {
      type: 1,
      subject: 't24',
      patterns: [
        { field: 'subject', pattern: '(?P<x>t24)', groups: [{ group: 'x', field: 'a.__proto__.admin' }] },
      ],
    };
    const answer = await fixture.send('POST', '/api/EmailRule/test', {
      rules: [rule],
      raw: rawMessage('t24'),
    });
    expect(answer.json()).toMatchObject({
      extracted: [{ target: 'pattern:a.__proto__.admin', value: 't24' }],
    });
    expectClean();
  });

  it('T24.1 as header names of a structured message they stay headers', async () => {
    const message = {
      id: 't24',
      haloMailboxId: await newMailbox(fixture),
      mimeMessage: {
        subject: 'x',
        headers: ['__proto__', 'constructor', 'toString'].map((field) => ({ field, value: 'admin' })),
      },
    };
    const answer = await fixture.send('POST', '/api/Mail/Integrator/IMAP', message);
    expect(answer.statusCode).toBe(201);
    const { id } = answer.json<{ id: number }>();
    const whole = await fixture.send('GET', `/api/incomingemail/${id}?includedetails=true`);
    expect(whole.statusCode).toBe(200);
    const raw = (await fixture.send('GET', `/api/incomingemail/${id}/raw`)).payload;
    expect(raw).toContain('__proto__: admin\r\nconstructor: admin\r\ntoString: admin\r\n');
    expectClean();
  });
});
