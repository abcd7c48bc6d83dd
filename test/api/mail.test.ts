import { describe, expect, it } from 'vitest';
import { parseMessage } from '../../src/message/parse.ts';
import { claimEmails } from '../../src/store/emails.ts';
import { newMailbox, rawMessage, useApi } from './fixture.ts';

const fixture = useApi();

type Row = Record<string, unknown> & { id: number; status: number };

const statusOf = async (id: number): Promise<unknown> =>
  (await fixture.send('GET', `/api/incomingemail/${id}`)).json<Row>().status;

describe.each(['IMAP', 'Pop3'])('POST /api/Mail/Integrator/%s', (way) => {
  const post = (body: unknown) => fixture.send('POST', `/api/Mail/Integrator/${way}`, body);

  it('answers 201 with the queued record, and 200 with the same when it is sent again', async () => {
    const mailbox = await newMailbox(fixture);
    const message = { id: '17', haloMailboxId: mailbox, raw: rawMessage('integrated') };
    const first = await post(message);
    expect(first.statusCode).toBe(201);
    expect(first.json()).toMatchObject({ mbid: mailbox, mailid: '17', status: 0 });
    fixture.enqueued.length = 0;
    const again = await post(message);
    expect(again.statusCode).toBe(200);
    expect(again.json()).toMatchObject({ id: first.json<Row>().id });
    expect(fixture.enqueued).toEqual([]);
  });

  it('takes the message whole from raw, before the structure', async () => {
    const bytes = Buffer.from('Subject: from raw\n\nbody\0\xff', 'latin1');
    const answer = await post({
      id: 'r',
      haloMailboxId: await newMailbox(fixture),
      raw: bytes.toString('base64url'),
      mimeMessage: { subject: 'from structure' },
    });
    const raw = await fixture.send('GET', `/api/incomingemail/${answer.json<Row>().id}/raw`);
    expect(raw.rawPayload.equals(bytes)).toBe(true);
  });

  it('makes a message of the structure alone', async () => {
    const answer = await post({
      id: 's',
      haloMailboxId: await newMailbox(fixture),
      mimeMessage: {
        from: [{ name: 'Müller, Ann', address: 'ann@example.org' }],
        to: [{ name: null, address: 'desk@example.org', encoding: {} }],
        subject: 'Structure ✓',
        messageId: 'abc@example.org',
        references: ['one@example.org', 'two@example.org'],
        date: '2026-03-01T10:00:00+02:00',
        textBody: 'Hello\0 ü',
        htmlBody: '<p>Hello</p>',
        body: { contentType: { mediaType: 'multipart' } },
        attachments: [{ isAttachment: true }],
      },
    });
    expect(answer.statusCode).toBe(201);
    const raw = await fixture.send('GET', `/api/incomingemail/${answer.json<Row>().id}/raw`);
    const parsed = await parseMessage(raw.rawPayload);
    expect(parsed).toMatchObject({
      from: [{ name: 'Müller, Ann', address: 'ann@example.org' }],
      subject: 'Structure ✓',
      messageId: 'abc@example.org',
      references: ['one@example.org', 'two@example.org'],
      date: '2026-03-01T08:00:00.000Z',
      html: expect.stringContaining('<p>Hello</p>'),
    });
  });

  it('processes a record that has the bytes already', async () => {
    const mailbox = await newMailbox(fixture);
    const { id } = (await post({ id: 'k', haloMailboxId: mailbox, raw: rawMessage('known') })).json<Row>();
    await fixture.db
      .updateTable('incoming_email')
      .set({ state: 'quarantined' })
      .where('id', '=', id)
      .execute();
    fixture.enqueued.length = 0;
    const answer = await post({ incomingEmailId: id });
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toMatchObject({ id, status: 0 });
    expect(fixture.enqueued).toEqual([{ id, mailboxId: mailbox }]);
    await fixture.db.updateTable('incoming_email').set({ state: 'processed' }).where('id', '=', id).execute();
    expect((await post({ incomingEmailId: id })).json()).toMatchObject({ status: 2 });
    expect(fixture.enqueued).toHaveLength(1);
    expect((await post({ incomingEmailId: 987_654 })).statusCode).toBe(404);
  });

  it.each([
    ['no mailbox', { haloMailboxId: undefined }],
    ['an unknown mailbox', { haloMailboxId: 99_999 }],
    ['no message', { raw: undefined }],
    ['damaged base64', { raw: 'a*b' }],
    ['an id with NUL', { id: 'a\0b' }],
    ['an id that is a number', { id: 7 }],
    ['a structure that is a text', { raw: undefined, mimeMessage: 'x' }],
  ])('refuses %s', async (_, change) => {
    const body = { id: 'x', haloMailboxId: await newMailbox(fixture), raw: rawMessage('x'), ...change };
    const answer = await post(body);
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ error: 'validation_error', details: [expect.any(Object)] });
  });

  it('answers only when the message is stored', async () => {
    const mailbox = await newMailbox(fixture);
    const { put } = fixture.raw;
    fixture.raw.put = async () => {
      throw new Error('disk full');
    };
    const answer = await post({ id: 'f', haloMailboxId: mailbox, raw: rawMessage('fails') });
    fixture.raw.put = put;
    expect(answer.statusCode).toBe(500);
    expect(answer.payload).not.toContain('disk full');
    const again = await post({ id: 'f', haloMailboxId: mailbox, raw: rawMessage('fails') });
    expect(again.statusCode).toBe(201);
  });
});

describe('POST /api/Mail/ProcessMail', () => {
  it('answers per id, in order: queued, skipped, unknown', async () => {
    const mailbox = await newMailbox(fixture);
    const items = ['a', 'b', 'c'].map((mailid) => ({ mbid: mailbox, mailid, data: rawMessage(mailid) }));
    const rows = (await fixture.send('POST', '/api/incomingemail', items)).json<Row[]>();
    const [a, b, c] = rows.map(({ id }) => id) as [number, number, number];
    await fixture.db
      .updateTable('incoming_email')
      .set({ state: 'quarantined' })
      .where('id', '=', a)
      .execute();
    await fixture.db.updateTable('incoming_email').set({ state: 'processed' }).where('id', '=', b).execute();
    await claimEmails(fixture.db, [c], 60);
    fixture.enqueued.length = 0;
    const answer = await fixture.send('POST', '/api/Mail/ProcessMail?Task_ID=9', [b, 987_654, a, c, a]);
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual([
      { id: b, status: 2, error: null },
      { id: 987_654, status: null, error: expect.any(String) },
      { id: a, status: 0, error: null },
      { id: c, status: 1, error: null },
      { id: a, status: 0, error: null },
    ]);
    expect(fixture.enqueued).toEqual([{ id: a, mailboxId: mailbox }]);
    expect(await statusOf(a)).toBe(0);
    const audit = await fixture.db
      .selectFrom('audit_log')
      .selectAll()
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirstOrThrow();
    expect(audit).toMatchObject({ action: 'process', change: { task: 9, ids: [a] } });
  });

  it('refuses what is no list of ids', async () => {
    for (const body of [{}, ['1'], [1.5], [null], Array.from({ length: 1_001 }, (_, i) => i)]) {
      expect((await fixture.send('POST', '/api/Mail/ProcessMail', body)).statusCode).toBe(400);
    }
    expect((await fixture.send('POST', '/api/Mail/ProcessMail', [])).json()).toEqual([]);
  });
});
