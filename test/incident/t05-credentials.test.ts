/** T5: what a mailbox logs in with ends, and mail must go on: a mailbox with several credentials. */
import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { secretOwner } from '../../src/mailbox-source.ts';
import { credentialStandings } from '../../src/store/credential-standing.ts';
import { createCredential, listCredentials, type MailboxCredential } from '../../src/store/credentials.ts';
import { deleteMailbox, type Mailbox } from '../../src/store/mailboxes.ts';
import { writeSecret } from '../../src/store/secrets.ts';
import { simpleMessage } from '../support/messages.ts';
import { type OauthSite, startOauthSite } from '../support/oauth-site.ts';
import { Pipe } from '../support/pipe.ts';
import { until } from '../support/site.ts';

async function addCredential(
  { site }: OauthSite,
  mailbox: Mailbox,
  settings: MailboxCredential['settings'],
  secret: [name: string, value: string],
): Promise<MailboxCredential> {
  const { db, keys } = site.runtime;
  return await db.transaction().execute(async (tx) => {
    const made = await createCredential(tx, { mailboxId: mailbox.id, sequence: null, settings, halo: {} });
    await writeSecret(tx, keys, made.name, ...secret);
    return made;
  });
}

async function states({ site }: OauthSite, mailbox: Mailbox): Promise<string[]> {
  const credentials = await listCredentials(site.runtime.db, [mailbox.id]);
  const standings = await credentialStandings(site.runtime.db, credentials);
  return credentials.map(({ id }) => standings.get(id)!.state);
}

/** An hour later the application's secret is over, too. */
async function endSecret(lab: OauthSite, client: string): Promise<void> {
  lab.oauth.grants.clients.set(client, { secret: 'the-client-secret', entra: 7000222 });
  lab.oauth.grants.expireAccessTokens();
  await sql`update oauth_token set obtained_at = obtained_at - interval '1 hour'`.execute(
    lab.site.runtime.db,
  );
}

it('T5.3 a secret that ends in mid-run: mail goes on with the next application, and with none a person is told', async () => {
  const lab = await startOauthSite();
  const mailbox = await lab.addMailbox('graph');
  lab.oauth.grants.clients.set('spare', { secret: 'spare-secret' });
  const oauth = { ...mailbox.settings.oauth!, clientId: 'spare' };
  await addCredential(lab, mailbox, { auth: 'oauth', oauth }, ['client_secret', 'spare-secret']);
  lab.deliver('graph', simpleMessage('first'));
  const pipe = await Pipe.start(lab.site);
  await lab.site.waitUntilProcessed();
  await until(async () => (await states(lab, mailbox)).join() === 'in_use,standby');

  await endSecret(lab, 'app');
  lab.deliver('graph', simpleMessage('second'));
  await lab.site.waitUntilProcessed();
  await until(async () => (await states(lab, mailbox)).join() === 'refused,in_use');
  expect(pipe.of('mailbox.blocked')).toEqual([]);
  expect(pipe.of('token.failed')).toMatchObject([{ mailbox: mailbox.id, code: 'credential_expired' }]);

  await endSecret(lab, 'spare');
  await pipe.waitFor('mailbox.blocked');
  expect(pipe.of('mailbox.blocked')).toMatchObject([{ code: 'credential_expired' }]);
  expect(await states(lab, mailbox)).toEqual(['refused', 'refused']);
  // Each was asked with once when it had ended, and not again.
  expect(pipe.of('token.failed')).toHaveLength(2);
});

it('T5.6 a password that the mail server refuses: the next credential is used, also after a restart, until it is mended', async () => {
  const lab = await startOauthSite();
  const { db, keys, sources } = lab.site.runtime;
  const base = await lab.addMailbox('imap');
  const { oauth } = base.settings;
  await db.transaction().execute(async (tx) => {
    const [own] = await listCredentials(tx, [base.id]);
    await tx
      .updateTable('mailbox_credential')
      .set({ settings: JSON.stringify({ auth: 'password', oauth: null }) })
      .where('id', '=', own!.id)
      .execute();
    await writeSecret(tx, keys, secretOwner(base.id), 'password', 'an-old-password');
  });
  await addCredential(lab, base, { auth: 'oauth', oauth: oauth! }, ['client_secret', 'the-client-secret']);
  lab.deliver('imap', simpleMessage('one'));
  const pipe = await Pipe.start(lab.site);
  await lab.site.waitUntilProcessed();
  await until(async () => (await states(lab, base)).join() === 'refused,in_use');
  expect(pipe.of('credential.refused')).toMatchObject([{ mailbox: base.id, code: 'auth_failed' }]);
  expect(pipe.of('mailbox.failed')).toEqual([]);
  await pipe.stop();
  // A wrong password that is tried again and again locks accounts.
  const second = await Pipe.start(lab.site);
  lab.deliver('imap', simpleMessage('two'));
  await lab.site.waitUntilProcessed();
  expect(second.of('credential.refused')).toEqual([]);

  const mailbox = { ...base, settings: { ...base.settings } };
  const steps = await sources.diagnose(mailbox, new AbortController().signal);
  expect(steps.filter(({ step }) => step === 'credential')).toMatchObject([
    { ok: false, found: expect.stringContaining('refused the login') },
    { ok: true },
  ]);
  await writeSecret(db, keys, secretOwner(base.id), 'password', 'the-password');
  const mended = await sources.diagnose(mailbox, new AbortController().signal);
  expect(mended.filter((step) => !step.ok)).toEqual([]);
  void second.supervisor.review();
  await until(async () => (await states(lab, base)).join() === 'in_use,standby');
});

it('T5.3 `mailbox test` fails when there is no next token, though the one in use still lives', async () => {
  const lab = await startOauthSite();
  const { sources } = lab.site.runtime;
  const mailbox = await lab.addMailbox('graph');
  const never = new AbortController().signal;
  expect((await sources.diagnose(mailbox, never)).every((step) => step.ok)).toBe(true);
  lab.oauth.grants.clients.set('app', { secret: 'the-client-secret', entra: 7000222 });
  const steps = await sources.diagnose(mailbox, never);
  expect(steps.at(-1)).toMatchObject({ step: 'login', ok: false, found: expect.stringContaining('expired') });
});

it('a refresh token that is replaced while settings are tried is the one that is kept', async () => {
  const lab = await startOauthSite();
  const { sources } = lab.site.runtime;
  const mailbox = await lab.addMailbox('pop3');
  lab.oauth.grants.rotate = true;
  const { secrets } = lab.login('pop3');
  const rotated: string[] = [];
  const draft = { ...mailbox, id: 0 };
  const never = new AbortController().signal;
  const steps = await sources.diagnoseDraft(draft, secrets, never, (newest) => void rotated.push(newest));
  expect(steps.filter((step) => !step.ok)).toEqual([]);
  expect(rotated).toEqual([expect.stringMatching(/^refresh-/)]);
  expect(rotated[0]).not.toBe(secrets.refresh_token);
  // The old one is void; with the new one it works again.
  const again = { ...secrets, refresh_token: rotated[0]! };
  const after = await sources.diagnoseDraft(draft, again, never);
  expect(after.filter((step) => !step.ok)).toEqual([]);
});

it('nothing is kept in memory of a mailbox that was removed', async () => {
  const lab = await startOauthSite();
  const { db, sources } = lab.site.runtime;
  const [one, two] = [await lab.addMailbox('graph'), await lab.addMailbox('imap')];
  await sources.source(one);
  await sources.source(two);
  await db.transaction().execute((tx) => deleteMailbox(tx, one.id));
  await sources.forgetRemoved();
  expect(sources.size).toBe(1);
});
