/** An installation from before there were several credentials: each mailbox keeps its login, its secrets and its tokens. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { MailSources } from '../../src/mailbox-source.ts';
import { firstCredential } from '../../src/store/credentials.ts';
import { openDatabase } from '../../src/store/database.ts';
import { loadKeyring } from '../../src/store/keyring.ts';
import { defaultMailboxSettings, defaultOauthSettings } from '../../src/store/mailbox-settings.ts';
import { listMailboxes } from '../../src/store/mailboxes.ts';
import { migrate } from '../../src/store/migrate.ts';
import { writeSecret } from '../../src/store/secrets.ts';
import { onCleanup } from '../support/cleanup.ts';
import { tempFolder } from '../support/folder.ts';
import { createTestDatabase } from '../support/postgres.ts';

const FOLDER = new URL('../../src/store/migrations/', import.meta.url);
const CREDENTIALS = '0007_credentials.sql';

it('the login of each mailbox becomes its first credential, and nothing is lost', async () => {
  const database = await createTestDatabase({ empty: true });
  const { db, pool, close } = openDatabase(database.url, { connections: 3, onError: () => undefined });
  onCleanup(close);
  await pool.query(
    'create table migration (name text primary key, digest text not null, at timestamptz default now())',
  );
  const earlier = (await readdir(FOLDER)).filter((name) => name < CREDENTIALS).sort();
  for (const name of earlier) {
    const text = await readFile(new URL(name, FOLDER), 'utf8');
    await pool.query(text);
    const digest = createHash('sha256').update(text).digest('hex');
    await pool.query('insert into migration (name, digest) values ($1, $2)', [name, digest]);
  }
  const keys = await loadKeyring(join(await tempFolder('keys'), 'secret.key'), true);
  const imap = defaultMailboxSettings('imap.example.org', 'desk@example.org');
  const graph = {
    ...defaultMailboxSettings('graph.microsoft.com', 'desk@example.org', 'graph'),
    oauth: { ...defaultOauthSettings('microsoft'), clientId: 'app', tenant: 'example.org' },
  };
  for (const [kind, settings] of [
    ['imap', imap],
    ['graph', graph],
  ] as const) {
    await pool.query('insert into mailbox (name, kind, settings) values ($1, $2, $3)', [
      kind,
      kind,
      settings,
    ]);
  }
  await pool.query(
    "insert into mailbox (name, kind, settings, deleted_at) values ('gone', 'imap', $1, now())",
    [imap],
  );
  await writeSecret(db, keys, 'mailbox:1', 'password', 'correct horse');
  await writeSecret(db, keys, 'mailbox:2', 'refresh_token', 'refresh');
  await pool.query("insert into oauth_token (credential, renewals) values ('mailbox:2', 7)");

  expect(await migrate(pool)).toContain(CREDENTIALS);
  const mailboxes = await listMailboxes(db);
  // A later migration keeps mailboxes from beginning to write to people by themselves.
  const silent = <T extends typeof imap>(settings: T): T => ({
    ...settings,
    policy: { ...settings.policy, dontAcknowledge: true },
  });
  expect(mailboxes.map(({ settings }) => settings)).toEqual([silent(imap), silent(graph)]);
  const sources = new MailSources(db, keys);
  const names = await Promise.all([1, 2].map(async (id) => (await firstCredential(db, id))!.name));
  expect(await sources.secrets(names[0]!)).toEqual({ password: 'correct horse' });
  expect(await sources.secrets(names[1]!)).toEqual({ refresh_token: 'refresh' });
  const { rows } = await pool.query('select renewals from oauth_token where credential = $1', [names[1]]);
  expect(rows).toMatchObject([{ renewals: 7 }]);
  expect((await listMailboxes(db, { removed: true })).map(({ id }) => id)).toEqual([1, 2, 3]);
});
