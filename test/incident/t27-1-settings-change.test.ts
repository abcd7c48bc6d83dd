/** Settings of a mailbox change while its mail is being fetched: nothing is lost, and nothing is taken for something else. */
import { expect, it } from 'vitest';
import { secretOwner } from '../../src/mailbox-source.ts';
import type { MailboxSettings } from '../../src/store/mailbox-settings.ts';
import { findMailbox, type Mailbox, updateMailbox } from '../../src/store/mailboxes.ts';
import { writeSecret } from '../../src/store/secrets.ts';
import { expectExactlyOnce } from '../support/exactly-once.ts';
import { stepping, subjectOf } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';
import { Pipe } from '../support/pipe.ts';
import { Site, until } from '../support/site.ts';

const MESSAGES = 5;

/** Pollers that stand still in their first fetch, when half of it has come, until somebody lets them go on. */
async function startHeld(site: Site): Promise<{ pipe: Pipe; half: Promise<void>; goOn(): void }> {
  const half = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const pipe = await Pipe.start(site, {
    // Nobody starts anew because the machine is busy.
    env: { PENSTOCK_LEASE_SECONDS: '60' },
    wrap: (_kind, session) => ({
      ...stepping(session, () => {}),
      async *fetch(keys, maxBytes) {
        let count = 0;
        for await (const answer of session.fetch(keys, maxBytes)) {
          yield answer;
          count += 1;
          if (count !== Math.floor(MESSAGES / 2)) continue;
          half.resolve();
          await gate.promise;
        }
      },
    }),
  });
  return { pipe, half: half.promise, goOn: gate.resolve };
}

/** As somebody who saves the mailbox with other settings does. */
async function change(
  site: Site,
  { id }: Mailbox,
  settings: (before: MailboxSettings) => Partial<MailboxSettings>,
  password?: string,
): Promise<void> {
  const { db, keys } = site.runtime;
  await db.transaction().execute(async (tx) => {
    const mailbox = (await findMailbox(tx, id))!;
    await updateMailbox(tx, {
      ...mailbox,
      settings: { ...mailbox.settings, ...settings(mailbox.settings) },
    });
    if (password !== undefined) await writeSecret(tx, keys, secretOwner(id), 'password', password);
  });
}

function subjectsIn(site: Site, user: string, folder: string): string[] {
  return site.server.messages(user, folder).map(({ content }) => subjectOf(content.bytes()));
}

const subjects = (name: string): string[] =>
  Array.from({ length: MESSAGES }, (_, index) => `${name}-${index}`);

it('T27.1 another folder: that one is read, and the mail of the first one waits untouched or is done', async () => {
  const site = await Site.start({ backend: 'postgres' });
  const mailbox = await site.addMailbox('ann', { after: 'move', afterFolder: 'Done' });
  site.server.store.createFolder('ann', 'Support');
  const support = subjects('support');
  for (const subject of support) site.server.deliver('ann', 'Support', simpleMessage(subject));
  for (const subject of subjects('inbox')) site.deliver('ann', simpleMessage(subject));
  const { pipe, half, goOn } = await startHeld(site);
  await half;
  await change(site, mailbox, () => ({ folders: ['Support'] }));
  const reviewed = pipe.supervisor.review();
  goOn();
  await reviewed;
  await until(() => subjectsIn(site, 'ann', 'Support').length === 0);
  const done = (): string[] => subjectsIn(site, 'ann', 'Done').sort();
  const known = async (): Promise<string[]> => (await site.emails()).map(({ subject }) => subject).sort();
  await until(async () => (await site.states()).processed === done().length);
  expect(await known()).toEqual(done());
  expect([...done(), ...subjectsIn(site, 'ann', 'INBOX')].sort()).toEqual(
    [...support, ...subjects('inbox')].sort(),
  );

  await change(site, mailbox, () => ({ folders: ['INBOX', 'Support'] }));
  await pipe.supervisor.review();
  await until(() => subjectsIn(site, 'ann', 'INBOX').length === 0);
  await until(async () => (await site.states()).processed === done().length);
  expect(await known()).toEqual([...support, ...subjects('inbox')].sort());
  expect(done()).toEqual(await known());
  expect((await site.audit()).unaccounted).toBe(0);
});

it('T27.1 another password: the next session has it, and each message is taken once', async () => {
  const site = await Site.start({ backend: 'postgres' });
  const mailbox = await site.addMailbox('ann', { after: 'seen' });
  for (const subject of subjects('m')) site.deliver('ann', simpleMessage(subject));
  const { pipe, half, goOn } = await startHeld(site);
  await half;
  site.server.store.users.get('ann')!.credentials = { password: 'a-new-one' };
  await change(site, mailbox, () => ({}), 'a-new-one');
  const reviewed = pipe.supervisor.review();
  site.server.disconnectAll();
  goOn();
  await reviewed;
  await site.waitUntilProcessed();
  expect(pipe.of('mailbox.blocked')).toEqual([]);
  expect(pipe.of('lease.acquired')).toHaveLength(2);
  await pipe.stop();
  // What asks the server now knows the old password no more.
  await site.attach();
  await expectExactlyOnce(site);
});

it.each(['imap', 'pop3'] as const)(
  'T27.1 another account: its mail is not taken for that of the first one (%s)',
  async (kind) => {
    const site = await Site.start({ backend: 'postgres' });
    const after =
      kind === 'imap' ? ({ after: 'move', afterFolder: 'Done' } as const) : ({ after: 'delete' } as const);
    const mailbox = await site.addMailbox('ann', after, kind);
    site.server.addUser('bob', { password: 'secret' });
    // Servers number folders and messages of every account alike.
    for (const user of ['ann', 'bob']) site.server.bumpUidValidity(user, 'INBOX', '7');
    for (const subject of subjects('ann')) site.deliver('ann', simpleMessage(subject));
    for (const subject of subjects('bob')) site.server.deliver('bob', 'INBOX', simpleMessage(subject));
    const { pipe, half, goOn } = await startHeld(site);
    await half;
    await change(site, mailbox, ({ server }) => ({ server: { ...server, user: 'bob' } }));
    const reviewed = pipe.supervisor.review();
    goOn();
    await reviewed;
    const processed = async (): Promise<string[]> => {
      const emails = await site.emails();
      return emails.filter(({ state }) => state === 'processed').map(({ subject }) => subject);
    };
    await until(
      async () => subjectsIn(site, 'bob', 'INBOX').length === 0 && (await processed()).length >= MESSAGES,
      async () => `taken: ${await processed()}; left: ${subjectsIn(site, 'bob', 'INBOX')}`,
    );
    expect((await site.emails()).map(({ subject }) => subject).sort()).toEqual(subjects('bob'));
    expect(subjectsIn(site, 'ann', 'INBOX')).toEqual(subjects('ann'));
    expect(pipe.of('folder.resync')).toHaveLength(1);
    expect((await site.audit()).unaccounted).toBe(0);
  },
);

it('T27.1 another account of a mailbox that takes mail from its beginning on: what is older than the mailbox stays', async () => {
  const site = await Site.start({ backend: 'postgres' });
  const mailbox = await site.addMailbox('ann', { firstSync: 'now' });
  site.server.addUser('bob', { password: 'secret' });
  for (const user of ['ann', 'bob']) site.server.bumpUidValidity(user, 'INBOX', '7');
  site.deliver('ann', simpleMessage('ann-old'));
  const pipe = await Pipe.start(site);
  await pipe.waitFor('mailbox.listed');
  site.server.deliver('bob', 'INBOX', simpleMessage('bob-old'), { internalDate: new Date('2020-01-01') });
  site.server.deliver('bob', 'INBOX', simpleMessage('bob-new'), { internalDate: new Date('2099-01-01') });
  await change(site, mailbox, ({ server }) => ({ server: { ...server, user: 'bob' } }));
  await pipe.supervisor.review();
  await pipe.waitFor('folder.resynced');
  await until(async () => (await site.states()).processed === 1);
  expect((await site.emails()).map(({ subject }) => subject)).toEqual(['bob-new']);
  expect((await site.audit()).unaccounted).toBe(0);
});
