/** Mailboxes with tokens that Penstock gets itself, as people and providers meet them. The pipe is in test/contract. */
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { secretOwner } from '../../src/mailbox-source.ts';
import { updateMailbox } from '../../src/store/mailboxes.ts';
import { writeSecret } from '../../src/store/secrets.ts';
import { subscriptionStandings } from '../../src/store/subscriptions.ts';
import { expectEachOnce } from '../support/each-once.ts';
import { simpleMessage } from '../support/messages.ts';
import { startOauthSite } from '../support/oauth-site.ts';
import { Pipe, startDaemon } from '../support/pipe.ts';
import { until } from '../support/site.ts';

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
    await expectEachOnce(lab);
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
  await expectEachOnce(lab);
});
