/** Files that no row names: removed when they are old, never when they are about to be named. */
import { readdir, rm, utimes } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { takePosted } from '../../src/intake/post.ts';
import { LIMITS } from '../../src/limits.ts';
import { Maintenance } from '../../src/maintenance.ts';
import { RawStore } from '../../src/raw/raw-store.ts';
import { acquireLease } from '../../src/store/leases.ts';
import { type Intake, startIntake, subjectsOf, USER } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';

const LARGE = simpleMessage('large', 'x'.repeat(LIMITS.inlineRawBytes + 1));

const SMALL = ['a', 'b', 'c'].map((subject) => simpleMessage(subject, 'x'.repeat(LIMITS.inlineRawBytes / 2)));

/** Those of large messages and those of many small ones. */
async function files({ dataDirectory }: Intake): Promise<string[]> {
  const all = await readdir(join(dataDirectory, 'raw'), { recursive: true });
  return all.filter((name) => /[0-9a-f]{64}$|[0-9a-f]{12}$/.test(name));
}

async function passTime(intake: Intake): Promise<void> {
  const long = new Date(Date.now() - 25 * 3_600_000);
  for (const file of await files(intake)) await utimes(join(intake.dataDirectory, 'raw', file), long, long);
}

/** One run of a daemon that has just started. */
async function maintain({ db, raw, context }: Intake, store = raw): Promise<void> {
  await new Maintenance(db, store, context.events, 0).run();
}

describe('a file whose commit failed', () => {
  it.each([
    ['a large message', [LARGE], ['large']],
    ['many small ones', SMALL, ['a', 'b', 'c']],
  ])('is removed when it is old, and taken all the same: %s', async (_, messages, subjects) => {
    const intake = await startIntake();
    await intake.pass();
    for (const message of messages) intake.server.deliver(USER, 'INBOX', message);
    const { leaseToken } = intake.held;
    intake.held.leaseToken = leaseToken - 1;
    // As with a crash between the file and the commit: the file is there, and no row.
    await expect(intake.pass()).rejects.toMatchObject({ code: 'lease_lost' });
    expect(await files(intake)).toHaveLength(1);
    expect(await intake.db.selectFrom('raw_message').select('sha256').execute()).toEqual([]);

    // It may be about to be named.
    await maintain(intake);
    expect(await files(intake)).toHaveLength(1);
    await passTime(intake);
    await maintain(intake);
    expect(await files(intake)).toEqual([]);
    expect(intake.toldOf('raw.orphans_removed')).toEqual([{ files: 1 }]);

    intake.held.leaseToken = (await acquireLease(intake.db, intake.held.mailbox.id, 'test', 3600))!;
    expect(await intake.pass()).toBe(messages.length);
    await passTime(intake);
    await maintain(intake);
    const [file] = await files(intake);
    expect(await files(intake)).toHaveLength(1);
    expect(await intake.raw.files.countMissing(10)).toEqual({ files: 1, missing: 0 });
    expect(await subjectsOf(intake.db, new RawStore(intake.db, intake.dataDirectory))).toEqual(subjects);
    await rm(join(intake.dataDirectory, 'raw', file!));
    expect(await intake.raw.files.countMissing(10)).toEqual({ files: 1, missing: 1 });
  });

  it('is kept when the same message comes again while it is being removed', async () => {
    const intake = await startIntake();
    const { db, raw, held, dataDirectory } = intake;
    await raw.put(LARGE);
    await passTime(intake);
    // Another process writes the file anew after the rows were read, and commits after the removal.
    const other = new RawStore(db, dataDirectory);
    const meanwhile = Promise.withResolvers<Awaited<ReturnType<RawStore['put']>>>();
    const interrupted = db.withPlugin({
      transformQuery: ({ node }) => node,
      transformResult: async ({ result }) => {
        meanwhile.resolve(await other.put(LARGE));
        return result;
      },
    });
    await maintain(intake, new RawStore(interrupted, dataDirectory));
    await takePosted(db, held.mailbox, 'import', [
      { key: 'again', raw: await meanwhile.promise, internalDate: null },
    ]);
    expect(await files(intake)).toHaveLength(1);
    expect(await intake.subjects()).toEqual(['large']);
  });
});

it('a batch that comes again, its answer lost: what is there stays, and the second file goes when it is old', async () => {
  const intake = await startIntake();
  const { db, raw, held } = intake;
  const take = async (): Promise<string> => {
    const raws = await raw.settle(await Promise.all(SMALL.map((bytes) => raw.put(bytes))));
    const messages = raws.map((one, index) => ({ key: `${index}`, raw: one, internalDate: null }));
    await takePosted(db, held.mailbox, 'import', messages);
    expect((await takePosted(db, held.mailbox, 'import', messages)).stored).toEqual([]);
    return raws[0]!.pack!.pack;
  };
  const first = await take();
  await take();
  expect(await files(intake)).toHaveLength(2);
  await passTime(intake);
  await maintain(intake);
  expect((await files(intake)).map((name) => basename(name))).toEqual([first]);
  expect(await subjectsOf(db, new RawStore(db, intake.dataDirectory))).toEqual(['a', 'b', 'c']);
});
