/**
 * A mail of ours must not go out twice, and none may be forgotten, because the process that sent it was killed. It is a
 * real process, and dies by SIGKILL.
 */
import { expect, it } from 'vitest';
import { SENDING_CRASH_POINTS } from '../../src/lab/crash-point.ts';
import { gmailTransport } from '../../src/send/gmail.ts';
import { graphTransport } from '../../src/send/graph.ts';
import type { Recipients, Transport } from '../../src/send/mail.ts';
import { GmailApi } from '../../src/source/gmail/api.ts';
import { DEFAULT_GMAIL_OPTIONS } from '../../src/source/gmail/settings.ts';
import { fixedToken, startGmailLab } from '../support/gmail-lab.ts';
import { ANN, GOOD_TOKEN, startGraphLab } from '../support/graph-lab.ts';
import { startScript } from '../support/process.ts';
import { type Sending, startSending } from '../support/sending.ts';
import { startSmtp } from '../support/smtp.ts';

const script = new URL('../support/sender.ts', import.meta.url).pathname;

async function killedAt(point: string, what: object): Promise<void> {
  const child = startScript(script, [JSON.stringify(what)], { env: { PENSTOCK_CRASH_AT: point } });
  expect((await child.ended).signal).toBe('SIGKILL');
}

it('by SMTP: killed before the hand-over it is sent; killed between that and the commit it is left to a person', async () => {
  const smtp = await startSmtp();
  const sending = await startSending();
  const what = { url: sending.url, kind: 'smtp', settings: smtp.settings() };
  const first = await sending.queue({ subject: 'first' });
  await killedAt('after-outgoing-claim', what);
  expect(await sending.row(first)).toMatchObject({ state: 'sending', handover_at: null });
  const one = sending.dispatcher(smtp.transport());
  await sending.untilState(first, 'sent');
  await one.stop(0);

  // The second may not have gone out, and the third has: nobody can tell.
  for (const [subject, point] of [
    ['second', 'after-handover'],
    ['third', 'after-send'],
  ] as const) {
    const id = await sending.queue({ subject });
    await killedAt(point, what);
    expect(await sending.row(id)).toMatchObject({ state: 'sending', handover_at: expect.any(Date) });
    const next = sending.dispatcher(smtp.transport());
    expect(await sending.untilState(id, 'in_doubt')).toMatchObject({
      error_code: 'send_in_doubt',
      attempts: 1,
    });
    await next.stop(0);
  }
  expect(smtp.received.map(({ mime }) => /^Subject: (.*)$/m.exec(mime)![1]!.trim())).toEqual([
    'first',
    'third',
  ]);
}, 240_000);

/** Kills a sender at each point; the next one finds out what became of the mail, by itself. */
async function killedAtEach(
  sending: Sending,
  what: object,
  recipients: Recipients,
  transport: () => Transport,
) {
  for (const point of SENDING_CRASH_POINTS) {
    const id = await sending.queue({ recipients });
    await killedAt(point, what);
    const one = sending.dispatcher(transport());
    await sending.untilState(id, 'sent');
    await one.stop(0);
  }
}

const toAnn: Recipients = { to: [{ name: '', address: ANN }], cc: [], bcc: [], replyTo: null };

it('by Graph: killed at each point it goes out once, for what was sent is found in the sent mail', async () => {
  const lab = await startGraphLab();
  const sending = await startSending('graph');
  const { graphHost, tlsCa } = lab.settings();
  const what = {
    url: sending.url,
    kind: 'graph',
    token: GOOD_TOKEN,
    settings: { mailbox: ANN, graphHost, tlsCa, tlsVerify: true, folders: [], maxMessageBytes: 1_000_000 },
  };
  await killedAtEach(sending, what, toAnn, () => graphTransport(lab.mailbox()));
  expect(lab.server.count('send-mail')).toBe(SENDING_CRASH_POINTS.length);
  expect(lab.server.mailbox(ANN).folder('sentitems')!.messages).toHaveLength(SENDING_CRASH_POINTS.length);
}, 240_000);

it('by Gmail: killed at each point it goes out once, also where Gmail changed the Message-ID', async () => {
  const lab = await startGmailLab();
  const desk = lab.addUser(ANN);
  lab.server.rewritesMessageIds = true;
  const sending = await startSending('gmail');
  const settings = {
    user: ANN,
    folders: [],
    maxMessageBytes: 1_000_000,
    rootUrl: lab.server.rootUrl,
    tlsCa: lab.server.certificate.cert,
  };
  const token = `token-${ANN}`;
  const what = { url: sending.url, kind: 'gmail', token, settings };
  const api = () => new GmailApi({ ...settings, tokens: fixedToken(token) }, DEFAULT_GMAIL_OPTIONS);
  await killedAtEach(sending, what, toAnn, () => gmailTransport(api()));
  expect(lab.server.count('send')).toBe(SENDING_CRASH_POINTS.length);
  expect(desk.withLabels(['SENT'], false)).toHaveLength(SENDING_CRASH_POINTS.length);
}, 240_000);
