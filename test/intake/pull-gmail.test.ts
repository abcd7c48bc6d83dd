/** Gmail's notifications fetched from Pub/Sub, from the watch to the ledger, by the key of a service account. */
import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Config } from '../../src/config/settings.ts';
import { fail } from '../../src/errors.ts';
import { gmailPull } from '../../src/gmail-pull.ts';
import { pullRetryMs } from '../../src/intake/notification-puller.ts';
import { LabPubsubServer } from '../../src/lab/gmail/pubsub.ts';
import { MailSources } from '../../src/mailbox-source.ts';
import { type EventData, type EventName, Events } from '../../src/observe/events.ts';
import { PUBSUB_SCOPE } from '../../src/source/gmail/pubsub.ts';
import { loadKeyring } from '../../src/store/keyring.ts';
import { tempFolder } from '../support/folder.ts';
import { deliver, startGmailLab } from '../support/gmail-lab.ts';
import { labCertificate } from '../support/graph-lab.ts';
import { simpleMessage } from '../support/messages.ts';
import { startOauth } from '../support/oauth.ts';
import { startPush } from '../support/push.ts';

const ADDRESS = 'desk@example.com';
const ACCOUNT = 'penstock@lab.iam.example';
const addresses = { graph: null, gmail: 'projects/lab-project/topics/gmail' };

async function start(changes: Partial<Config['pubsub']> = {}) {
  const [lab, oauth] = await Promise.all([startGmailLab(), startOauth()]);
  const certificate = labCertificate();
  const pubsub = new LabPubsubServer({
    certificate,
    accepts(token) {
      const holder = oauth.grants.holderOf(token);
      return holder?.user === ACCOUNT && holder.scope === PUBSUB_SCOPE;
    },
  });
  await pubsub.start();
  const mailbox = lab.addUser(ADDRESS);
  lab.server.watches.onPush = ({ message }) => pubsub.publish(message.data);
  const push = await startPush({
    kind: 'gmail',
    // Nothing but a notification or the poll makes it look.
    source: lab.source(ADDRESS, {}, { hintMs: 3_600_000 }),
    subscriptions: lab.watch(ADDRESS),
    settings: { pollSeconds: 3_600 },
  });
  const folder = await tempFolder('pull');
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  oauth.grants.serviceAccounts.set(ACCOUNT, {
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }) as string,
    scopes: [],
    users: [],
  });
  const keyFile = join(folder, 'account.json');
  const key = { client_email: ACCOUNT, private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }) };
  await writeFile(keyFile, JSON.stringify(key));
  const events = new Events();
  const told: { name: EventName; data: EventData[EventName] }[] = [];
  events.listen((name, data) => void told.push({ name, data }));
  const config = { pubsub: { subscription: pubsub.name, keyFile, ...changes } } as Config;
  const sources = new MailSources(push.db, await loadKeyring(join(folder, 'secret.key'), true));
  const tlsCa = [oauth.certificate.cert, certificate.cert].join('\n');
  const site = { rootUrl: pubsub.rootUrl, tokenUrl: oauth.googleTokenUrl, tlsCa };
  const pull = (await gmailPull({ config, db: push.db, sources }, events, site))!;
  onTestFinished(async () => {
    pubsub.faults.clear();
    await pull.stop();
    await pubsub.stop();
  });
  const toldHere = <N extends EventName>(name: N) =>
    told.filter((one) => one.name === name).map(({ data }) => data as EventData[N]);
  return {
    ...push,
    oauth,
    pubsub,
    pull,
    toldHere,
    /** Polls, and has a watch. */
    async startWatching() {
      await push.startPolling();
      await push.keeper(addresses).review();
      expect(push.toldOf('subscription.failed')).toEqual([]);
    },
    bring: (subject: string): string => deliver(mailbox, simpleMessage(subject)),
    untilFetched: () => vi.waitFor(() => expect(pubsub.waiting).toBe(0), { timeout: 60_000, interval: 50 }),
  };
}

it('what Gmail tells is fetched and acknowledged, and the mail is in the ledger once', async () => {
  const gmail = await start();
  await gmail.startWatching();
  gmail.pull.start();
  gmail.bring('one');
  await gmail.untilStored('one');
  gmail.bring('two');
  await gmail.untilStored('one', 'two');
  await gmail.untilFetched();
  expect(gmail.toldHere('pull.failed')).toEqual([]);
  expect(gmail.oauth.count('token')).toBe(1);
  expect(await gmail.row()).toMatchObject({ notified_at: expect.any(Date) });
  expect(gmail.toldHere('pull.answered').length).toBeGreaterThan(0);
});

it('what was noted and not acknowledged is told again, and nothing is taken twice', async () => {
  const gmail = await start();
  gmail.pubsub.ackMs = 100;
  gmail.pubsub.faults.add({ at: 'acknowledge', action: { do: 'drop' }, times: 1 });
  await gmail.startWatching();
  gmail.pull.start();
  gmail.bring('m');
  await gmail.untilStored('m');
  await gmail.untilFetched();
  expect(gmail.pubsub.count('acknowledge')).toBeGreaterThanOrEqual(2);
  expect(gmail.toldHere('pull.failed')).toMatchObject([{ code: 'connection_lost', consecutive: 1 }]);
  expect(await gmail.subjects()).toEqual(['m']);
});

it('what is no notification of Gmail is counted and does not come again', async () => {
  const gmail = await start();
  gmail.pubsub.publish(Buffer.from('{"some":"thing"}').toString('base64'));
  gmail.pubsub.publish('');
  gmail.pull.start();
  await gmail.untilFetched();
  const noted = gmail.toldHere('notification.noted');
  expect(noted.reduce((sum, { unknown }) => sum + unknown, 0)).toBe(2);
});

it.each([
  ['the account may not pull', 403, 'consent_needed', 'Pub/Sub Subscriber'],
  ['there is no such subscription', 404, 'not_found', 'projects/lab-project/subscriptions/penstock'],
  ['Google is busy', 429, 'server_busy', ''],
])('when %s, it says so and waits', async (_case, status, code, text) => {
  const gmail = await start();
  gmail.pubsub.faults.add({
    at: 'pull',
    action: { do: 'answer', status, body: { error: { code: status } } },
  });
  gmail.pull.start();
  await vi.waitFor(() => expect(gmail.toldHere('pull.failed')).not.toEqual([]), { timeout: 60_000 });
  const [failed] = gmail.toldHere('pull.failed');
  expect(failed).toMatchObject({ code, consecutive: 1, message: expect.stringContaining(text) });
  expect(failed!.retryInMs).toBeGreaterThanOrEqual(1_000);
});

describe('the settings', () => {
  it.each([
    ['no file is named', null],
    ['the file is not there', '/nowhere/account.json'],
  ])('are refused when %s', async (_case, keyFile) => {
    const config = { pubsub: { subscription: 'projects/lab-project/subscriptions/x', keyFile } } as Config;
    const wrong = gmailPull({ config, db: null!, sources: null! }, new Events());
    await expect(wrong).rejects.toMatchObject({
      code: 'config_invalid',
      fields: { setting: 'pubsub.keyFile' },
    });
  });

  it('ask for nothing by default', async () => {
    const config = { pubsub: { subscription: null, keyFile: null } } as Config;
    expect(await gmailPull({ config, db: null!, sources: null! }, new Events())).toBeNull();
  });
});

describe('the wait after a failure', () => {
  it.each([
    ['connection_lost', 1, {}, 1_000],
    ['connection_lost', 4, {}, 8_000],
    ['connection_lost', 50, {}, 300_000],
    ['consent_needed', 1, {}, 300_000],
    ['server_busy', 1, { backoffMs: 600_000 }, 600_000],
  ] as const)('after %s, the %ith in a row', (code, failures, fields, expected) => {
    const error = fail(code, 'x', fields);
    expect(pullRetryMs(error, failures, 0)).toBe(expected);
    expect(pullRetryMs(error, failures, 0.999)).toBeLessThanOrEqual(expected * 1.25);
  });
});
