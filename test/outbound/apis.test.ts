/** Sending through Graph and Gmail, against the lab's servers over TLS. */
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { gmailTransport } from '../../src/send/gmail.ts';
import { graphTransport } from '../../src/send/graph.ts';
import type { Transport } from '../../src/send/mail.ts';
import { GmailApi } from '../../src/source/gmail/api.ts';
import { DEFAULT_GMAIL_OPTIONS } from '../../src/source/gmail/settings.ts';
import { fixedToken, type GmailLab, QUICK, startGmailLab } from '../support/gmail-lab.ts';
import { ANN, startGraphLab } from '../support/graph-lab.ts';
import { type Sending, startSending } from '../support/sending.ts';

const DESK = 'desk@desk.example';
const ann = { name: 'Ann', address: ANN };
const eve = { name: '', address: 'eve@customer.example' };
const toAnn = { to: [ann], cc: [], bcc: [eve], replyTo: null };

async function withFile(sending: Sending, bytes: Buffer): Promise<number> {
  const store = await sending.db
    .insertInto('email_store')
    .values({ mailbox_id: sending.mailbox.id, recipients: JSON.stringify(toAnn) })
    .returning('id')
    .executeTakeFirstOrThrow();
  await sending.db
    .insertInto('outgoing_attachment')
    .values({
      email_store_id: store.id,
      filename: 'log.bin',
      content_type: 'application/x-log',
      content_id: null,
      bytes,
    })
    .execute();
  return await sending.queue({ recipients: toAnn, emailStoreId: store.id });
}

describe('by Graph', () => {
  it('a small mail is one request of MIME: with its own Message-ID, and no Bcc on the other side', async () => {
    const lab = await startGraphLab();
    const sending = await startSending('graph');
    const id = await sending.queue({
      recipients: toAnn,
      kind: 'acknowledgement',
      automaticTo: ANN,
      inReplyTo: 'q@customer.example',
    });
    sending.dispatcher(graphTransport(lab.mailbox()));
    const row = await sending.untilState(id, 'sent');
    expect(row.delivered).toEqual([ANN, eve.address]);
    const mailbox = lab.server.mailbox(ANN);
    const [arrived] = mailbox.folder('inbox')!.messages;
    const mime = arrived!.content.bytes().toString();
    expect(mime).toContain(`Message-ID: <${row.message_id}>`);
    expect(mime).toContain('Auto-Submitted: auto-replied');
    expect(mime).toContain('X-Auto-Response-Suppress: All');
    expect(mime).not.toContain(eve.address);
    expect(mailbox.folder('sentitems')!.messages).toHaveLength(1);
    expect(lab.server.count('create-draft')).toBe(0);
  });

  it('a large one goes as a draft with an upload session; what an earlier attempt left is cleared away', async () => {
    const lab = await startGraphLab();
    const sending = await startSending('graph');
    const bytes = randomBytes(7_000_000);
    lab.server.faults.add({ at: 'upload', times: 1, action: { do: 'answer', status: 503 } });
    const id = await withFile(sending, bytes);
    const one = sending.dispatcher(graphTransport(lab.mailbox()));
    await sending.untilState(id, 'retrying');
    const mailbox = lab.server.mailbox(ANN);
    expect(mailbox.folder('drafts')!.messages).toEqual([]);
    expect(mailbox.folder('inbox')!.messages).toEqual([]);
    await sending.db
      .updateTable('outgoing_email')
      .set({ next_attempt_at: new Date(0) })
      .execute();
    one.wake();
    await sending.untilState(id, 'sent');
    const all = [...lab.server.outgoing.files.values()].flat();
    expect(all.some((file) => file.name === 'log.bin' && file.bytes.equals(bytes))).toBe(true);
    expect(mailbox.folder('drafts')!.messages).toEqual([]);
    expect(mailbox.folder('inbox')!.messages).toHaveLength(1);
  });

  it.each([
    ['act-and-reset', 1],
    ['reset', 2],
  ] as const)(
    'an answer that is lost (%s) is looked up before anything is sent again',
    async (fault, asked) => {
      const lab = await startGraphLab();
      const sending = await startSending('graph');
      lab.server.faults.add({ at: 'send-mail', times: 1, action: { do: fault } });
      const id = await sending.queue({ recipients: toAnn });
      sending.dispatcher(graphTransport(lab.mailbox()));
      await sending.untilState(id, 'sent');
      expect(lab.server.count('send-mail')).toBe(asked);
      expect(lab.server.mailbox(ANN).folder('inbox')!.messages).toHaveLength(1);
    },
  );

  it('a mailbox that may not send stops, and its mail waits', async () => {
    const lab = await startGraphLab();
    const sending = await startSending('graph');
    const action = { do: 'answer', status: 403, code: 'ErrorSendAsDenied' } as const;
    lab.server.faults.add({ at: 'send-mail', times: 1, action });
    const id = await sending.queue({ recipients: toAnn });
    sending.dispatcher(graphTransport(lab.mailbox()));
    expect(await sending.untilState(id, 'retrying')).toMatchObject({
      error_code: 'permission_denied',
      attempts: 0,
    });
    expect(lab.server.mailbox(ANN).folder('inbox')!.messages).toEqual([]);
  });
});

describe('by Gmail', () => {
  const transport = (lab: GmailLab): Transport =>
    gmailTransport(
      new GmailApi(
        {
          user: DESK,
          tokens: fixedToken(`token-${DESK}`),
          folders: ['INBOX'],
          maxMessageBytes: 50_000_000,
          rootUrl: lab.server.rootUrl,
          tlsCa: lab.server.certificate.cert,
        },
        { ...DEFAULT_GMAIL_OPTIONS, ...QUICK },
      ),
    );

  it('a mail of any size is one upload; the Message-ID that Gmail gives it is kept', async () => {
    const lab = await startGmailLab();
    lab.addUser(DESK);
    const inbox = lab.addUser(ANN);
    lab.server.rewritesMessageIds = true;
    const sending = await startSending('gmail');
    const bytes = randomBytes(6_000_000);
    const id = await withFile(sending, bytes);
    sending.dispatcher(transport(lab));
    const row = await sending.untilState(id, 'sent');
    expect(row.sent_message_id).toMatch(/@mail\.gmail\.com$/);
    expect(row.provider_id).toMatch(/^[0-9a-f]+$/);
    const [arrived] = [...inbox.messages.values()];
    expect(arrived!.raw.toString('latin1')).not.toContain(eve.address);
    expect(arrived!.raw.length).toBeGreaterThan(8_000_000);
  });

  it('an answer that is lost is looked up, also where Gmail changed the Message-ID', async () => {
    const lab = await startGmailLab();
    const desk = lab.addUser(DESK);
    lab.server.rewritesMessageIds = true;
    const sending = await startSending('gmail');
    lab.server.faults.add({ at: 'send', action: { do: 'lose' }, times: 1 });
    const id = await sending.queue({ recipients: toAnn });
    sending.dispatcher(transport(lab));
    const row = await sending.untilState(id, 'sent');
    expect(row.sent_message_id).toMatch(/@mail\.gmail\.com$/);
    expect(lab.server.count('send')).toBe(1);
    expect(desk.withLabels(['SENT'], false)).toHaveLength(1);
  });

  it('what was not sent is sent after the look', async () => {
    const lab = await startGmailLab();
    const desk = lab.addUser(DESK);
    const sending = await startSending('gmail');
    lab.server.faults.add({ at: 'send', action: { do: 'drop' }, times: 1 });
    const id = await sending.queue({ recipients: toAnn });
    sending.dispatcher(transport(lab));
    await sending.untilState(id, 'sent');
    expect(lab.server.count('send')).toBe(2);
    expect(desk.withLabels(['SENT'], false)).toHaveLength(1);
  });
});
