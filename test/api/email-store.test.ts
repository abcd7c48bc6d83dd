/** EmailStore, Outgoingemail and FormattedEmail over HTTP. Nothing is sent here: test/outbound has that. */
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { newMailbox, useApi } from './fixture.ts';

const fixture = useApi();

interface Stored {
  id: number;
  _warning: string | null;
  dateemailed: string | null;
  [name: string]: unknown;
}

const post = async <T = Stored>(path: string, body: unknown, status = 201): Promise<T> => {
  const answer = await fixture.send('POST', `/api/${path}`, body);
  expect(answer.statusCode, answer.payload).toBe(status);
  return answer.json() as T;
};
const get = async <T = Stored>(path: string): Promise<T> =>
  (await fixture.send('GET', `/api/${path}`)).json() as T;

let mailboxId: number | undefined;
const sender = async (): Promise<number> => {
  mailboxId ??= await newMailbox(fixture, {
    smtpserver: 'smtp.example.org',
    smtpaddress: 'support@example.org',
    smtpdisplayname: 'Support',
    smtppassword: 'other horse',
  });
  return mailboxId;
};

async function person(name: string, address: string): Promise<number> {
  const row = await fixture.db
    .insertInto('requester')
    .values({ name, address })
    .returning('id')
    .executeTakeFirstOrThrow();
  return row.id;
}
async function ticket(subject: string, requesterId: number): Promise<number> {
  const values = { subject, requester_id: requesterId, mailbox_id: await sender() };
  return (await fixture.db.insertInto('ticket').values(values).returning('id').executeTakeFirstOrThrow()).id;
}
const mailsOf = async (storeId: number) =>
  await fixture.db
    .selectFrom('outgoing_email')
    .selectAll()
    .where('email_store_id', '=', storeId)
    .orderBy('id')
    .execute();

describe('POST /EmailStore', () => {
  it('queues a mail before it answers, with recipients, files and a token for its ticket', async () => {
    const mailbox_id = await sender();
    const faultid = await ticket('Printer', await person('Ann Lee', 'ann@customer.example'));
    const view = await post('EmailStore', [
      {
        mailbox_id,
        faultid,
        emailto: 'Ann Lee <ann@customer.example>; bob@customer.example',
        emailcc: 'carl@customer.example',
        emailbcc: 'eve@customer.example',
        emailsubject: 'Your printer',
        emailbody_html: '<p>It <b>works</b></p>',
        reply_direct: true,
        replyaddress: 'desk@example.org',
        addactionaftersending: true,
        attachments: [
          { filename: 'a.txt', content_type: 'text/plain', data: Buffer.from('hello').toString('base64') },
          { filename: 'b.png', data_base64: 'data:image/png;base64,iVBORw0=' },
        ],
      },
    ]);
    expect(view).toMatchObject({
      dateemailed: null,
      _emailsent: false,
      faultid,
      _warning: null,
      attachments: null,
    });
    const [mail] = await mailsOf(view.id);
    expect(mail).toMatchObject({
      state: 'queued',
      ticket_id: faultid,
      subject: 'Your printer',
      sender: { name: 'Support', address: 'support@example.org' },
      automatic_to: null,
    });
    expect(mail!.text).toContain('works');
    expect(mail!.message_id).toMatch(/^r[0-9a-z]+-[a-z2-7]{26}\.[0-9a-f]{16}@example\.org$/);
    expect(mail!.recipients).toEqual({
      to: [
        { name: 'Ann Lee', address: 'ann@customer.example' },
        { name: '', address: 'bob@customer.example' },
      ],
      cc: [{ name: '', address: 'carl@customer.example' }],
      bcc: [{ name: '', address: 'eve@customer.example' }],
      replyTo: { name: '', address: 'desk@example.org' },
    });
    const whole = await get(`EmailStore/${view.id}?includedetails=true`);
    expect(whole.attachments).toMatchObject([
      { filename: 'a.txt', filesize: 5, content_type: 'text/plain' },
      { filename: 'b.png', content_type: 'image/png', isimage: true },
    ]);
    const { participants } = await fixture.db
      .selectFrom('ticket')
      .select('participants')
      .where('id', '=', faultid)
      .executeTakeFirstOrThrow();
    expect(participants).toEqual(['ann@customer.example', 'bob@customer.example', 'carl@customer.example']);
  });

  it('the same request again sends nothing twice', async () => {
    const item = {
      mailbox_id: await sender(),
      emailto: 'ann@customer.example',
      emailsubject: 'Once',
      emailbody: 'x',
    };
    const [first, second] = await Promise.all([post('EmailStore', [item]), post('EmailStore', [item])]);
    expect(second.id).toBe(first.id);
    expect([first._warning, second._warning].filter((text) => text !== null)).toHaveLength(1);
    expect(await mailsOf(first.id)).toHaveLength(1);
  });

  it('a mail to many users or tickets is one for each, and no machine answers those', async () => {
    const users = [await person('Carl Carlson', 'carl@x.example'), await person('Dora', 'dora@x.example')];
    const tickets = [await ticket('One', users[0]!), await ticket('Two', users[1]!)];
    const template = await post('formattedemail', {
      template_name: 'Note',
      subject: '{{ticket.tag}} {{subject}}',
      details: 'Dear {{user.firstname}},\n\n{{body}}',
    });
    const view = await post('EmailStore', {
      mailbox_id: await sender(),
      templateid: template.id,
      emailsubject: 'News',
      emailbody: 'All is well.',
      bulk_user_id_array: users,
      bulk_ticket_id_array: tickets,
    });
    const mails = await mailsOf(view.id);
    expect(mails.map(({ recipients, subject }) => [recipients.to[0]!.address, subject])).toEqual([
      ['carl@x.example', 'News'],
      ['dora@x.example', 'News'],
      ['carl@x.example', `[ID:${tickets[0]}] News`],
      ['dora@x.example', `[ID:${tickets[1]}] News`],
    ]);
    expect(mails[0]!.text).toBe('Dear Carl,\n\nAll is well.');
    expect(mails.every(({ automatic_to: automatic }) => automatic !== null)).toBe(true);
  });

  it('values in a template become neither markup nor header fields', async () => {
    const user_id = await person('<img src=x onerror=alert(1)> & Söhne', 'evil@x.example');
    const template = await post('formattedemail', {
      template_name: 'Rich',
      subject: 'To {{user.name}} {{keymessage}}',
      details: 'Hello {{user.name}}',
      penstock: { html: '<p>Hello {{user.name}}</p>{{body}}' },
    });
    const view = await post('EmailStore', {
      mailbox_id: await sender(),
      templateid: template.id,
      user_id,
      keymessage: 'a\r\nBcc: thief@x.example',
      emailbody_html: '<i>written by an agent</i>',
    });
    const [mail] = await mailsOf(view.id);
    expect(mail!.html).toBe(
      '<p>Hello &lt;img src=x onerror=alert(1)&gt; &amp; Söhne</p><i>written by an agent</i>',
    );
    expect(mail!.subject).toBe('To <img src=x onerror=alert(1)> & Söhne a Bcc: thief@x.example');
  });

  it.each([
    [{ emailto: 'nobody' }, 'emailto'],
    [{}, 'emailto'],
    [{ emailto: 'a@b.example', templateid: 999_999 }, 'templateid'],
    [{ emailto: 'a@b.example', mailbox_id: 999_999 }, 'mailbox_id'],
    [{ emailto: 'a@b.example', faultid: 999_999 }, 'faultid'],
    [{ emailto: 'a@b.example', attachments: [{ filename: 'x', link: 'http://169.254.169.254/' }] }, 'data'],
    [{ emailto: 'a@b.example', attachments: [{ filename: 'x', data: '!!!' }] }, 'data'],
    [{ bulk_user_id_array: [999_999] }, 'bulk_user_id_array'],
  ])('refuses %j', async (item, names) => {
    await sender();
    const answer = await fixture.send('POST', '/api/EmailStore', [
      { emailsubject: String(Math.random()), ...item },
    ]);
    expect(answer.statusCode).toBe(400);
    expect(answer.payload).toContain(names);
  });

  it('a mailbox that has no way to send says what is missing', async () => {
    const mailbox_id = await newMailbox(fixture);
    const answer = await fixture.send('POST', '/api/EmailStore', [{ mailbox_id, emailto: 'a@b.example' }]);
    expect(answer.statusCode).toBe(400);
    expect(answer.payload).toContain('smtpserver');
  });

  it('a queued mail can be changed, a sent one cannot', async () => {
    const view = await post('EmailStore', {
      mailbox_id: await sender(),
      emailto: 'a@b.example',
      emailsubject: 'Befor',
    });
    const changed = await post('EmailStore', { id: view.id, emailsubject: 'Before' });
    expect(changed).toMatchObject({ id: view.id, emailsubject: 'Before', emailto: 'a@b.example' });
    expect((await mailsOf(view.id)).map(({ subject }) => subject)).toEqual(['Before']);
    await sql`update outgoing_email set state = 'sent', sent_at = now() where email_store_id = ${view.id}`.execute(
      fixture.db,
    );
    await post('EmailStore', { id: view.id, emailsubject: 'After' }, 409);
    expect(await get(`EmailStore/${view.id}`)).toMatchObject({
      _emailsent: true,
      dateemailed: expect.stringMatching(/Z$/),
    });
  });

  it('one that was sent elsewhere is only kept, one that is deleted is not sent', async () => {
    const elsewhere = await post('EmailStore', {
      mailbox_id: await sender(),
      emailto: 'a@b.example',
      dateemailed: '2026-01-02T03:04:05Z',
    });
    expect(elsewhere.dateemailed).toBe('2026-01-02T03:04:05.000Z');
    expect(await mailsOf(elsewhere.id)).toEqual([]);
    const view = await post('EmailStore', {
      mailbox_id: await sender(),
      emailto: 'a@b.example',
      emailsubject: 'Gone',
    });
    expect((await fixture.send('DELETE', `/api/EmailStore/${view.id}`)).statusCode).toBe(200);
    expect((await mailsOf(view.id))[0]!.deleted_at).not.toBeNull();
    expect((await fixture.send('GET', `/api/EmailStore/${view.id}`)).statusCode).toBe(404);
  });

  it('test_credentials sends at once, says what happened, and stores nothing', async () => {
    const test_credentials = {
      type: 1,
      server: 'imap.example.org',
      username: 'u@example.org',
      smtpserver: 'smtp.example.org',
    };
    const item = { emailto: 'me@example.org', test_credentials };
    const before = await get<Stored[]>('EmailStore');
    expect(await post('EmailStore', item)).toMatchObject({ _emailsent: true, test_credentials: null });
    const good = fixture.services.sendTest;
    fixture.services.sendTest = async () => {
      throw new Error('535 nope');
    };
    expect(await post('EmailStore', item)).toMatchObject({
      _emailsent: false,
      _warning: expect.stringContaining('535 nope'),
    });
    fixture.services.sendTest = good;
    expect(await get<Stored[]>('EmailStore')).toHaveLength(before.length);
  });
});

describe('Outgoingemail', () => {
  const failed = async (code: string, message: string, state = 'failed'): Promise<number> => {
    const view = await post('EmailStore', {
      mailbox_id: await sender(),
      emailto: 'z@b.example',
      emailsubject: `${code} ${Math.random()}`,
    });
    const [mail] = await mailsOf(view.id);
    await sql`update outgoing_email set state = ${state}, error_code = ${code}, error_message = ${message} where id = ${mail!.id}`.execute(
      fixture.db,
    );
    return mail!.id;
  };

  it('lists errors with a cause in plain words, and sends again what somebody has mended', async () => {
    const id = await failed('send_refused', 'The server refuses the mail: 550 5.1.1 No such user');
    const rows = await get<Stored[]>('Outgoingemail?errorsonly=true');
    const row = rows.find((one) => one.id === id)!;
    expect(row).toMatchObject({
      type: 4,
      datesent: null,
      likely_cause: 'The address does not exist. Check its spelling.',
    });
    expect(rows.every(({ error }) => error !== '')).toBe(true);
    await post('Outgoingemail', [{ id, error: '', changeseq: 99 }], 409);
    const again = await post('Outgoingemail', [{ id, error: '' }]);
    expect(again).toMatchObject({ error: '', penstock: { state: 'queued', attempts: 0 } });
    // Asked for twice: once is enough.
    await post('Outgoingemail', [{ id, error: '' }]);
  });

  it('a mail in doubt is sent again, or marked as sent, by a person only', async () => {
    const id = await failed('send_in_doubt', 'Handed over', 'in_doubt');
    expect((await get<Stored[]>('Outgoingemail?state=in_doubt')).map((one) => one.id)).toContain(id);
    const marked = await post('Outgoingemail', [{ id, penstock: { resolve: 'sent' } }]);
    expect(marked).toMatchObject({ error: '', penstock: { state: 'sent' }, datesent: expect.any(String) });
    await post('Outgoingemail', [{ id, error: '' }], 409);
  });

  it('needs an id, knows what is not there, and deletes', async () => {
    await post('Outgoingemail', [{ error: '' }], 400);
    await post('Outgoingemail', [{ id: 999_999, error: '' }], 404);
    const id = await failed('send_gave_up', 'Too long');
    expect((await fixture.send('DELETE', `/api/Outgoingemail/${id}`)).json()).toMatchObject({
      id,
      delete: true,
    });
    expect((await fixture.send('DELETE', `/api/Outgoingemail/${id}`)).statusCode).toBe(404);
  });

  it('reading tokens do not send', async () => {
    const authorization = `Bearer ${await fixture.tokenFor('read:tickets')}`;
    for (const path of ['EmailStore', 'Outgoingemail']) {
      expect((await fixture.send('GET', `/api/${path}`, undefined, { authorization })).statusCode).toBe(200);
      expect((await fixture.send('POST', `/api/${path}`, [{}], { authorization })).statusCode).toBe(403);
    }
  });
});

describe('FormattedEmail', () => {
  it('is a set of labels, or a template: what was posted says which', async () => {
    const labels = await post('formattedemail', {
      template_name: 'Form',
      subject: 'Subject:',
      details: 'Details:',
      priority: 'Prio:',
    });
    expect(labels).toMatchObject({
      subject: 'Subject:',
      priority: 'Prio:',
      customer: null,
      penstock: { use: 'labels' },
    });
    const one = await post('formattedemail', { id: labels.id, fmid: 1, fmdata: 'Customer:' });
    expect(one).toMatchObject({ customer: 'Customer:', subject: 'Subject:' });
    expect(await get(`formattedemail/${labels.id}`)).toMatchObject({ customer: 'Customer:' });
    const again = await post('formattedemail', { ...one, id: 0, fmid: null, fmdata: null, _warning: null });
    expect(again).toMatchObject({ id: labels.id, _warning: expect.stringContaining('same in everything') });
    expect(await post('formattedemail', { customer: 'C:' })).toMatchObject({
      _warning: expect.stringContaining('subject or details'),
    });
    await post(
      'EmailStore',
      { mailbox_id: await sender(), emailto: 'a@b.example', templateid: labels.id },
      400,
    );
    await post('formattedemail', { subject: 'x {{secret}}', details: 'y' }, 400);
    expect((await fixture.send('DELETE', `/api/formattedemail/${labels.id}`)).statusCode).toBe(200);
    expect((await fixture.send('GET', `/api/formattedemail/${labels.id}`)).statusCode).toBe(404);
  });
});
