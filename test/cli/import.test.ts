/** `penstock import`: files through the same pipe, to the end, and never twice. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { findPosted, takePosted } from '../../src/intake/post.ts';
import { openRuntime, type Runtime } from '../../src/runtime.ts';
import { defaultMailboxSettings } from '../../src/store/mailbox-settings.ts';
import { createMailbox } from '../../src/store/mailboxes.ts';
import { runCommand } from '../support/command.ts';
import { tempFolder } from '../support/folder.ts';
import { startIntake } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';
import { runPenstock } from '../support/process.ts';

/** Three single files (one of them twice), an mbox of four with a copy of its own, a maildir of three. */
async function writeArchive(folder: string): Promise<void> {
  const mail = (name: string): Buffer => simpleMessage(name, `Body of ${name}.\r\n`);
  await mkdir(join(folder, 'single', 'deeper'), { recursive: true });
  await writeFile(join(folder, 'single', 'a.eml'), mail('a'));
  await writeFile(join(folder, 'single', 'b.eml'), mail('b'));
  await writeFile(join(folder, 'single', 'deeper', 'again.eml'), mail('a'));
  const entries = ['c', 'd', 'c', 'e'].map(
    (name) => `From ann@example.org Mon Jan  5 10:00:00 2026\r\n${mail(name).toString()}\r\n`,
  );
  await writeFile(join(folder, 'old.mbox'), entries.join(''));
  for (const part of ['cur', 'new', 'tmp']) await mkdir(join(folder, 'Maildir', part), { recursive: true });
  await writeFile(join(folder, 'Maildir', 'cur', '1767607200.M1P1.host:2,S'), mail('f'));
  await writeFile(join(folder, 'Maildir', 'new', '1767607201.M1P2.host'), mail('g'));
  // This one is in the mbox too.
  await writeFile(join(folder, 'Maildir', 'new', '1767607202.M1P3.host'), mail('e'));
  await writeFile(join(folder, 'Maildir', 'tmp', '1767607203.M1P4.host'), mail('half written'));
}

describe('penstock import', () => {
  it('takes eml, mbox and maildir to the end, without a daemon; the second time adds nothing', async () => {
    const env = { PENSTOCK_DATA: join(await tempFolder('import'), 'data'), PENSTOCK_WORKER_THREADS: '1' };
    const archive = await tempFolder('archive');
    await writeArchive(archive);
    const withRuntime = async <T>(run: (runtime: Runtime) => Promise<T>): Promise<T> => {
      const { config } = await loadConfig(env);
      const runtime = await openRuntime(config, { borrow: false, onError: () => undefined });
      try {
        return await run(runtime);
      } finally {
        await runtime.close();
      }
    };
    await withRuntime(async ({ db }) => {
      const settings = defaultMailboxSettings('imap.example.com', 'desk@example.com');
      await db
        .transaction()
        .execute((tx) =>
          createMailbox(tx, { name: 'Desk', kind: 'imap', enabled: false, settings, halo: {} }),
        );
    });
    const run = async (how: typeof runPenstock) => {
      const paths = ['single', 'old.mbox', 'Maildir'].map((name) => join(archive, name));
      const { code, stdout, output } = await how(['import', ...paths, '--mailbox', '1', '--json'], {
        env,
      });
      expect(code, output).toBe(0);
      return JSON.parse(stdout) as Record<string, unknown>;
    };
    const first = await run(runPenstock);
    expect(first).toMatchObject({ files: 10, stored: 7, oversized: [] });
    expect(Number(first.known) + Number(first.duplicates)).toBe(3);
    const second = await run(runCommand);
    expect(second).toMatchObject({ files: 10, stored: 0, known: 10, duplicates: 0 });
    await withRuntime(async ({ db }) => {
      const { rows } = await sql<{ subject: string; state: string; tickets: number }>`
        select subject, state, (select count(*)::int from ticket_action where incoming_email_id = email.id) as tickets
        from incoming_email as email order by subject`.execute(db);
      expect(rows).toEqual(
        ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((subject) => ({ subject, state: 'processed', tickets: 1 })),
      );
      const dates = await db
        .selectFrom('incoming_email')
        .select('internal_date')
        .where('subject', '=', 'c')
        .execute();
      expect(dates[0]?.internal_date?.toISOString()).toBe('2026-01-05T10:00:00.000Z');
    });
  }, 120_000);
});

describe('takePosted', () => {
  it('is idempotent by key, apart for each way in, and counts what is the same within one batch', async () => {
    const { db, raw, held } = await startIntake({ dedup: 'none' });
    const { mailbox } = held;
    const post = async (key: string, subject: string) => ({
      key,
      raw: await raw.put(simpleMessage(subject)),
      internalDate: null,
    });
    const first = await takePosted(db, mailbox, 'import', [await post('k1', 'a'), await post('k2', 'b')]);
    expect(first).toMatchObject({ stored: [{ key: 'k1' }, { key: 'k2' }], duplicates: [], known: [] });
    const again = await takePosted(db, mailbox, 'import', [
      await post('k2', 'b'),
      await post('k3', 'c'),
      await post('k3', 'c'),
    ]);
    expect(again).toMatchObject({ stored: [{ key: 'k3' }], known: ['k2', 'k3'] });
    expect(await findPosted(db, mailbox.id, 'import', 'k1')).toBe(first.stored[0]?.id);
    expect(await findPosted(db, mailbox.id, 'api', 'k1')).toBeNull();
    const other = await takePosted(db, mailbox, 'api', [await post('k1', 'a')]);
    expect(other.stored).toHaveLength(1);
  });

  it('twenty at once with one key: one record', async () => {
    const { db, raw, held } = await startIntake();
    const put = await raw.put(simpleMessage('a'));
    const results = await Promise.all(
      Array.from({ length: 20 }, () =>
        takePosted(db, held.mailbox, 'api', [{ key: 'k', raw: put, internalDate: null }]),
      ),
    );
    expect(results.flatMap(({ stored }) => stored)).toHaveLength(1);
    expect(results.flatMap(({ known }) => known)).toHaveLength(19);
  });

  it('many batches at once with the same content under many keys: one record, the others duplicates of it', async () => {
    const { db, raw, held } = await startIntake();
    const puts = await Promise.all(['a', 'b', 'c'].map((name) => raw.put(simpleMessage(name))));
    const results = await Promise.all(
      Array.from({ length: 12 }, (_value, batch) =>
        takePosted(
          db,
          held.mailbox,
          'api',
          // In another order each time: where they lock in different orders they must not wait for each other.
          [0, 1, 2].map((index) => {
            const which = (index + batch) % 3;
            return { key: `${batch}-${which}`, raw: puts[which]!, internalDate: null };
          }),
        ),
      ),
    );
    expect(results.flatMap(({ stored }) => stored)).toHaveLength(3);
    expect(results.flatMap(({ duplicates }) => duplicates)).toHaveLength(33);
  });
});
