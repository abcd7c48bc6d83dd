import { describe, expect, it } from 'vitest';
import { findMailbox } from '../../src/store/mailboxes.ts';
import { readSecret } from '../../src/store/secrets.ts';
import { mailboxItem, newMailbox, rawMessage, useApi } from './fixture.ts';

const fixture = useApi();

type Row = Record<string, unknown> & {
  id: number;
  penstock: Record<string, unknown>;
  _warning: string | null;
};

async function create(more: Record<string, unknown> = {}): Promise<Row> {
  const username = `${Math.random().toString(36).slice(2)}@example.org`;
  const answer = await fixture.send('POST', '/api/Mailbox', [mailboxItem({ username, ...more })]);
  expect(answer.statusCode, answer.payload).toBe(201);
  return answer.json();
}

async function update(id: number, change: Record<string, unknown>): Promise<Row> {
  const answer = await fixture.send('POST', '/api/Mailbox', [{ id, ...change }]);
  expect(answer.statusCode, answer.payload).toBe(201);
  return answer.json();
}

async function settingsOf(id: number) {
  return (await findMailbox(fixture.db, id))!.settings;
}

describe('POST /api/Mailbox/ID/refetch', () => {
  it('asks again for what was given up, and says what that was', async () => {
    const { db } = fixture;
    const id = await newMailbox(fixture);
    const folder = await db
      .insertInto('folder')
      .values({ mailbox_id: id, path: 'INBOX', epoch: '7' })
      .returning('id')
      .executeTakeFirstOrThrow();
    const row = { mailbox_id: id, folder_id: folder.id, epoch: '7', size: 10, reason: 'NO Message corrupt' };
    await db
      .insertInto('ledger')
      .values([
        { ...row, key: '1', state: 'fetch_failed' },
        { ...row, key: '2', state: 'fetch_failed' },
        { ...row, key: '3', state: 'oversized' },
        { ...row, key: '4', state: 'skipped' },
      ])
      .execute();
    const ask = async (body: object) => {
      const answer = await fixture.send('POST', `/api/Mailbox/${id}/refetch`, body);
      expect(answer.statusCode, answer.payload).toBe(202);
      return answer.json<{ asked: number; messages: { key: string }[] }>();
    };
    expect(await ask({ key: '2' })).toEqual({
      asked: 1,
      messages: [{ folder: 'INBOX', key: '2', size: 10, reason: 'NO Message corrupt' }],
    });
    expect((await ask({ oversized: true })).messages.map(({ key }) => key)).toEqual(['3']);
    expect((await ask({})).messages.map(({ key }) => key)).toEqual(['1']);
    expect(await ask({})).toEqual({ asked: 0, messages: [] });
    const audit = await db
      .selectFrom('audit_log')
      .select('actor')
      .where('action', '=', 'refetch')
      .where('entity_id', '=', String(id))
      .execute();
    expect(audit.map(({ actor }) => actor)).toEqual(Array(3).fill(expect.stringMatching(/^client:/)));
    expect((await fixture.send('POST', '/api/Mailbox/999999/refetch', {})).statusCode).toBe(404);
  });
});

describe('POST /api/Mailbox creates', () => {
  it('with the defaults of Halo, and says what they do', async () => {
    const row = await create();
    expect(row).toMatchObject({
      name: 'Support',
      type: 1,
      enabled: true,
      usetls: true,
      imapleavemailininbox: false,
      deleteditemsfolder: '',
      accept_auto_replies: true,
      allow_email_hashtags: true,
      showinfromaddress: true,
      restrictto_org_id: 1,
      labeltype: 'TRASH',
      errorcounter: 0,
      changeseq: 1,
      halointegrator_lastsync: null,
      penstock: {
        folders: ['INBOX'],
        after: 'move',
        after_folder: '\\Trash',
        secrets: ['password'],
        status: 'ok',
      },
    });
    expect(row._warning).toContain("moved to the server's deleted items");
    expect((await settingsOf(row.id)).server).toMatchObject({ port: 993, tls: 'implicit', auth: 'password' });
  });

  it('keeps the password sealed and answers null, also when it is posted back', async () => {
    const row = await create({ password: 'hunter2 ü' });
    expect(row.password).toBeNull();
    await update(row.id, { password: null });
    await update(row.id, { password: '' });
    expect(await readSecret(fixture.db, fixture.keys, `mailbox:${row.id}`, 'password')).toBe('hunter2 ü');
    await update(row.id, { password: 'next' });
    expect(await readSecret(fixture.db, fixture.keys, `mailbox:${row.id}`, 'password')).toBe('next');
    const cleared = await update(row.id, { penstock: { clear_secrets: ['password'] } });
    expect(cleared.penstock.secrets).toEqual([]);
    const rows = await fixture.db.selectFrom('audit_log').selectAll().execute();
    expect(JSON.stringify(rows)).not.toMatch(/hunter2|next"/);
  });

  it.each([
    ['nothing about TLS', {}, 'implicit', 993],
    ['usetls false', { usetls: false }, 'none', 143],
    ['port 143 and automatic', { usetls: true, tlstype: 1, popport: 143 }, 'starttls', 143],
    ['an odd port and automatic', { usetls: true, tlstype: 0, popport: 1993 }, 'implicit', 1993],
    ['TLS from connect', { usetls: true, tlstype: 2, popport: 143 }, 'implicit', 143],
    ['STARTTLS required', { usetls: true, tlstype: 3 }, 'starttls', 143],
    ['STARTTLS if offered', { usetls: true, tlstype: 4 }, 'starttls', 143],
  ])('with %s', async (_, fields, tls, port) => {
    const row = await create(fields);
    expect((await settingsOf(row.id)).server).toMatchObject({ tls, port });
    const read = (await fixture.send('GET', `/api/Mailbox/${row.id}`)).json<Row>();
    expect(read).toMatchObject({ usetls: true, ...fields });
    expect(row._warning?.includes('TLS is off')).toBe(tls === 'none');
  });

  it.each([
    ['left in place', { imapleavemailininbox: true }, 'leave', null],
    ['deleted for good', { harddeletereadmessages: true }, 'delete', null],
    ['moved to a folder', { deleteditemsfolder: 'Done' }, 'move', 'Done'],
    ['marked as seen', { penstock: { after: 'seen' } }, 'seen', null],
    ['left, by our word', { penstock: { after: 'leave' } }, 'leave', null],
    ['moved, by our word', { penstock: { after: 'move', after_folder: 'Archive' } }, 'move', 'Archive'],
  ])('whose processed mail is %s', async (_, fields, after, afterFolder) => {
    const row = await create(fields);
    expect(await settingsOf(row.id)).toMatchObject({ after, afterFolder });
    expect(row).toMatchObject({ imapleavemailininbox: after === 'leave' || after === 'seen' });
  });

  it('of POP3 with the defaults of Halo: what cannot be moved stays, and that is said', async () => {
    const row = await create({ type: 0 });
    expect(row).toMatchObject({
      type: 0,
      imapleavemailininbox: true,
      deleteditemsfolder: '',
      penstock: { folders: ['INBOX'], after: 'leave', after_folder: null },
    });
    expect(row._warning).toContain('POP3 cannot move messages');
    expect(row._warning).not.toContain('is moved to');
    expect((await settingsOf(row.id)).server).toMatchObject({ port: 995, tls: 'implicit' });
    // Posted back as it was read, nothing changes.
    expect((await update(row.id, row)).changeseq).toBe(row.changeseq);
  });

  it.each([
    ['usetls false', { usetls: false }, 'none', 110],
    ['port 110 and automatic', { usetls: true, tlstype: 1, popport: 110 }, 'starttls', 110],
    ['port 143, which is nothing to POP3', { usetls: true, tlstype: 0, popport: 143 }, 'implicit', 143],
    ['STARTTLS required', { usetls: true, tlstype: 3 }, 'starttls', 110],
  ])('of POP3 with %s', async (_, fields, tls, port) => {
    const row = await create({ type: 0, ...fields });
    expect((await settingsOf(row.id)).server).toMatchObject({ tls, port });
    expect((await fixture.send('GET', `/api/Mailbox/${row.id}`)).json<Row>()).toMatchObject(fields);
  });

  it('of POP3 that deletes, or begins with what comes from now on', async () => {
    expect((await create({ type: 0, harddeletereadmessages: true })).penstock.after).toBe('delete');
    const left = await create({ type: 0, imapleavemailininbox: true });
    expect(left.penstock.after).toBe('leave');
    expect(left._warning ?? '').not.toContain('POP3 cannot move');
    const fresh = await create({ type: 0, dontimportbeforecreation: true });
    expect(fresh).toMatchObject({ dontimportbeforecreation: true, penstock: { first_sync: 'now' } });
  });

  it.each([
    ['a folder to move to', { deleteditemsfolder: 'Done' }, 'deleteditemsfolder'],
    ['moving', { penstock: { after: 'move', after_folder: 'Done' } }, 'penstock.after'],
    ['marking', { penstock: { after: 'seen' } }, 'penstock.after'],
    ['another folder', { incomingfoldername: 'Spam' }, 'penstock.folders'],
    ['a date to cut off at', { imapdatecutoff: '2026-01-01T00:00:00Z' }, 'imapdatecutoff'],
    [
      'a date to begin with',
      { penstock: { first_sync: 'since', first_sync_since: '2026-01-01' } },
      'penstock.first_sync',
    ],
  ])('of POP3 not with %s', async (_, fields, field) => {
    const answer = await fixture.send('POST', '/api/Mailbox', [mailboxItem({ type: 0, ...fields })]);
    expect(answer.statusCode, answer.payload).toBe(400);
    expect(answer.payload).toContain(field);
    expect(answer.payload).toContain('POP3');
  });

  it('anew when an IMAP mailbox becomes one of POP3, as far as POP3 can do what it is to do', async () => {
    const row = await create();
    const answer = await fixture.send('POST', '/api/Mailbox', [{ id: row.id, type: 0 }]);
    expect(answer.statusCode).toBe(400);
    expect(answer.payload).toContain('after cannot be move: POP3 can leave or delete messages');
    const changed = await update(row.id, { type: 0, imapleavemailininbox: true });
    expect(changed).toMatchObject({ type: 0, penstock: { after: 'leave' } });
    expect((await settingsOf(row.id)).server).toMatchObject({ port: 995 });
  });

  it('with every setting that Halo lacks', async () => {
    const penstock = {
      folders: ['INBOX', 'Support/2026'],
      poll_seconds: 15,
      first_sync: 'since',
      first_sync_since: '2026-01-31T00:00:00.000Z',
      after: 'seen',
      after_folder: null,
      max_message_bytes: 1_000_000,
      dedup: 'none',
      addresses: ['help@example.org'],
      tls: 'starttls',
      tls_verify: false,
      auth: 'xoauth2',
      token: 'secret token',
    };
    const row = await create({ penstock });
    const { token, ...shown } = penstock;
    expect(row.penstock).toMatchObject(shown);
    expect(JSON.stringify(row)).not.toContain(token);
    expect(row.penstock.secrets).toEqual(['password', 'token']);
    expect((await settingsOf(row.id)).server).toMatchObject({ tls: 'starttls', port: 143, tlsVerify: false });
  });

  it('keeps what Penstock does not read, and gives it back', async () => {
    const kept = {
      restriction_type: 2,
      restrictto_department_id: 4,
      smtpserver: 'smtp.example.org',
      azuretenant: 't',
    };
    const row = await create({ ...kept, signature_overrides: [{ id: 1, agent_id: 2, signature: 'Bye' }] });
    const whole = await fixture.send('GET', `/api/Mailbox/${row.id}?includedetails=true`);
    expect(whole.json()).toMatchObject({ ...kept, signature_overrides: [{ agent_id: 2, signature: 'Bye' }] });
    const plain = await fixture.send('GET', `/api/Mailbox/${row.id}`);
    expect(plain.json()).toMatchObject({ ...kept, signature_overrides: null });
  });

  it('from a single object, with names in any letter case and unknown ones ignored', async () => {
    const { name, ...item } = mailboxItem({ username: 'single@example.org' });
    const answer = await fixture.send('POST', '/mailbox', { ...item, NAME: name, PollNothing: 1 });
    expect(answer.statusCode).toBe(201);
    expect(answer.json()).toMatchObject({ name: 'Support', username: 'single@example.org' });
  });

  it('several in one transaction: the first bad one undoes all and is named', async () => {
    const before = (await fixture.send('GET', '/api/Mailbox?showall=true')).json<Row[]>().length;
    const answer = await fixture.send('POST', '/api/Mailbox', [
      mailboxItem({ username: 'a1@example.org' }),
      mailboxItem({ username: 'a2@example.org', type: 2 }),
    ]);
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ code: 'unsupported', details: [{ index: 1, field: 'type' }] });
    expect((await fixture.send('GET', '/api/Mailbox?showall=true')).json<Row[]>()).toHaveLength(before);

    const both = await fixture.send('POST', '/api/Mailbox', [
      mailboxItem({ username: 'b1@example.org' }),
      mailboxItem({ username: 'b2@example.org' }),
    ]);
    expect(both.json<Row[]>().map(({ username }) => username)).toEqual(['b1@example.org', 'b2@example.org']);
  });

  it('once, when the same request is repeated', async () => {
    const item = mailboxItem({ username: 'repeat@example.org', dontimportbeforecreation: true });
    const first = (await fixture.send('POST', '/api/Mailbox', [item])).json<Row>();
    const second = (await fixture.send('POST', '/api/Mailbox', [item])).json<Row>();
    expect(second.id).toBe(first.id);
    expect(second.changeseq).toBe(first.changeseq);
    expect(second._warning).toContain('no second one was made');
    const other = (await fixture.send('POST', '/api/Mailbox', [{ ...item, name: 'Another' }])).json<Row>();
    expect(other.id).not.toBe(first.id);
    expect(other._warning).toContain('arrives twice');
  });

  it('one of several equal requests at the same time', async () => {
    const item = mailboxItem({ username: 'race@example.org' });
    const answers = await Promise.all([1, 2, 3, 4].map(() => fixture.send('POST', '/api/Mailbox', [item])));
    expect(new Set(answers.map((answer) => answer.json<Row>().id)).size).toBe(1);
  });

  it.each([
    ['no type', { type: undefined }, 'validation_failed', 'type'],
    ['an unknown type', { type: 9 }, 'validation_failed', 'type'],
    ['Exchange', { type: 2 }, 'unsupported', 'type'],
    ['Graph without an application', { type: 3 }, 'validation_failed', 'azureappid'],
    ['Gmail without an application', { type: 4 }, 'validation_failed', 'penstock.oauth.client_id'],
    ['no server', { server: '' }, 'validation_failed', 'server'],
    ['no user', { username: undefined }, 'validation_failed', 'username'],
    ['a port that is none', { popport: 99_999 }, 'validation_failed', 'popport'],
    ['an unknown TLS type', { usetls: true, tlstype: 7 }, 'validation_failed', 'tlstype'],
    ['an unknown unmatched_users', { unmatched_users: 7 }, 'validation_failed', 'unmatched_users'],
    ['a date that is none', { imapdatecutoff: 'yesterday' }, 'validation_failed', 'imapdatecutoff'],
    [
      'a move into the folder that is read',
      { deleteditemsfolder: 'INBOX' },
      'validation_failed',
      'deleteditemsfolder',
    ],
    ['no folders', { penstock: { folders: [] } }, 'validation_failed', 'penstock.folders'],
    ['a poll interval of 0', { penstock: { poll_seconds: 0 } }, 'validation_failed', 'penstock.poll_seconds'],
    [
      'first sync since no date',
      { penstock: { first_sync: 'since' } },
      'validation_failed',
      'penstock.first_sync_since',
    ],
    ['a webhook action', { _webhookaction: 1 }, 'unsupported', '_webhookaction'],
    ['a code to exchange', { _exchangecodefortoken: true }, 'unsupported', '_exchangecodefortoken'],
    ['webhooks', { inbound_method: 1 }, 'unsupported', 'inbound_method'],
    ['a name with NUL', { name: 'a\0b' }, 'validation_failed', 'name'],
    ['half a character', { name: '\ud800' }, 'validation_failed', 'name'],
    ['a number for a name', { name: 5 }, 'validation_failed', 'name'],
    ['a text for a number', { type: '1' }, 'validation_failed', 'type'],
    ['a text for a flag', { enabled: 'yes' }, 'validation_failed', 'enabled'],
    ['a fraction', { popport: 1.5 }, 'validation_failed', 'popport'],
  ])('not with %s', async (_, change, code, field) => {
    const item = mailboxItem({ username: 'bad@example.org', ...change });
    const answer = await fixture.send('POST', '/api/Mailbox', [item]);
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({
      ClassName: 'ValidationException',
      code,
      details: [{ index: 0, field }],
    });
    expect(JSON.stringify(answer.json())).not.toContain('correct horse');
  });
});

describe('POST /api/Mailbox updates', () => {
  it('only what is given', async () => {
    const row = await create({ server: 'one.example.org', imapleavemailininbox: true });
    const changed = await update(row.id, { name: 'Renamed' });
    expect(changed).toMatchObject({ name: 'Renamed', server: 'one.example.org', changeseq: 2 });
    expect(changed._warning).toBeNull();
  });

  it('nothing when a client posts back what it read', async () => {
    const row = await create({
      usetls: true,
      tlstype: 4,
      popport: 1143,
      imapdatecutoff: '2026-01-01T00:00:00',
      dontimportbeforecreation: true,
      penstock: { folders: ['INBOX', 'Other'], after: 'seen', poll_seconds: 7, dedup: 'none' },
    });
    const before = await settingsOf(row.id);
    const read = (await fixture.send('GET', `/api/Mailbox/${row.id}?includedetails=true`)).json<Row>();
    const saved = await update(row.id, read);
    expect(await settingsOf(row.id)).toEqual(before);
    expect(saved.changeseq).toBe(row.changeseq);
  });

  it('one field of what it read, whether Halo’s or ours, leaving the other alone', async () => {
    const row = await create({ imapleavemailininbox: true, penstock: { folders: ['INBOX', 'Other'] } });
    const read = (await fixture.send('GET', `/api/Mailbox/${row.id}`)).json<Row>();
    await update(row.id, { ...read, imapleavemailininbox: false, deleteditemsfolder: 'Gone' });
    expect(await settingsOf(row.id)).toMatchObject({
      after: 'move',
      afterFolder: 'Gone',
      folders: ['INBOX', 'Other'],
    });
    const again = (await fixture.send('GET', `/api/Mailbox/${row.id}`)).json<Row>();
    await update(row.id, { ...again, penstock: { ...again.penstock, after: 'seen' } });
    expect(await settingsOf(row.id)).toMatchObject({ after: 'seen', afterFolder: null });
  });

  it('null clears', async () => {
    const row = await create({
      imapdatecutoff: '2026-01-01T00:00:00Z',
      smtpaddress: 'a@example.org',
      unmatched_users: 3,
    });
    const cleared = await update(row.id, {
      imapdatecutoff: null,
      smtpaddress: null,
      unmatched_users: null,
      accept_auto_replies: null,
    });
    expect(cleared).toMatchObject({
      imapdatecutoff: null,
      smtpaddress: '',
      unmatched_users: 0,
      accept_auto_replies: true,
    });
  });

  it('takes zero dates as none', async () => {
    for (const zero of ['1900-01-01T00:00:00', '0001-01-01T00:00:00', '']) {
      expect((await create({ imapdatecutoff: zero })).imapdatecutoff).toBeNull();
    }
  });

  it('own addresses follow the account until they are written by hand', async () => {
    const row = await create({ username: 'Desk@example.org', smtpaddress: 'out@example.org' });
    expect(row.penstock.addresses).toEqual(['desk@example.org', 'out@example.org']);
    const moved = await update(row.id, { smtpaddress: 'new@example.org' });
    expect(moved.penstock.addresses).toEqual(['desk@example.org', 'new@example.org']);
    await update(row.id, { penstock: { addresses: ['Alias@example.org'] } });
    const kept = await update(row.id, { smtpaddress: 'third@example.org' });
    expect(kept.penstock.addresses).toEqual(['alias@example.org']);
  });

  it('refuses an older change counter, unless nothing would change', async () => {
    const row = await create();
    await update(row.id, { name: 'First', changeseq: 1 });
    const late = await fixture.send('POST', '/api/Mailbox', [{ id: row.id, name: 'Second', changeseq: 1 }]);
    expect(late.statusCode).toBe(409);
    expect(late.json()).toMatchObject({ code: 'conflict', details: [{ field: 'changeseq' }] });
    expect(await update(row.id, { name: 'First', changeseq: 1 })).toMatchObject({ changeseq: 2 });
  });

  it('of an unknown mailbox is 404', async () => {
    const answer = await fixture.send('POST', '/api/Mailbox', [{ id: 999_999, name: 'x' }]);
    expect(answer.statusCode).toBe(404);
    expect(answer.json()).toMatchObject({ code: 'not_found', Message: expect.stringContaining('999999') });
  });

  it('two at once do not undo each other', async () => {
    const row = await create();
    await Promise.all([update(row.id, { name: 'Both' }), update(row.id, { server: 'both.example.org' })]);
    const read = (await fixture.send('GET', `/api/Mailbox/${row.id}`)).json<Row>();
    expect(read).toMatchObject({ name: 'Both', server: 'both.example.org', changeseq: 3 });
  });
});

describe('POST /api/Mailbox tests only', () => {
  it('saves nothing and tells the steps', async () => {
    const item = mailboxItem({ username: 'test-only@example.org', _testonly: true });
    const answer = await fixture.send('POST', '/api/Mailbox', [item]);
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toMatchObject({
      id: 0,
      _testonly: true,
      _warning: 'dns: ok, 192.0.2.1\nlogin: ok, logged in',
    });
    const all = (await fixture.send('GET', '/api/Mailbox?showall=true')).json<Row[]>();
    expect(all.some(({ username }) => username === 'test-only@example.org')).toBe(false);
  });

  it('says in a 400 which step failed and what to change, with the stored secret where none is given', async () => {
    const id = await newMailbox(fixture, { password: 'stored' });
    const { diagnose } = fixture.services;
    let used: unknown;
    fixture.services.diagnose = async ({ kind, settings }, secrets) => {
      used = { kind, host: settings.server.host, secrets };
      return [{ step: 'tcp', ok: false, found: 'refused', advice: 'Check the port.', milliseconds: 1 }];
    };
    const answer = await fixture.send('POST', '/api/Mailbox', {
      id,
      server: 'other.example.org',
      _testonly: true,
    });
    fixture.services.diagnose = diagnose;
    expect(used).toEqual({
      kind: 'imap',
      host: 'other.example.org',
      secrets: { password: 'stored' },
    });
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({
      code: 'mailbox_test_failed',
      Message: 'tcp: failed, refused Check the port.',
    });
    expect((await settingsOf(id)).server.host).toBe('imap.example.org');
  });
});

describe('GET /api/Mailbox', () => {
  it('leaves out disabled ones unless showall, and follows restrictions and from_addresses', async () => {
    const off = await create({ enabled: false });
    const mine = await create({ restriction_type: 2, restrictto_department_id: 5 });
    const theirs = await create({ restriction_type: 2, restrictto_department_id: 6 });
    const hidden = await create({ showinfromaddress: false });
    const ids = async (query: string) =>
      (await fixture.send('GET', `/api/Mailbox${query}`)).json<Row[]>().map(({ id }) => id);
    expect(await ids('')).not.toContain(off.id);
    expect(await ids('?ShowAll=TRUE')).toContain(off.id);
    const department = await ids('?department_id=5');
    expect(department).toContain(mine.id);
    expect(department).toContain(hidden.id);
    expect(department).not.toContain(theirs.id);
    expect(await ids('?department_id=5&showall=1')).toContain(theirs.id);
    expect(await ids('?organisation_id=5&team_id=1')).toContain(theirs.id);
    expect(await ids('?from_addresses=true')).not.toContain(hidden.id);
  });

  it('refuses values that are none', async () => {
    for (const query of ['department_id=x', 'showall=maybe', 'team_id=1.5']) {
      expect((await fixture.send('GET', `/api/Mailbox?${query}`)).statusCode, query).toBe(400);
    }
  });

  it('shows the progress of a sync and the last error', async () => {
    const { id } = await create();
    await fixture.db
      .updateTable('mailbox_state')
      .set({
        phase: 'listing',
        sync_done: 250,
        sync_total: 1000,
        sync_started_at: new Date(Date.now() - 10_000),
        last_error: 'Login refused',
        last_error_code: 'auth_failed',
        consecutive_errors: 2,
        last_listed_at: new Date('2026-01-01T00:00:00Z'),
      })
      .where('mailbox_id', '=', id)
      .execute();
    const row = (await fixture.send('GET', `/api/Mailbox/${id}`)).json<Row>();
    expect(row).toMatchObject({
      halointegrator_lastsync: '2026-01-01T00:00:00.000Z',
      halointegrator_lasterror: 'Login refused',
      errorcounter: 2,
      penstock: { phase: 'listing', last_error_code: 'auth_failed', progress: { done: 250, total: 1000 } },
    });
    const { rate, seconds_left: left } = row.penstock.progress as { rate: number; seconds_left: number };
    expect(rate * left).toBeGreaterThan(700);
    expect(row.penstock.status).toBe('stale');
  });
});

describe('DELETE /api/Mailbox', () => {
  it('hides it, forgets its secrets and keeps its records', async () => {
    const { id } = await create();
    const answer = await fixture.send('DELETE', `/api/Mailbox/${id}`);
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toMatchObject({ id });
    expect((await fixture.send('GET', `/api/Mailbox/${id}`)).statusCode).toBe(404);
    expect((await fixture.send('DELETE', `/api/Mailbox/${id}`)).statusCode).toBe(404);
    expect(await readSecret(fixture.db, fixture.keys, `mailbox:${id}`, 'password')).toBeNull();
  });

  it('needs it disabled first while its mail waits', async () => {
    const { id } = await create();
    await fixture.send('POST', '/api/incomingemail', [{ mbid: id, mailid: '1', data: rawMessage('waits') }]);
    const refused = await fixture.send('DELETE', `/api/Mailbox/${id}`);
    expect(refused.statusCode).toBe(400);
    expect(refused.json()).toMatchObject({ details: [{ field: 'enabled' }] });
    await update(id, { enabled: false });
    expect((await fixture.send('DELETE', `/api/Mailbox/${id}`)).statusCode).toBe(200);
    const list = (await fixture.send('GET', `/api/incomingemail?mbid=${id}`)).json<unknown[]>();
    expect(list).toHaveLength(1);
  });
});

describe('POST /api/Mailbox/{id}/poll', () => {
  it('asks for a poll of one that is enabled', async () => {
    const { id } = await create();
    expect((await fixture.send('POST', `/api/Mailbox/${id}/poll`)).statusCode).toBe(202);
    await update(id, { enabled: false });
    expect((await fixture.send('POST', `/api/Mailbox/${id}/poll`)).statusCode).toBe(409);
    expect((await fixture.send('POST', '/api/Mailbox/999999/poll')).statusCode).toBe(404);
  });
});

describe('Changes of mailboxes', () => {
  it('are in the audit log, with who, what, before and after, and no secret', async () => {
    const { id } = await create({ password: 'very secret' });
    await update(id, { name: 'Renamed', password: 'even more secret' });
    await fixture.send('DELETE', `/api/Mailbox/${id}`);
    const rows = await fixture.db
      .selectFrom('audit_log')
      .selectAll()
      .where('entity', '=', 'mailbox')
      .where('entity_id', '=', String(id))
      .orderBy('id')
      .execute();
    expect(rows.map(({ action }) => action)).toEqual(['create', 'update', 'delete']);
    expect(rows[0]?.actor).toMatch(/^client:[0-9a-f-]{36}$/);
    expect(rows[1]?.change).toEqual({
      fields: { name: ['Support', 'Renamed'] },
      secrets: ['password'],
      cleared: [],
    });
    expect(JSON.stringify(rows)).not.toMatch(/(very|more) secret/);
  });
});
