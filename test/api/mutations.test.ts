/**
 * Calls that change something, each tried with no token, another scope, bodies too large and of wrong types, ids that are
 * not there, keys of prototypes, the same request twice, and several writers at once.
 */
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/limits.ts';
import type { Tx } from '../../src/store/database.ts';
import { transact } from '../../src/store/transact.ts';
import { type Answer, useApi } from './fixture.ts';
import { type Given, MUTATIONS, type Mutation, rowCounts, WITHOUT_TOKEN } from './mutations.ts';

const fixture = useApi();
const JSON_TYPE = { 'content-type': 'application/json' };
const WRITERS = 4;

const cases = Object.entries(MUTATIONS).map(([call, mutation]) => ({ call, mutation }));
const reading = cases.filter(({ mutation }) => mutation.reads);

const tokens = new Map<string, string>();
async function tokenFor(scope: string): Promise<string> {
  const token = tokens.get(scope) ?? (await fixture.tokenFor(scope));
  tokens.set(scope, token);
  return token;
}

/** Sends the request of a call. */
async function send(
  call: string,
  { id, body }: Given,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const [method, path] = call.split(' ') as [string, string];
  return await fixture.send(method, path.replace('{id}', String(id)), body, headers);
}

/** The paths and methods that the router knows, as it prints them: `POST /api/mailbox/:id/poll`. */
function routes(): string[] {
  const found: string[] = [];
  const path: string[] = [];
  for (const line of fixture.api.printRoutes({ commonPrefix: false, includeHooks: false }).split('\n')) {
    const [, indent, part, methods] = /^([│ ]*)[├└]── (\S+)(?: \((.*)\))?$/.exec(line) ?? [];
    if (indent === undefined) continue;
    path.splice(indent.length / 4, path.length, part!);
    for (const method of methods?.split(', ') ?? []) found.push(`${method} ${path.join('')}`);
  }
  return found;
}

it('are all in the table', () => {
  const changing = routes().filter((route) => /^(POST|PUT|PATCH|DELETE) /.test(route));
  // All calls of Halo's are there without /api, too.
  const distinct = changing.filter((route) => !changing.includes(route.replace(' /', ' /api/')));
  const listed = [...Object.keys(MUTATIONS), ...WITHOUT_TOKEN].map((call) => {
    const [method, path] = call.split(' ');
    return `${method} ${path!.toLowerCase().replace('{id}', ':id')}`;
  });
  expect(listed.sort()).toEqual(distinct.sort());
});

describe.each(cases)('$call', ({ call, mutation }) => {
  const { scope, reads } = mutation;
  const anyId = { id: 1, ...(reads ? { body: {} } : {}) };

  it('not without a token, not with another scope, and neither reads the body', async () => {
    for (const [token, status] of [
      ['', 401],
      [await tokenFor(scope), 403],
    ] as const) {
      const headers = { authorization: `Bearer ${token}` };
      expect((await send(call, anyId, headers)).statusCode).toBe(status);
      if (!reads) continue;
      const answer = await send(call, { id: 1, body: ' ' }, { ...headers, ...HUGE });
      expect(answer.statusCode).toBe(status);
    }
  });

  it('the same request again answers the same and adds nothing', async () => {
    const given = await mutation.make(fixture);
    const first = await send(call, given);
    expect(first.statusCode, first.payload).toBeLessThan(300);
    const before = await rowCounts(fixture);
    const again = await send(call, given);
    if (call.startsWith('DELETE')) expect([200, 404]).toContain(again.statusCode);
    else {
      expect(again.statusCode, again.payload).toBeLessThan(300);
      expect(idsOf(again)).toEqual(idsOf(first));
    }
    expect(await rowCounts(fixture)).toEqual(before);
  });

  it('several at once do what one does, whatever the order of their items', async () => {
    const alone = await severalItems(mutation);
    let before = await rowCounts(fixture);
    await send(call, alone);
    const byOne = difference(before, await rowCounts(fixture));
    const given = await severalItems(mutation);
    before = await rowCounts(fixture);
    const answers = await Promise.all(
      Array.from({ length: WRITERS }, (_, n) => send(call, n % 2 === 0 ? given : reversed(given))),
    );
    const statuses = answers.map(({ statusCode }) => statusCode);
    const allowed = call.startsWith('DELETE') ? [200, 404] : [200, 201, 202];
    expect(
      statuses.filter((status) => !allowed.includes(status)),
      answers[0]!.payload,
    ).toEqual([]);
    expect(statuses.some((status) => status < 300)).toBe(true);
    const taken = answers.filter(({ statusCode }) => statusCode < 300);
    expect(new Set(taken.map((answer) => JSON.stringify(idsOf(answer).sort()))).size).toBe(1);
    expect(difference(before, await rowCounts(fixture))).toEqual(byOne);
  });
});

/** A body that is announced as larger than any call takes. */
const HUGE = { ...JSON_TYPE, 'content-length': String(LIMITS.requestBytes + 1) };

describe.each(reading)('$call', ({ call, mutation }) => {
  it('no body that is too large', async () => {
    const answer = await send(call, { id: 1, body: ' ' }, HUGE);
    expect(answer.statusCode).toBe(413);
    expect(answer.json()).toMatchObject({ code: 'request_too_large' });
  });

  it('no values of wrong types', async () => {
    for (const body of [
      '"x"',
      '7.5',
      'true',
      '[["x"]]',
      '[{"id":"1","ids":5,"fingerprint":5,"raw":5,"rules":5,"type":[],"emailmustmatchrule":"x"}]',
    ]) {
      const answer = await send(call, { id: 1, body }, JSON_TYPE);
      expect(answer.statusCode, body).toBe(400);
      expect(answer.json()).toMatchObject({ error: 'validation_error' });
    }
  });

  it('no keys of prototypes, and other names of Object.prototype are unknown properties', async () => {
    const given = await mutation.make(fixture);
    const before = await rowCounts(fixture);
    for (const key of ['"__proto__":{"admin":true}', '"constructor":{"prototype":{"admin":true}}']) {
      const body = withKeys(given.body, key);
      const answer = await send(call, { ...given, body }, JSON_TYPE);
      expect(answer.statusCode, body).toBe(400);
      expectClean();
    }
    expect(await rowCounts(fixture)).toEqual(before);
    const harmless = ['constructor', 'toString', 'hasOwnProperty', '__PROTO__', '__defineGetter__'];
    const body = withKeys(given.body, harmless.map((name) => `"${name}":"x"`).join());
    const answer = await send(call, { ...given, body }, JSON_TYPE);
    // A list of numbers has no room for names.
    const takesNumbers = Array.isArray(given.body) && typeof given.body[0] === 'number';
    expect(answer.statusCode < 300, answer.payload).toBe(!takesNumbers);
    expectClean();
  });
});

// Signing in is a service's, of which there is only a stand-in here: sign-in.test.ts has it.
it.each(cases.filter(({ call }) => call.includes('{id}') && !call.endsWith('/authorize')))(
  '$call: unknown ids are 404, and no ids 400',
  async ({ call, mutation }) => {
    const { body } = await mutation.make(fixture);
    expect((await send(call, { id: 2_000_000_000, body })).statusCode).toBe(404);
    const [method, path] = call.split(' ') as [string, string];
    for (const id of ['0', '-1', 'abc', '1e3', '99999999999999999999', "1'--"]) {
      const answer = await fixture.send(method, path.replace('{id}', encodeURIComponent(id)), body);
      expect(answer.statusCode, id).toBe(400);
    }
  },
);

describe.each(cases.filter(({ mutation }) => mutation.update !== undefined))(
  '$call',
  ({ call, mutation }) => {
    const { fields, read } = mutation.update as NonNullable<Mutation['update']>;
    const [one, other] = fields;
    const create = async (): Promise<number> => {
      const answer = await send(call, await mutation.make(fixture));
      return (answer.json() as { id: number }).id;
    };
    const stored = async (id: number): Promise<Record<string, unknown>> => {
      const found = (await fixture.send('GET', read(id))).json() as Record<string, unknown>;
      return Array.isArray(found) ? found.find((record) => record.id === id) : found;
    };
    const valued = (field: string, n: number): unknown => (NUMBERS.has(field) ? n : `writer ${n}`);

    it('two writers of different fields both have their way', async () => {
      const id = await create();
      const answers = await Promise.all([
        send(call, { body: [{ id, [one]: valued(one, 1) }] }),
        send(call, { body: [{ id, [other]: valued(other, 2) }] }),
      ]);
      expect(answers.map(({ statusCode }) => statusCode)).toEqual([201, 201]);
      expect(await stored(id)).toMatchObject({ [one]: valued(one, 1), [other]: valued(other, 2) });
    });

    it('writers of the same fields leave what one of them wrote, also of records in another order', async () => {
      const ids = [await create(), await create()];
      const answers = await Promise.all(
        Array.from({ length: WRITERS }, (_, n) => {
          const items = ids.map((id) => ({ id, [one]: valued(one, n + 1), [other]: valued(other, n + 1) }));
          return send(call, { body: n % 2 === 0 ? items : items.reverse() });
        }),
      );
      expect(answers.map(({ statusCode }) => statusCode)).toEqual(Array(WRITERS).fill(201));
      const [first, second] = await Promise.all(ids.map(stored));
      const winner = [1, 2, 3, 4].find((n) => first![one] === valued(one, n))!;
      for (const record of [first, second])
        expect(record).toMatchObject({ [one]: valued(one, winner), [other]: valued(other, winner) });
    });
  },
);

it('a change that PostgreSQL gave up for a deadlock is made again, and no other', async () => {
  let runs = 0;
  const failing = (code: string, times: number) => async (tx: Tx) => {
    runs += 1;
    await tx
      .insertInto('site')
      .values({ name: `${code} ${runs}`, client_id: 0, email_domains: [], to_domains: [] })
      .execute();
    if (runs <= times) throw Object.assign(new Error('given up'), { code });
    return runs;
  };
  expect(await transact(fixture.db, failing('40P01', 2))).toBe(3);
  const made = await fixture.db.selectFrom('site').select('name').where('name', 'like', '40P01%').execute();
  expect(made).toEqual([{ name: '40P01 3' }]);
  for (const [code, most] of [
    ['23505', 1],
    ['40P01', 5],
  ] as const) {
    runs = 0;
    await expect(transact(fixture.db, failing(code, 99))).rejects.toMatchObject({ code });
    expect(runs).toBe(most);
  }
});

/** A request with two items, where the call takes an array. */
async function severalItems({ make }: Mutation): Promise<Given> {
  const [one, other] = [await make(fixture), await make(fixture)];
  return Array.isArray(one.body) ? { ...one, body: [...one.body, ...(other.body as unknown[])] } : one;
}

const reversed = (given: Given): Given =>
  Array.isArray(given.body) ? { ...given, body: given.body.toReversed() } : given;

/** Fields of {@link MUTATIONS} that are numbers. */
const NUMBERS = new Set(['client_id', 'concurrency', 'seq', 'agentid', 'addactiontofaultid']);

/** What an answer names: ids of records, in order. */
function idsOf(answer: Answer): unknown[] {
  const body = answer.json() as { id?: unknown } | { id?: unknown }[];
  return (Array.isArray(body) ? body : [body]).map(({ id }) => id);
}

/** A body as text, with more keys in its record. */
function withKeys(body: unknown, keys: string): string {
  const item = Array.isArray(body) ? (body[0] as unknown) : body;
  const text = typeof item === 'object' ? JSON.stringify(item) : '{}';
  const more = `${text.slice(0, -1)}${text === '{}' ? '' : ','}${keys}}`;
  return Array.isArray(body) ? `[${more}]` : more;
}

/** Nothing that a client sent may have become a property of every object. */
function expectClean(): void {
  expect(({} as Record<string, unknown>).admin).toBeUndefined();
  expect(Object.prototype).not.toHaveProperty('admin');
  expect(Array.prototype).not.toHaveProperty('admin');
}

function difference(before: Record<string, number>, after: Record<string, number>): Record<string, number> {
  const changes = Object.entries(after).map(([name, count]) => [name, count - before[name]!] as const);
  return Object.fromEntries(changes.filter(([, count]) => count !== 0));
}
