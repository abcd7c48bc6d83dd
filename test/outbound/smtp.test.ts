/** Sending by SMTP, against a real server over TLS. */
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { outgoingStandings } from '../../src/store/outgoing-watch.ts';
import { startSending } from '../support/sending.ts';
import { startSmtp } from '../support/smtp.ts';

const ann = { name: 'Ann', address: 'ann@customer.example' };
const bob = { name: '', address: 'bob@customer.example' };
const eve = { name: '', address: 'eve@customer.example' };

describe('by SMTP', () => {
  it('a mail goes out once, over TLS, to everybody, without its Bcc in it', async () => {
    const smtp = await startSmtp();
    const sending = await startSending();
    const id = await sending.queue({
      recipients: {
        to: [ann],
        cc: [bob],
        bcc: [eve],
        replyTo: { name: 'Desk', address: 'desk+tag@desk.example' },
      },
      html: '<p>Good day, Grüße</p>',
    });
    sending.dispatcher(smtp.transport());
    const row = await sending.untilState(id, 'sent');
    expect(row).toMatchObject({
      attempts: 1,
      delivered: [ann.address, bob.address, eve.address],
      error_code: null,
    });
    expect(smtp.received).toHaveLength(1);
    const [mail] = smtp.received;
    expect(mail).toMatchObject({
      from: 'desk@desk.example',
      to: [ann.address, bob.address, eve.address],
      secure: true,
      user: 'desk',
    });
    expect(mail!.mime).toContain(`Message-ID: <${row.message_id}>`);
    expect(mail!.mime).toContain('Reply-To: Desk <desk+tag@desk.example>');
    expect(mail!.mime).toContain('X-Loop: penstock-test');
    expect(mail!.mime).not.toContain('Auto-Submitted');
    expect(mail!.mime).not.toContain(eve.address);
    expect(smtp.logins).toEqual(['desk:secret']);
  });

  it('STARTTLS is insisted on: without it no password and no mail goes out', async () => {
    const smtp = await startSmtp({ secure: false, hideStarttls: true });
    const sending = await startSending();
    const id = await sending.queue();
    sending.dispatcher(smtp.transport());
    const row = await sending.untilState(id, 'retrying');
    expect(row.error_code).toBe('starttls_missing');
    expect(smtp.logins).toEqual([]);
    expect(smtp.received).toEqual([]);
  });

  it('with STARTTLS the mail goes over TLS, and a certificate that is not trusted stops it', async () => {
    const smtp = await startSmtp({ secure: false });
    const sending = await startSending();
    const id = await sending.queue();
    sending.dispatcher(smtp.transport());
    await sending.untilState(id, 'sent');
    expect(smtp.received[0]).toMatchObject({ secure: true });
    const strict = smtp.transport({ tlsCa: null });
    await expect(
      strict.send({} as never, async () => undefined, new AbortController().signal),
    ).rejects.toMatchObject({ code: 'tls_failed' });
  });

  it('a token that the server refuses is asked for once more', async () => {
    const smtp = await startSmtp();
    smtp.answers.login = (_user, token) => (token === 'new' ? null : '535 5.7.8 Token expired');
    const rejected: string[] = [];
    const tokens = {
      get: async () => (rejected.length === 0 ? 'old' : 'new'),
      rejected: async (token: string) => void rejected.push(token),
    };
    const sending = await startSending();
    const id = await sending.queue();
    sending.dispatcher(smtp.transport({ login: { kind: 'tokens', user: 'desk', tokens } }));
    await sending.untilState(id, 'sent');
    expect(rejected).toEqual(['old']);
    expect(smtp.received[0]).toMatchObject({ user: 'desk' });
  });

  it('a refused login stops the mailbox, not each mail: it is not tried with every one of them', async () => {
    const smtp = await startSmtp();
    smtp.answers.login = () => '535 5.7.8 Bad credentials';
    const sending = await startSending();
    const ids = [await sending.queue(), await sending.queue(), await sending.queue(), await sending.queue()];
    sending.dispatcher(smtp.transport());
    await sending.untilState(ids[0]!, 'retrying');
    await new Promise((resolve) => setTimeout(resolve, 500));
    // As many as may be on their way at once.
    expect(smtp.logins.length).toBeLessThanOrEqual(2);
    expect(await sending.row(ids[0]!)).toMatchObject({ attempts: 0, error_code: 'auth_failed' });
    await sql`update outgoing_email set next_attempt_at = now() - interval '90 seconds'`.execute(sending.db);
    const [standing] = await outgoingStandings(sending.db);
    expect(standing).toMatchObject({ waiting: 4, inDoubt: 0 });
    expect(standing!.pausedErrors).toBeGreaterThan(0);
    expect(standing!.overdueSeconds).toBeGreaterThanOrEqual(90);
    smtp.answers.login = () => null;
    await sending.db
      .updateTable('outgoing_pause')
      .set({ paused_until: new Date(0) })
      .execute();
    for (const id of ids) await sending.untilState(id, 'sent');
    expect(sending.told.filter(({ name }) => name === 'sending.resumed')).not.toEqual([]);
    expect(smtp.received).toHaveLength(4);
  });

  it('a temporary refusal is tried again, a permanent one is not', async () => {
    const smtp = await startSmtp();
    const sending = await startSending();
    smtp.answers.data = () => '451 4.3.0 Try me later';
    const id = await sending.queue();
    sending.dispatcher(smtp.transport());
    expect(await sending.untilState(id, 'retrying')).toMatchObject({
      error_code: 'send_deferred',
      attempts: 1,
    });
    smtp.answers.data = () => '554 5.7.1 Rejected as spam';
    await sending.db
      .updateTable('outgoing_email')
      .set({ next_attempt_at: new Date(0) })
      .execute();
    expect(await sending.untilState(id, 'failed')).toMatchObject({ error_code: 'send_refused', attempts: 2 });
    expect(smtp.received).toEqual([]);
  });

  it('recipients that were taken do not get it again when others are tried later', async () => {
    const smtp = await startSmtp();
    const sending = await startSending();
    smtp.answers.recipient = (address) =>
      address === bob.address
        ? '450 4.2.0 Greylisted'
        : address === eve.address
          ? '550 5.1.1 No such user'
          : null;
    const id = await sending.queue({ recipients: { to: [ann, bob, eve], cc: [], bcc: [], replyTo: null } });
    sending.dispatcher(smtp.transport());
    expect(await sending.untilState(id, 'retrying')).toMatchObject({ delivered: [ann.address] });
    smtp.answers.recipient = () => null;
    await sending.db
      .updateTable('outgoing_email')
      .set({ next_attempt_at: new Date(0) })
      .execute();
    const row = await sending.untilState(id, 'sent');
    expect(row.delivered).toEqual([ann.address, bob.address]);
    expect(row.refused.map(({ address }) => address)).toEqual([eve.address]);
    expect(smtp.received.map(({ to }) => to)).toEqual([[ann.address], [bob.address]]);
  });

  it('a server that falls silent after the last byte leaves it to a person, and it is not sent again', async () => {
    const smtp = await startSmtp();
    smtp.answers.data = () => 'drop';
    const sending = await startSending();
    const id = await sending.queue();
    sending.dispatcher(smtp.transport());
    const row = await sending.untilState(id, 'in_doubt');
    expect(row.error_code).toBe('send_in_doubt');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(smtp.received).toHaveLength(1);
    expect(sending.told.map(({ name }) => name)).toContain('outgoing.in_doubt');
  });

  it('keeps to the mails a minute of the mailbox', async () => {
    const smtp = await startSmtp();
    const sending = await startSending();
    const settings = {
      ...sending.mailbox.settings,
      sending: { ...sending.mailbox.settings.sending!, perMinute: 2 },
    };
    await sending.db
      .updateTable('mailbox')
      .set({ settings: JSON.stringify(settings) })
      .execute();
    for (let i = 0; i < 4; i++) await sending.queue();
    sending.dispatcher(smtp.transport());
    for (const id of [1, 2]) await sending.untilState(id, 'sent');
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(smtp.received).toHaveLength(2);
    await sending.db
      .updateTable('outgoing_email')
      .set({ handover_at: new Date(0) })
      .where('state', '=', 'sent')
      .execute();
    for (const id of [3, 4]) await sending.untilState(id, 'sent');
  });
});
