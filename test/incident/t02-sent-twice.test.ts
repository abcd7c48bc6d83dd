/**
 * A mail of ours must not go out twice, and none may be forgotten, because the process that sent it was killed. It is a
 * real process, and dies by SIGKILL.
 */
import { expect, it } from 'vitest';
import { graphTransport } from '../../src/send/graph.ts';
import { ANN, GOOD_TOKEN, startGraphLab } from '../support/graph-lab.ts';
import { startScript } from '../support/process.ts';
import { startSending } from '../support/sending.ts';
import { startSmtp } from '../support/smtp.ts';

const script = new URL('../support/sender.ts', import.meta.url).pathname;

async function killedAt(point: string, what: object): Promise<void> {
  const child = startScript(script, [JSON.stringify(what)], { env: { PENSTOCK_CRASH_AT: point } });
  expect((await child.ended).signal).toBe('SIGKILL');
}

it('by SMTP: killed before the hand-over it is sent; killed between the send and the commit it is left to a person', async () => {
  const smtp = await startSmtp();
  const sending = await startSending();
  const what = { url: sending.url, kind: 'smtp', settings: smtp.settings() };
  const first = await sending.queue({ subject: 'first' });
  await killedAt('after-outgoing-claim', what);
  expect(await sending.row(first)).toMatchObject({ state: 'sending', handover_at: null });
  const one = sending.dispatcher(smtp.transport());
  await sending.untilState(first, 'sent');
  await one.stop(0);

  const second = await sending.queue({ subject: 'second' });
  await killedAt('after-send', what);
  expect(await sending.row(second)).toMatchObject({ state: 'sending', handover_at: expect.any(Date) });
  sending.dispatcher(smtp.transport());
  expect(await sending.untilState(second, 'in_doubt')).toMatchObject({
    error_code: 'send_in_doubt',
    attempts: 1,
  });
  expect(smtp.received.map(({ mime }) => /^Subject: (.*)$/m.exec(mime)![1]!.trim())).toEqual([
    'first',
    'second',
  ]);
}, 120_000);

it('by Graph: killed between the send and the commit it is found in the sent mail; killed before, it is sent', async () => {
  const lab = await startGraphLab();
  const sending = await startSending('graph');
  const { graphHost, tlsCa } = lab.settings();
  const what = {
    url: sending.url,
    kind: 'graph',
    token: GOOD_TOKEN,
    settings: { mailbox: ANN, graphHost, tlsCa, tlsVerify: true, folders: [], maxMessageBytes: 1_000_000 },
  };
  const recipients = { to: [{ name: '', address: ANN }], cc: [], bcc: [], replyTo: null };
  for (const point of ['after-send', 'after-handover']) {
    const id = await sending.queue({ recipients });
    await killedAt(point, what);
    const one = sending.dispatcher(graphTransport(lab.mailbox()));
    await sending.untilState(id, 'sent');
    await one.stop(0);
  }
  expect(lab.server.count('send-mail')).toBe(2);
  expect(lab.server.mailbox(ANN).folder('sentitems')!.messages).toHaveLength(2);
}, 120_000);
