/** Being told of new mail by Gmail, from the watch to the ledger: pushes are signed by a lab's keys and sent over TLS. */
import { expect, it, onTestFinished } from 'vitest';
import type { LabPush } from '../../src/lab/gmail/watches.ts';
import { call } from '../../src/lab/graph/notifier.ts';
import { pushKeys } from '../../src/source/gmail/push.ts';
import { deliver, startGmailLab } from '../support/gmail-lab.ts';
import { labCertificate } from '../support/graph-lab.ts';
import { simpleMessage } from '../support/messages.ts';
import { startOauth } from '../support/oauth.ts';
import { startPush } from '../support/push.ts';
import { until } from '../support/site.ts';

const ADDRESS = 'desk@example.com';
const ACCOUNT = 'push@project.iam.gserviceaccount.com';
const addresses = { graph: null, gmail: 'projects/my-project/topics/gmail' };

async function start() {
  const [lab, oauth] = await Promise.all([startGmailLab(), startOauth()]);
  const mailbox = lab.addUser(ADDRESS);
  const push = await startPush({
    kind: 'gmail',
    // Nothing but a push or the poll makes it look.
    source: lab.source(ADDRESS, {}, { hintMs: 3_600_000 }),
    subscriptions: lab.watch(ADDRESS),
    settings: { pollSeconds: 3_600 },
    gmail: { account: ACCOUNT, keys: pushKeys(oauth.jwksUrl, oauth.certificate.cert) },
  });
  const url = `${push.url}/notifications/gmail`;
  const answers: (number | undefined)[] = [];
  const sending: Promise<void>[] = [];
  const sender = { account: ACCOUNT, loses: false, copies: 1 };
  const send = async (message: LabPush): Promise<void> => {
    const now = Math.floor(Date.now() / 1_000);
    const { account: email } = sender;
    const claims = { iss: 'https://accounts.google.com', aud: url, email, email_verified: true };
    const authorization = `Bearer ${await oauth.sign({ ...claims, iat: now, exp: now + 3_600 })}`;
    const body = JSON.stringify(message);
    const answer = await call(url, body, 'application/json', labCertificate().cert, { authorization });
    answers.push(answer?.status);
  };
  lab.server.watches.onPush = (message) => {
    if (sender.loses) return;
    for (let copy = 0; copy < sender.copies; copy += 1) sending.push(send(message));
  };
  const settled = async (): Promise<void> => void (await Promise.all(sending));
  onTestFinished(settled);
  const bring = (subject: string): string => deliver(mailbox, simpleMessage(subject));
  return { ...push, lab, answers, sender, bring, settled };
}

it('Gmail tells of mail, and it comes into the ledger once, however often it tells', async () => {
  const gmail = await start();
  await gmail.startPolling();
  await gmail.keeper(addresses).review();
  expect(gmail.toldOf('subscription.failed')).toEqual([]);
  expect(await gmail.row()).toMatchObject({
    folder: '',
    resource: ADDRESS,
    history_id: expect.stringMatching(/^\d+$/),
    secret_sha256: null,
  });
  gmail.sender.copies = 3;
  gmail.bring('told');
  await gmail.untilStored('told');
  await gmail.settled();
  expect(gmail.answers).toEqual([204, 204, 204]);
  const listing = () => gmail.toldOf('mailbox.listed').find(({ added }) => added > 0);
  await until(() => listing() !== undefined);
  expect(listing()).toMatchObject({ by: 'notification' });
  expect(await gmail.row()).toMatchObject({ notified_at: expect.any(Date) });
});

it('a push that somebody else has signed for wakes nobody', async () => {
  const gmail = await start();
  await gmail.startPolling();
  await gmail.keeper(addresses).review();
  gmail.sender.account = 'push@evil.iam.gserviceaccount.com';
  gmail.bring('m');
  await gmail.settled();
  expect(gmail.answers).toEqual([401]);
  expect(await gmail.row()).toMatchObject({ notified_at: null });
});

it('a watch is renewed every day, and made anew after it has ended; what came meanwhile is taken', async () => {
  const gmail = await start();
  await gmail.startPolling();
  const keeper = gmail.keeper(addresses);
  await keeper.review();
  await gmail.passTime(25);
  await keeper.review();
  expect(gmail.lab.server.count('watch')).toBe(2);
  gmail.sender.loses = true;
  gmail.bring('lost');
  gmail.sender.loses = false;
  await gmail.passTime(24 * 8);
  await keeper.review();
  await gmail.untilStored('lost');
  gmail.bring('told');
  await gmail.untilStored('lost', 'told');
});

it('a watch ends when there is no topic any more', async () => {
  const gmail = await start();
  await gmail.startPolling();
  await gmail.keeper(addresses).review();
  await gmail.keeper({ graph: null, gmail: null }).review();
  expect(gmail.lab.server.count('stop')).toBe(1);
  expect(await gmail.row()).toBe(undefined);
});
