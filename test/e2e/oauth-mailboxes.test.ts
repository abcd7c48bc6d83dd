/** Mailboxes of every kind, with tokens that Penstock gets itself, from the server to the record. */
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { secretOwner } from '../../src/mailbox-source.ts';
import { JOB_NAMES } from '../../src/queue/job.ts';
import type { SourceKind } from '../../src/source/source.ts';
import { updateMailbox } from '../../src/store/mailboxes.ts';
import { writeSecret } from '../../src/store/secrets.ts';
import { subscriptionStandings } from '../../src/store/subscriptions.ts';
import { simpleMessage } from '../support/messages.ts';
import { type OauthSite, startOauthSite } from '../support/oauth-site.ts';
import { Pipe, startDaemon } from '../support/pipe.ts';
import { type Site, until } from '../support/site.ts';

const subjects = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, index) => `message ${index + from}`);

/** Each delivered message has one record with its very bytes, and nothing else has one. */
async function expectEachOnce(site: Site): Promise<void> {
  const emails = await site.emails();
  const bytes = await Promise.all(
    emails.map(async (email) => (await site.rawBytes(email)).toString('latin1')),
  );
  expect(bytes.sort()).toEqual(site.delivered.map((one) => one.bytes.toString('latin1')).sort());
  expect(await site.states()).toEqual({ processed: site.delivered.length });
  expect(await site.audit()).toMatchObject({ unaccounted: 0 });
}

/** Lets an hour pass for tokens, by the database's clock; the mail servers know none of them any more. */
async function endTokens({ site, oauth }: OauthSite): Promise<void> {
  oauth.grants.expireAccessTokens();
  await sql`update oauth_token set obtained_at = obtained_at - interval '1 hour'`.execute(site.runtime.db);
}

describe.each<[SourceKind, 'delete' | 'move']>([
  ['imap', 'move'],
  ['pop3', 'delete'],
  ['graph', 'move'],
  ['gmail', 'move'],
])('%s with OAuth', (kind, after) => {
  it('takes each message exactly once, and brings the server up to date', async () => {
    const lab = await startOauthSite();
    const { site } = lab;
    await lab.addMailbox(kind, { after, afterFolder: after === 'move' ? 'Done' : null });
    for (const subject of subjects(4)) lab.deliver(kind, simpleMessage(subject));
    const poller = await Pipe.start(site, { work: { process: false } });
    await poller.waitFor('job.enqueued');
    const { rows } = await sql<{ name: string }>`select distinct name from bullmq.job`.execute(
      site.runtime.db,
    );
    expect(rows).toEqual([{ name: JOB_NAMES[kind] }]);
    await poller.stop();

    const pipe = await Pipe.start(site);
    await site.waitUntilProcessed();
    lab.deliver(kind, simpleMessage('later'));
    await site.waitUntilProcessed();
    await expectEachOnce(site);
    const dispositions = await site.runtime.db.selectFrom('ledger').select('disposition').execute();
    for (const { disposition } of dispositions) expect(['done', 'gone']).toContain(disposition);
    expect(lab.inInbox(kind)).toBe(0);
    expect([...poller.of('token.failed'), ...pipe.of('token.failed')]).toEqual([]);
    // One token serves both processes, and the audit.
    expect(lab.oauth.count('token')).toBe(1);
  });

  it('T5.1 gets another token when the one in use ends in mid-run', async () => {
    const lab = await startOauthSite();
    await lab.addMailbox(kind);
    for (const subject of subjects(3)) lab.deliver(kind, simpleMessage(subject));
    await Pipe.start(lab.site);
    await lab.site.waitUntilProcessed();
    await endTokens(lab);
    lab.imap.disconnectAll();
    for (const subject of subjects(3, 3)) lab.deliver(kind, simpleMessage(subject));
    await lab.site.waitUntilProcessed();
    await expectEachOnce(lab.site);
    expect(lab.oauth.count('token')).toBe(2);
  });
});

describe('T5.3 a client secret that has expired', () => {
  it('T5.3 is told once, is not asked with again, and the mail comes when there is a new one', async () => {
    const lab = await startOauthSite();
    const { db, keys } = lab.site.runtime;
    lab.oauth.grants.clients.set('app', { secret: 'the-client-secret', entra: 7000222 });
    const mailbox = await lab.addMailbox('graph');
    lab.deliver('graph', simpleMessage('waits'));
    const pipe = await Pipe.start(lab.site);
    await pipe.waitFor('mailbox.blocked');
    // A restart, or a person who presses the button, is no reason to ask again.
    pipe.supervisor.wake(mailbox.id);
    await pipe.stop();
    const second = await Pipe.start(lab.site);
    await second.waitFor('mailbox.blocked');
    second.supervisor.wake(mailbox.id);
    await until(async () => {
      const { rows } = await sql<{ count: number }>`
        select consecutive_errors as count from mailbox_state where mailbox_id = ${mailbox.id}`.execute(db);
      return rows[0]!.count >= 3;
    });
    expect(pipe.of('token.failed')).toMatchObject([
      { mailbox: mailbox.id, code: 'credential_expired', reason: 'AADSTS7000222', retryInMs: null },
    ]);
    expect(pipe.of('mailbox.blocked')).toMatchObject([{ code: 'credential_expired' }]);
    expect(second.of('token.failed')).toEqual([]);
    expect(second.of('mailbox.blocked')).toHaveLength(1);
    expect(lab.oauth.count('token')).toBe(1);
    expect(lab.graph.requests).toEqual([]);

    lab.oauth.grants.clients.set('app', { secret: 'a-new-one' });
    await db.transaction().execute(async (tx) => {
      await writeSecret(tx, keys, secretOwner(mailbox.id), 'client_secret', 'a-new-one');
      await updateMailbox(tx, mailbox);
    });
    await second.supervisor.review();
    await lab.site.waitUntilProcessed();
    await expectEachOnce(lab.site);
  });
});

describe('mailbox test', () => {
  const never = (): AbortSignal => new AbortController().signal;
  it('forgets a refusal that was mended, and names a mailbox that is not there', async () => {
    const lab = await startOauthSite();
    const { sources } = lab.site.runtime;
    const mailbox = await lab.addMailbox('graph');
    lab.oauth.grants.clients.set('app', { secret: 'the-client-secret', entra: 7000222 });
    expect((await sources.diagnose(mailbox, never())).at(-1)!.found).toContain('expired');
    lab.oauth.grants.clients.set('app', { secret: 'the-client-secret' });
    expect((await sources.diagnose(mailbox, never())).every((step) => step.ok)).toBe(true);

    const server = { ...mailbox.settings.server, user: 'nobody@example.org' };
    const settings = { ...mailbox.settings, server };
    const secrets = { client_secret: 'the-client-secret' };
    const steps = await sources.diagnoseDraft({ ...mailbox, settings }, secrets, never());
    expect(steps.at(-1)).toMatchObject({ step: 'login', ok: false });
    expect(steps.at(-1)!.advice).toContain('nobody@example.org');
  });
});

it('a daemon asks Gmail to tell of mail where a topic is set, and knows until when', async () => {
  const lab = await startOauthSite();
  const { site } = lab;
  await lab.addMailbox('gmail', { after: 'leave' });
  const pushes: unknown[] = [];
  lab.gmail.watches.onPush = (push) => pushes.push(push);
  const daemon = startDaemon(site, { PENSTOCK_GMAIL_TOPIC: 'projects/lab-project/topics/mail' });
  const standings = async () => await subscriptionStandings(site.runtime.db);
  await until(
    async () => (await standings()).some(({ expiresAt }) => expiresAt !== null),
    () => daemon.output,
  );
  expect(await standings()).toMatchObject([{ failures: 0 }]);
  lab.deliver('gmail', simpleMessage('told of'));
  expect(pushes).toHaveLength(1);
  await site.waitUntilProcessed();
  await expectEachOnce(site);
});
