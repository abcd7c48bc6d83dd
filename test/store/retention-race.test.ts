/** Old bytes are removed while the same message comes again: whoever is first, no record is left without bytes. */
import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { takePosted } from '../../src/intake/post.ts';
import { LIMITS } from '../../src/limits.ts';
import { RawStore } from '../../src/raw/raw-store.ts';
import { purgeProcessed, purgeSent } from '../../src/store/retention.ts';
import { type Intake, startIntake } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';
import { startSending } from '../support/sending.ts';

const SIZES = [
  ['in the database', 100],
  ['in a file', LIMITS.inlineRawBytes + 1],
] as const;

const bodyOf = (size: number): Buffer => simpleMessage('again', 'x'.repeat(size));

async function post(intake: Intake, key: string, size: number): Promise<void> {
  const { db, raw, held } = intake;
  const put = await raw.put(bodyOf(size));
  await takePosted(db, held.mailbox, 'import', [{ key, raw: put, internalDate: null }]);
}

/** Makes everything that is stored look finished and a month old. */
async function age(intake: Intake): Promise<void> {
  const { db, dataDirectory } = intake;
  await sql`update incoming_email set state = 'processed', processed_at = now() - interval '30 days'`.execute(
    db,
  );
  await sql`update raw_message set created_at = now() - interval '30 days'`.execute(db);
  const rows = await db.selectFrom('raw_message').select('sha256').where('place', '=', 'file').execute();
  for (const { sha256 } of rows) {
    const hex = sha256.toString('hex');
    await utimes(join(dataDirectory, 'raw', hex.slice(0, 2), hex), new Date(0), new Date(0));
  }
}

async function purge(intake: Intake): Promise<number> {
  const purged = await purgeProcessed(intake.db, 14);
  for (const sha256 of purged.files) await intake.raw.files.removeFile(sha256);
  await intake.raw.files.removePacks(purged.packs);
  return purged.raw;
}

/** As another process sees it, which has no bytes at hand. */
const fromStore = ({ db, dataDirectory }: Intake): RawStore => new RawStore(db, dataDirectory);

/** Each record has its very bytes. */
async function expectBytes(intake: Intake, size: number): Promise<void> {
  const rows = await intake.db.selectFrom('incoming_email').select('raw_sha256').execute();
  expect(rows).toHaveLength(1);
  expect((await fromStore(intake).read(rows[0]!.raw_sha256)).equals(bodyOf(size))).toBe(true);
}

describe('bytes that come again while they are removed by age', () => {
  for (const [where, size] of SIZES) {
    it(`${where}: they go when nobody wants them`, async () => {
      const intake = await startIntake();
      await post(intake, 'first', size);
      await age(intake);
      expect(await purge(intake)).toBe(1);
      expect(await intake.db.selectFrom('raw_message').selectAll().execute()).toEqual([]);
      const left = await readdir(join(intake.dataDirectory, 'raw'), { recursive: true });
      expect(left.filter((name) => /[0-9a-f]{64}$/.test(name))).toEqual([]);
    });

    it(`${where}: a batch that is not yet committed keeps them`, async () => {
      const intake = await startIntake({ dedup: 'none' });
      await post(intake, 'first', size);
      await age(intake);
      const { db, raw, held } = intake;
      const put = await raw.put(bodyOf(size));
      await db.transaction().execute(async (tx) => {
        await takePosted(tx, held.mailbox, 'import', [{ key: 'second', raw: put, internalDate: null }]);
        // In the middle of it, on another connection.
        expect(await purge(intake)).toBe(0);
      });
      await expectBytes(intake, size);
    });

    it(`${where}: a batch that comes after the removal stores them anew`, async () => {
      const intake = await startIntake();
      await post(intake, 'first', size);
      await age(intake);
      const { db, raw, held } = intake;
      // The bytes are on their way before the removal, their rows after it.
      const put = await raw.put(bodyOf(size));
      expect(await purge(intake)).toBe(1);
      await takePosted(db, held.mailbox, 'import', [{ key: 'second', raw: put, internalDate: null }]);
      await expectBytes(intake, size);
    });
  }
});

it('mail of ours goes by age with its files when it was sent or deleted; what waits for a person stays', async () => {
  const { db, mailbox, queue } = await startSending();
  const wish = async () => {
    const values = { mailbox_id: mailbox.id, recipients: '{}' };
    const { id } = await db
      .insertInto('email_store')
      .values(values)
      .returning('id')
      .executeTakeFirstOrThrow();
    const file = { email_store_id: id, filename: 'a', content_type: 'text/plain', content_id: null };
    await db
      .insertInto('outgoing_attachment')
      .values({ ...file, bytes: Buffer.from('a') })
      .execute();
    return id;
  };
  const old = sql<Date>`now() - interval '30 days'`;
  const kept: number[] = [];
  const keptWishes = new Set<number>();
  /** A mail as it was left, and whether it stays. `of`: what asked for it. */
  const leave = async (of: number | null, changes: object, stays: boolean) => {
    const id = await queue({ emailStoreId: of });
    await db.updateTable('outgoing_email').set(changes).where('id', '=', id).execute();
    if (stays) kept.push(id);
    if (stays && of !== null) keptWishes.add(of);
  };
  await leave(null, { state: 'sent', sent_at: old }, false);
  await leave(null, { state: 'sent' }, true);
  await leave(await wish(), { state: 'sent', sent_at: old }, false);
  await leave(await wish(), { state: 'queued', deleted_at: old }, false);
  await leave(await wish(), { state: 'sent', sent_at: sql`now() - interval '13 days'` }, true);
  for (const state of ['queued', 'retrying', 'sending', 'failed', 'in_doubt'])
    await leave(await wish(), { state, created_at: old }, true);
  await leave(await wish(), { state: 'sending', deleted_at: old }, true);
  // To many: one of them failed.
  const many = await wish();
  await leave(many, { state: 'sent', sent_at: old }, false);
  await leave(many, { state: 'failed' }, true);
  await wish();
  await db.updateTable('email_store').set({ created_at: old }).execute();

  expect(await purgeSent(db, 14)).toEqual({ sent: 4, more: false });
  const mails = await db.selectFrom('outgoing_email').select('id').orderBy('id').execute();
  expect(mails.map(({ id }) => id)).toEqual(kept);
  const wishes = await db.selectFrom('email_store').select('id').orderBy('id').execute();
  expect(wishes.map(({ id }) => id)).toEqual([...keptWishes]);
  const files = await db.selectFrom('outgoing_attachment').select('email_store_id').orderBy('id').execute();
  expect(files.map((file) => file.email_store_id)).toEqual([...keptWishes]);
});
