/** Old bytes are removed while the same message comes again: whoever is first, no record is left without bytes. */
import { access, readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { takePosted } from '../../src/intake/post.ts';
import { LIMITS } from '../../src/limits.ts';
import { RawStore } from '../../src/raw/raw-store.ts';
import type { Database, Tx } from '../../src/store/database.ts';
import type { RawBytes } from '../../src/store/intake.ts';
import { purgeProcessed, purgeSent } from '../../src/store/retention.ts';
import { type Intake, startIntake } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';
import { startSending } from '../support/sending.ts';

const SIZES = [
  ['in the database', [100]],
  ['in a file', [LIMITS.inlineRawBytes + 1]],
  ['in a pack', [100_000, 100_001, 100_002]],
] as const;

const bodyOf = (size: number): Buffer => simpleMessage('again', 'x'.repeat(size));

/** Bytes on their way, of which no row tells yet. */
async function put({ raw }: Intake, sizes: readonly number[]): Promise<RawBytes[]> {
  return await raw.settle(await Promise.all(sizes.map((size) => raw.put(bodyOf(size)))));
}

async function take(db: Database | Tx, { held }: Intake, key: string, raws: readonly RawBytes[]) {
  const messages = raws.map((raw) => ({ key: `${key}-${raw.size}`, raw, internalDate: null }));
  await takePosted(db, held.mailbox, 'import', messages);
}

async function post(intake: Intake, key: string, sizes: readonly number[]): Promise<void> {
  await take(intake.db, intake, key, await put(intake, sizes));
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
async function expectBytes(intake: Intake, sizes: readonly number[]): Promise<void> {
  const rows = await intake.db.selectFrom('incoming_email').select(['raw_sha256', 'mail_id']).execute();
  expect(rows).toHaveLength(sizes.length);
  for (const { raw_sha256, mail_id } of rows) {
    const head = bodyOf(0).length;
    const bytes = await fromStore(intake).read(raw_sha256);
    expect(bytes.equals(bodyOf(Number(mail_id!.split('-')[1]) - head))).toBe(true);
  }
}

describe('bytes that come again while they are removed by age', () => {
  for (const [where, sizes] of SIZES) {
    it(`${where}: they go when nobody wants them`, async () => {
      const intake = await startIntake();
      await post(intake, 'first', sizes);
      await age(intake);
      expect(await purge(intake)).toBe(sizes.length);
      expect(await intake.db.selectFrom('raw_message').selectAll().execute()).toEqual([]);
      const left = await readdir(join(intake.dataDirectory, 'raw'), { recursive: true, withFileTypes: true });
      expect(left.filter((entry) => entry.isFile())).toEqual([]);
    });

    it(`${where}: a batch that is not yet committed keeps them`, async () => {
      const intake = await startIntake({ dedup: 'none' });
      await post(intake, 'first', sizes);
      await age(intake);
      const again = await put(intake, sizes);
      await intake.db.transaction().execute(async (tx) => {
        await take(tx, intake, 'second', again);
        // In the middle of it, on another connection.
        expect(await purge(intake)).toBe(0);
      });
      await expectBytes(intake, sizes);
    });

    it(`${where}: a batch that comes after the removal stores them anew`, async () => {
      const intake = await startIntake();
      await post(intake, 'first', sizes);
      await age(intake);
      // The bytes are on their way before the removal, their rows after it.
      const again = await put(intake, sizes);
      expect(await purge(intake)).toBe(sizes.length);
      await take(intake.db, intake, 'second', again);
      await expectBytes(intake, sizes);
    });
  }

  it('a pack goes with the last of its messages, not before', async () => {
    const intake = await startIntake();
    const { db, raw } = intake;
    const [, , [, sizes]] = SIZES;
    const raws = await put(intake, sizes);
    await take(db, intake, 'first', raws);
    const pack = raw.files.packPath(raws[0]!.pack!.pack);
    await age(intake);
    const last = db.updateTable('incoming_email').where('raw_sha256', '=', raws[2]!.sha256);
    await last.set({ processed_at: sql`now()` }).execute();
    expect(await purge(intake)).toBe(2);
    await expectBytes(intake, sizes.slice(2));
    await age(intake);
    expect(await purge(intake)).toBe(1);
    await expect(access(pack)).rejects.toMatchObject({ code: 'ENOENT' });
  });
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
