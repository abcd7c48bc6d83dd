import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parseMessage } from '../../src/message/parse.ts';
import { claimEmails, saveFailure } from '../../src/store/emails.ts';
import type { EmailState } from '../../src/store/states.ts';
import { newMailbox, rawMessage, useApi } from './fixture.ts';

const fixture = useApi();

type Row = Record<string, unknown> & {
  id: number;
  _warning: string | null;
  penstock: Record<string, unknown>;
};
type Page = {
  page_no: number;
  page_size: number;
  record_count: number;
  after: string | null;
  incomingemails: Row[];
};

async function handIn(mailbox: number, more: Record<string, unknown> = {}): Promise<Row> {
  const item = { mbid: mailbox, mailid: randomBytes(6).toString('hex'), data: rawMessage('hello'), ...more };
  const answer = await fixture.send('POST', '/api/incomingemail', [item]);
  expect(answer.statusCode, answer.payload).toBe(201);
  return answer.json();
}

async function read(id: number, query = ''): Promise<Row> {
  return (await fixture.send('GET', `/api/incomingemail/${id}${query}`)).json();
}

async function list<T = Row[]>(query: string): Promise<T> {
  const answer = await fixture.send('GET', `/api/incomingemail?${query}`);
  expect(answer.statusCode, answer.payload).toBe(200);
  return answer.json();
}

/** As a worker leaves it after its last attempt. */
async function quarantine(id: number, fingerprint = 'parse:boom'): Promise<void> {
  const [claimed] = await claimEmails(fixture.db, [id], 60);
  const failure = { code: 'parse_failed', stage: 'parse', message: 'boom', fingerprint };
  await fixture.db
    .transaction()
    .execute((tx) =>
      saveFailure(tx, { id, claim: claimed!.claim, ...failure, retryInSeconds: null, retryRemaining: 0 }),
    );
}

async function setState(id: number, state: EmailState): Promise<void> {
  await fixture.db.updateTable('incoming_email').set({ state }).where('id', '=', id).execute();
}

const queued = (id: number): boolean => fixture.enqueued.some((email) => email.id === id);

async function auditOf(id: number): Promise<string[]> {
  const rows = await fixture.db
    .selectFrom('audit_log')
    .select('action')
    .where('entity', '=', 'incoming_email')
    .where('entity_id', '=', String(id))
    .orderBy('id')
    .execute();
  return rows.map(({ action }) => action);
}

describe('POST /api/incomingemail hands in', () => {
  it('bytes, exactly as they are, and enqueues after the commit', async () => {
    const bytes = Buffer.concat([Buffer.from('Subject: raw\n\n'), randomBytes(2_000)]);
    const row = await handIn(await newMailbox(fixture), { data: bytes.toString('base64') });
    expect(row).toMatchObject({
      status: 0,
      processed: false,
      source: 0,
      retry_remaining: 3,
      mailbox_type_int: 1,
    });
    expect(queued(row.id)).toBe(true);
    expect(await auditOf(row.id)).toEqual(['create']);
    const answer = await fixture.send('GET', `/api/incomingemail/${row.id}/raw`);
    expect(answer.rawPayload.equals(bytes)).toBe(true);
    expect(answer.headers).toMatchObject({
      'content-type': 'message/rfc822',
      'content-disposition': `attachment; filename="message-${row.id}.eml"`,
      'x-content-type-options': 'nosniff',
      'content-length': String(bytes.length),
    });
    const head = await fixture.send('HEAD', `/api/incomingemail/${row.id}/raw`);
    expect([head.statusCode, head.headers['content-length'], head.payload]).toEqual([
      200,
      String(bytes.length),
      '',
    ]);
  });

  it('a large message as a file, byte for byte', async () => {
    const bytes = Buffer.concat([Buffer.from('Subject: large\r\n\r\n'), randomBytes(600_000)]);
    const row = await handIn(await newMailbox(fixture), { data: bytes.toString('base64') });
    const answer = await fixture.send('GET', `/api/incomingemail/${row.id}/raw`);
    expect(answer.rawPayload.equals(bytes)).toBe(true);
  });

  it('the same mailid once', async () => {
    const mailbox = await newMailbox(fixture);
    const item = { mailid: 'uid-7', data: rawMessage('once') };
    const first = await handIn(mailbox, item);
    const again = await handIn(mailbox, item);
    const changed = await handIn(mailbox, { ...item, data: rawMessage('other') });
    expect([again.id, changed.id]).toEqual([first.id, first.id]);
    expect(again._warning).toBeNull();
    expect(changed._warning).toContain('was not taken');
    expect((await handIn(await newMailbox(fixture), item)).id).not.toBe(first.id);
    expect(fixture.enqueued.filter(({ id }) => id === first.id)).toHaveLength(1);
  });

  it('the same mailid once, also when many ask at the same time', async () => {
    const mailbox = await newMailbox(fixture);
    const item = { mbid: mailbox, mailid: 'race', data: rawMessage('race') };
    const answers = await Promise.all(
      [1, 2, 3, 4, 5].map(() => fixture.send('POST', '/api/incomingemail', [item])),
    );
    expect(new Set(answers.map((answer) => answer.json<Row>().id)).size).toBe(1);
    expect(await list(`mbid=${mailbox}`)).toHaveLength(1);
  });

  it('a byte-identical copy as the record that is there, where the mailbox wants it so', async () => {
    const data = rawMessage('copy');
    const mailbox = await newMailbox(fixture);
    const first = await handIn(mailbox, { data });
    const copy = await handIn(mailbox, { data });
    expect(copy.id).toBe(first.id);
    expect(copy._warning).toContain(`record ${first.id}`);
    const keeps = await newMailbox(fixture, { penstock: { dedup: 'none' } });
    expect((await handIn(keeps, { data })).id).not.toBe((await handIn(keeps, { data })).id);
  });

  it('with _checkmailid: the record of that mailid, wherever it came from', async () => {
    const mailbox = await newMailbox(fixture);
    const first = await handIn(mailbox, { mailid: 'known' });
    const found = await fixture.send('POST', '/api/incomingemail', [
      { mbid: mailbox, mailid: 'known', _checkmailid: true },
    ]);
    expect(found.json()).toMatchObject({ id: first.id });
    const missing = await fixture.send('POST', '/api/incomingemail', [
      { mbid: mailbox, mailid: 'unknown', _checkmailid: true },
    ]);
    expect(missing.statusCode).toBe(400);
  });

  it('a message made of its fields', async () => {
    const row = await handIn(await newMailbox(fixture), {
      data: null,
      from: 'ann@example.org',
      to: 'desk@example.org; cc@example.org',
      subject: 'Grüße\r\nBcc: evil@example.org',
      memo: 'Text ü',
      html: '<p>Text</p>',
    });
    const raw = (await fixture.send('GET', `/api/incomingemail/${row.id}/raw`)).payload;
    const parsed = await parseMessage(Buffer.from(raw));
    expect(parsed).toMatchObject({
      subject: 'Grüße Bcc: evil@example.org',
      from: [{ address: 'ann@example.org' }],
      to: [{ address: 'desk@example.org' }, { address: 'cc@example.org' }],
      bcc: [],
      text: expect.stringContaining('Text ü'),
    });
  });

  it('several in one transaction: one bad item undoes all', async () => {
    const mailbox = await newMailbox(fixture);
    const items = [
      { mbid: mailbox, mailid: 'a', data: rawMessage('a') },
      { mbid: mailbox, mailid: 'b', data: '!' },
    ];
    const answer = await fixture.send('POST', '/api/incomingemail', items);
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ details: [{ index: 1, field: 'data' }] });
    expect(await list(`mbid=${mailbox}`)).toHaveLength(0);
    expect(fixture.enqueued.some((email) => email.mailboxId === mailbox)).toBe(false);
  });

  it.each([
    ['no mailbox', { mbid: undefined }, 400, 'validation_failed'],
    ['an unknown mailbox', { mbid: 99_999 }, 400, 'validation_failed'],
    ['nothing to make a message of', { data: undefined }, 400, 'validation_failed'],
    ['a mailid with NUL', { mailid: 'a\0' }, 400, 'validation_failed'],
    ['damaged base64', { data: 'QUJ' + 'DR*==' }, 400, 'validation_failed'],
    ['a number for data', { data: 5 }, 400, 'validation_failed'],
  ])('not with %s', async (_, change, status, code) => {
    const item = { mbid: await newMailbox(fixture), mailid: 'x', data: rawMessage('x'), ...change };
    const answer = await fixture.send('POST', '/api/incomingemail', [item]);
    expect(answer.statusCode).toBe(status);
    expect(answer.json()).toMatchObject({ code });
  });

  it('nothing larger than the mailbox takes', async () => {
    const mailbox = await newMailbox(fixture, { penstock: { max_message_bytes: 2_000 } });
    const data = Buffer.alloc(2_001, 'x').toString('base64');
    const answer = await fixture.send('POST', '/api/incomingemail', [{ mbid: mailbox, mailid: 'big', data }]);
    expect(answer.statusCode).toBe(413);
    expect(answer.json()).toMatchObject({ code: 'message_oversized' });
  });
});

describe('POST /api/incomingemail tries again', () => {
  it.each([
    ['status queued', { status: 0 }],
    ['processed false', { processed: false }],
  ])('with %s: attempts start anew, and the trace says who asked', async (_, change) => {
    const row = await handIn(await newMailbox(fixture));
    await quarantine(row.id);
    expect(await read(row.id)).toMatchObject({ status: 5, processed: false, retry_remaining: 0 });
    fixture.enqueued.length = 0;
    const answer = await fixture.send('POST', '/api/incomingemail', [{ id: row.id, ...change }]);
    expect(answer.json()).toMatchObject({ id: row.id, status: 0, retry_remaining: 3, _warning: null });
    expect(queued(row.id)).toBe(true);
    const trace = (await fixture.send('GET', `/api/incomingemail/${row.id}/trace`)).json<
      { event: string; by?: string }[]
    >();
    expect(trace.at(-1)).toMatchObject({ event: 'released', by: expect.stringMatching(/^client:/) });
    expect(await auditOf(row.id)).toEqual(['create', 'retry']);
  });

  it('not when a client posts back what it read', async () => {
    const row = await handIn(await newMailbox(fixture));
    await quarantine(row.id);
    const answer = await fixture.send('POST', '/api/incomingemail', [await read(row.id)]);
    expect(answer.json()).toMatchObject({ status: 5 });
    expect(await auditOf(row.id)).toEqual(['create']);
  });

  it('not what is processed, ignored or being processed', async () => {
    const row = await handIn(await newMailbox(fixture));
    fixture.enqueued.length = 0;
    for (const [state, status] of [
      ['processed', 2],
      ['ignored', 3],
    ] as const) {
      await setState(row.id, state);
      const answer = await fixture.send('POST', '/api/incomingemail', [{ id: row.id, status: 0 }]);
      expect(answer.json()).toMatchObject({ status, _warning: expect.stringContaining(state) });
    }
    await setState(row.id, 'queued');
    await claimEmails(fixture.db, [row.id], 60);
    const answer = await fixture.send('POST', '/api/incomingemail', [{ id: row.id, status: 0 }]);
    expect(answer.json()).toMatchObject({ status: 1, _warning: expect.stringContaining('at this moment') });
    expect(queued(row.id)).toBe(false);
  });

  it('assigns a ticket and an agent', async () => {
    const row = await handIn(await newMailbox(fixture));
    const answer = await fixture.send('POST', '/api/incomingemail', [
      { id: row.id, addactiontofaultid: 42, agentid: 7 },
    ]);
    expect(answer.json()).toMatchObject({ addactiontofaultid: 42, agentid: 7 });
    await fixture.send('POST', '/api/incomingemail', [{ id: row.id, addactiontofaultid: 42, agentid: 7 }]);
    expect(await auditOf(row.id)).toEqual(['create', 'update']);
  });

  it('of an unknown record is 404', async () => {
    expect((await fixture.send('POST', '/api/incomingemail', [{ id: 987_654, status: 0 }])).statusCode).toBe(
      404,
    );
  });
});

describe('Deleting', () => {
  it('hides a record and lets no worker finish it', async () => {
    const row = await handIn(await newMailbox(fixture));
    const [claimed] = await claimEmails(fixture.db, [row.id], 60);
    const answer = await fixture.send('DELETE', `/api/incomingemail/${row.id}`);
    expect(answer.json()).toMatchObject({ id: row.id, delete: true });
    for (const path of ['', '/raw', '/trace']) {
      expect((await fixture.send('GET', `/api/incomingemail/${row.id}${path}`)).statusCode).toBe(404);
    }
    expect((await fixture.send('DELETE', `/api/incomingemail/${row.id}`)).statusCode).toBe(404);
    const failure = {
      id: row.id,
      claim: claimed!.claim,
      code: 'x',
      stage: 'x',
      message: '',
      fingerprint: '',
    };
    const written = await fixture.db
      .transaction()
      .execute((tx) => saveFailure(tx, { ...failure, retryInSeconds: null, retryRemaining: 0 }));
    expect(written).toBe(false);
    expect(await claimEmails(fixture.db, [row.id], 60)).toEqual([]);
  });

  it('by POST with delete true', async () => {
    const row = await handIn(await newMailbox(fixture));
    const answer = await fixture.send('POST', '/api/incomingemail', [{ id: row.id, delete: true }]);
    expect(answer.json()).toMatchObject({ id: row.id, delete: true });
    expect((await fixture.send('GET', `/api/incomingemail/${row.id}`)).statusCode).toBe(404);
    expect(await auditOf(row.id)).toEqual(['create', 'delete']);
  });

  it('does not let the same message in again', async () => {
    const mailbox = await newMailbox(fixture);
    const row = await handIn(mailbox, { mailid: 'gone' });
    await fixture.send('DELETE', `/api/incomingemail/${row.id}`);
    const item = { mbid: mailbox, mailid: 'gone', data: rawMessage('again') };
    const answer = await fixture.send('POST', '/api/incomingemail', [item]);
    expect(answer.statusCode).toBe(409);
  });
});

describe('Release from quarantine', () => {
  it('one by one, and nothing else', async () => {
    const row = await handIn(await newMailbox(fixture));
    await quarantine(row.id);
    fixture.enqueued.length = 0;
    expect((await fixture.send('POST', `/api/incomingemail/${row.id}/release`)).json()).toMatchObject({
      status: 0,
    });
    expect(queued(row.id)).toBe(true);
    fixture.enqueued.length = 0;
    expect((await fixture.send('POST', `/api/incomingemail/${row.id}/release`)).statusCode).toBe(200);
    expect(queued(row.id)).toBe(false);
    await setState(row.id, 'processed');
    expect((await fixture.send('POST', `/api/incomingemail/${row.id}/release`)).statusCode).toBe(409);
    expect((await fixture.send('POST', '/api/incomingemail/987654/release')).statusCode).toBe(404);
  });

  it('by fingerprint, in all mailboxes or in one', async () => {
    const [one, two] = [await newMailbox(fixture), await newMailbox(fixture)];
    const rows = [await handIn(one), await handIn(one), await handIn(two), await handIn(two)];
    for (const { id } of rows.slice(0, 3)) await quarantine(id, 'parse:same');
    await quarantine(rows[3]!.id, 'parse:other');
    expect(await list('fingerprint=parse:same')).toHaveLength(3);
    const body = { fingerprint: 'parse:same', mbid: one };
    const first = await fixture.send('POST', '/api/incomingemail/release', body);
    expect(first.json()).toEqual({ released: 2, ids: [rows[0]!.id, rows[1]!.id], more: false });
    const rest = await fixture.send('POST', '/api/incomingemail/release', { fingerprint: 'parse:same' });
    expect(rest.json()).toEqual({ released: 1, ids: [rows[2]!.id], more: false });
    expect(await read(rows[3]!.id)).toMatchObject({ status: 5 });
    expect((await fixture.send('POST', '/api/incomingemail/release', {})).statusCode).toBe(400);
  });
});

describe('GET /api/incomingemail/{id}', () => {
  it('has bytes, text, mailbox and user only with includedetails, and never HTML unasked (T22.2)', async () => {
    const mailbox = await newMailbox(fixture, { password: 'hidden' });
    const source = 'From: a@b.c\r\nContent-Type: text/html\r\n\r\n<script>alert(1)</script><b>x</b>';
    const data = Buffer.from(source).toString('base64');
    const { id } = await handIn(mailbox, { data });
    const requester = await fixture.db
      .insertInto('requester')
      .values({ name: 'Ann Lee', address: 'ann@example.org' })
      .returning('id')
      .executeTakeFirstOrThrow();
    await fixture.db
      .updateTable('incoming_email')
      .set({ requester_id: requester.id, parts: JSON.stringify([{ part: '1' }]) })
      .where('id', '=', id)
      .execute();
    const plain = await read(id);
    for (const field of ['data', 'memo', 'html', 'mailbox', 'user']) expect(plain).not.toHaveProperty(field);
    const whole = await read(id, '?IncludeDetails=True');
    expect(whole).toMatchObject({
      data,
      memo: 'x',
      html: null,
      mailbox: { id: mailbox, password: null },
      user: { id: requester.id, name: 'Ann Lee', emailaddress: 'ann@example.org' },
      penstock: { details: { parts: [{ part: '1' }] } },
    });
    expect(JSON.stringify(whole)).not.toContain('<script>');
    const unsafe = await read(id, '?includedetails=true&unsafe=raw');
    expect(unsafe.html).toContain('<script>');
    expect((await fixture.send('GET', `/api/incomingemail/${id}?unsafe=yes`)).statusCode).toBe(400);
  });

  it('of ids that are none is 400, of unknown ones 404', async () => {
    for (const id of ['0', '-1', 'x', '1.5', '99999999999999999999']) {
      expect((await fixture.send('GET', `/api/incomingemail/${id}`)).statusCode, id).toBe(400);
    }
    for (const id of [987_654, Number.MAX_SAFE_INTEGER]) {
      expect((await fixture.send('GET', `/api/incomingemail/${id}`)).statusCode).toBe(404);
    }
  });
});

describe('GET /api/incomingemail', () => {
  /** Twelve records in one mailbox, in three commits, with subjects as processing writes them. */
  async function twelve(): Promise<{ mailbox: number; ids: number[] }> {
    const mailbox = await newMailbox(fixture);
    const ids: number[] = [];
    for (const batch of [0, 1, 2]) {
      const items = [0, 1, 2, 3].map((n) => ({
        mbid: mailbox,
        mailid: `${batch}-${n}`,
        data: rawMessage(`${batch}-${n}`),
      }));
      ids.push(
        ...(await fixture.send('POST', '/api/incomingemail', items)).json<Row[]>().map(({ id }) => id),
      );
    }
    for (const [index, id] of ids.entries()) {
      await fixture.db
        .updateTable('incoming_email')
        .set({ subject: `Printer ${index % 3}`, from_text: `Ann ${index} <ann@example.org>` })
        .where('id', '=', id)
        .execute();
    }
    return { mailbox, ids };
  }

  it('is newest first; records of one moment by id; and without bytes or bodies', async () => {
    const { mailbox, ids } = await twelve();
    const rows = await list(`mbid=${mailbox}`);
    expect(rows.map(({ id }) => id)).toEqual([...ids.slice(8), ...ids.slice(4, 8), ...ids.slice(0, 4)]);
    expect(rows[0]).not.toHaveProperty('data');
    expect(rows[0]).not.toHaveProperty('memo');
  });

  it('pages as Halo does: total, page, size; pages never overlap, also where the order has equals', async () => {
    const { mailbox, ids } = await twelve();
    const seen: number[] = [];
    for (let page = 1; page <= 3; page += 1) {
      const answer = await list<Page>(
        `mbid=${mailbox}&pageinate=true&page_size=5&page_no=${page}&order=subject&orderdesc=true`,
      );
      expect(answer).toMatchObject({ page_no: page, page_size: 5, record_count: 12 });
      seen.push(...answer.incomingemails.map(({ id }) => id));
    }
    expect(new Set(seen)).toEqual(new Set(ids));
    expect(seen).toHaveLength(12);
    const beyond = await list<Page>(`mbid=${mailbox}&pageinate=true&page_size=5&page_no=9`);
    expect(beyond).toMatchObject({ record_count: 12, incomingemails: [] });
    expect(await list<Page>(`mbid=${mailbox}&pageinate=1`)).toMatchObject({ page_no: 1, page_size: 50 });
  });

  it('without paging takes count, and ignores page_size', async () => {
    const { mailbox } = await twelve();
    expect(await list(`mbid=${mailbox}&count=3`)).toHaveLength(3);
    expect(await list(`mbid=${mailbox}&page_size=3`)).toHaveLength(12);
  });

  it('orders by several fields', async () => {
    const { mailbox, ids } = await twelve();
    const rows = await list(`mbid=${mailbox}&Order=subject&orderdesc=false&order2=ID&orderdesc2=true`);
    const of = (rest: number): number[] => ids.filter((_, index) => index % 3 === rest).reverse();
    expect(rows.map(({ id }) => id)).toEqual([...of(0), ...of(1), ...of(2)]);
    expect((await fixture.send('GET', '/api/incomingemail?order=data')).statusCode).toBe(400);
    expect((await fixture.send('GET', '/api/incomingemail?order2=id;drop table mailbox')).statusCode).toBe(
      400,
    );
  });

  it.each([
    ['newest first', '', false],
    ['oldest first', '&order=id&orderdesc=false', true],
  ])('pages by cursor, %s, without loss or repetition while mail arrives', async (_, order, ascending) => {
    const { mailbox, ids } = await twelve();
    const seen: number[] = [];
    let after = '';
    for (let page = 0; page < 20; page += 1) {
      const answer = await list<Page>(`mbid=${mailbox}&page_size=5&after=${after}${order}`);
      seen.push(...answer.incomingemails.map(({ id }) => id));
      if (page === 0 && !ascending) await handIn(mailbox);
      if (answer.after === null) break;
      after = answer.after;
    }
    expect(seen).toEqual(ascending ? ids : [...ids].reverse());
  });

  it('refuses cursors and orders it did not give', async () => {
    for (const query of ['after=x', 'after=e1;', 'after=&order=subject', 'after=&order=id&order2=subject']) {
      expect((await fixture.send('GET', `/api/incomingemail?${query}`)).statusCode, query).toBe(400);
    }
  });

  it('filters by status, mailbox, words, dates and ticket', async () => {
    const { mailbox, ids } = await twelve();
    await setState(ids[0]!, 'processed');
    await setState(ids[1]!, 'ignored');
    const found = async (query: string): Promise<number[]> =>
      (await list(`mbid=${mailbox}&order=id&${query}`)).map(({ id }) => id);
    expect(await found('status=2')).toEqual([ids[0]]);
    expect(await found('status=2,3')).toEqual([ids[0], ids[1]]);
    expect(await found('status=2&Status=3')).toHaveLength(1);
    expect(await found('status=2&status=3')).toEqual([ids[0], ids[1]]);
    expect(await found('status=6')).toEqual([]);
    expect(await found('search=printer')).toHaveLength(12);
    expect(await found('search=printer%202')).toHaveLength(4);
    expect(await found('search=ann@example.org%20-0')).not.toHaveLength(0);
    expect(await found("search=%27%22)('%20or%201=1%00")).toEqual([]);
    expect(await found('datecreated_start=2020-01-01')).toHaveLength(12);
    expect(await found('datecreated_end=2020-01-01T00:00:00')).toEqual([]);
    expect(await found('ticket_id=5')).toEqual([]);
    for (const query of [
      'status=x',
      'status=99',
      'mbid=x',
      'datecreated_start=soon',
      'page_size=0&pageinate=true',
      'page_size=1001',
    ]) {
      expect((await fixture.send('GET', `/api/incomingemail?${query}`)).statusCode, query).toBe(400);
    }
  });
});
