import { createHash, randomBytes } from 'node:crypto';
import { open, readdir, rm, symlink, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/limits.ts';
import { headerBlockLength } from '../../src/message/header-block.ts';
import { RawStore } from '../../src/raw/raw-store.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import type { RawBytes } from '../../src/store/intake.ts';
import { onCleanup } from '../support/cleanup.ts';
import { tempFolder } from '../support/folder.ts';
import { createTestDatabase } from '../support/postgres.ts';

describe('headerBlockLength', () => {
  it.each([
    ['CRLF', 'A: b\r\n\r\nbody', 8],
    ['LF', 'A: b\n\nbody', 6],
    ['no body', 'A: b\r\n\r\n', 8],
    ['no empty line', 'A: b\r\n', -1],
    ['LF header, CRLF later', 'A: b\n\nbody\r\n\r\nmore', 6],
    ['no header', '\r\n\r\nbody', 4],
  ])('%s', (_, text, wanted) => {
    expect(headerBlockLength(Buffer.from(text))).toBe(wanted);
  });
});

describe('RawStore', () => {
  let folder: string;
  let store: RawStore;
  let db: Database;

  beforeAll(async () => {
    folder = await tempFolder('raw');
    const connection = openDatabase((await createTestDatabase()).url, {
      connections: 2,
      onError: () => undefined,
    });
    onCleanup(() => connection.close());
    store = new RawStore(connection.db, folder);
    await store.start();
    db = connection.db;
  });

  const keep = async (raw: RawBytes): Promise<void> => {
    const { sha256, size, inline: bytes } = raw;
    const place = bytes !== null ? 'inline' : raw.pack !== null ? 'pack' : 'file';
    const { pack, offset: pack_offset } = raw.pack ?? { pack: null, offset: null };
    await db
      .insertInto('raw_message')
      .values({ sha256, size, place, bytes, pack, pack_offset })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  };

  /** Stores what belongs together. Returns where it is. */
  const keepBatch = async (messages: readonly Buffer[]): Promise<RawBytes[]> => {
    const raws: RawBytes[] = [];
    for (const bytes of messages) raws.push(await store.put(bytes));
    const settled = await store.settle(raws);
    for (const raw of settled) await keep(raw);
    return settled;
  };

  /** As another process sees it, which has no bytes at hand. */
  const fromStore = (): RawStore => new RawStore(db, folder);

  it.each([
    ['a small message inline', 1_000, true],
    ['a message at the limit inline', LIMITS.inlineRawBytes, true],
    ['a larger message in a file', LIMITS.inlineRawBytes + 1, false],
  ])('keeps %s, byte for byte', async (_, size, inline) => {
    const bytes = randomBytes(size);
    const raw = await store.put(bytes);
    expect(raw.inline !== null).toBe(inline);
    expect(raw.sha256).toEqual(createHash('sha256').update(bytes).digest());
    await keep(raw);
    expect((await store.read(raw.sha256)).equals(bytes)).toBe(true);
  });

  it('takes the same large message twice, as one file', async () => {
    const bytes = randomBytes(LIMITS.inlineRawBytes * 2);
    const first = await store.put(bytes);
    const second = await store.put(bytes);
    expect(second.sha256).toEqual(first.sha256);
  });

  it('T10.3 stops at the limit and leaves nothing behind', async () => {
    const endless = Readable.from(
      (function* () {
        for (;;) yield Buffer.alloc(65_536);
      })(),
    );
    await expect(store.putStream(endless, 1_000_000)).rejects.toMatchObject({ code: 'message_oversized' });
    expect(await readdir(join(folder, 'raw', 'tmp'))).toEqual([]);
  });

  it('fails with the error of the stream, and leaves nothing behind', async () => {
    const broken = new Readable({
      read() {
        this.push(Buffer.alloc(10));
        this.destroy(new Error('the line dropped'));
      },
    });
    await expect(store.putStream(broken, 1_000)).rejects.toThrow('the line dropped');
    expect(await readdir(join(folder, 'raw', 'tmp'))).toEqual([]);
  });

  it('says so when bytes are missing', async () => {
    await expect(store.read(randomBytes(32))).rejects.toMatchObject({ code: 'raw_missing' });
  });

  describe('many small messages of a batch', () => {
    it('are one file, byte for byte, beside a larger one', async () => {
      const small = [
        Buffer.alloc(0),
        Buffer.from('A: b\r\n\r\nline\r\n'),
        Buffer.from('A: b\n\nline\n'),
        Buffer.from(`\n${'0'.repeat(64)} 12\n\n`),
        randomBytes(LIMITS.inlineRawBytes),
        Buffer.from([0, 10, 13, 255]),
      ];
      const large = randomBytes(LIMITS.inlineRawBytes + 1);
      const messages = [...small.slice(0, 3), large, ...small.slice(3), small[1]!];
      const raws = await keepBatch(messages);
      expect(raws.map((raw) => raw.sha256)).toEqual(messages.map((bytes) => sha256(bytes)));
      expect(raws.every((raw) => raw.inline === null)).toBe(true);
      expect(raws.map((raw) => raw.pack === null)).toEqual(messages.map((bytes) => bytes === large));
      expect(new Set(raws.flatMap((raw) => raw.pack?.pack ?? [])).size).toBe(1);
      for (const bytes of messages) expect((await fromStore().read(sha256(bytes))).equals(bytes)).toBe(true);
    });

    it.each([
      ['at the limit together: rows', 0, true],
      ['more than that: a file', 1, false],
    ])('%s', async (_, more, inline) => {
      const half = LIMITS.inlineRawBytes / 2;
      const raws = await keepBatch([randomBytes(half), randomBytes(half + more)]);
      expect(raws.map((raw) => raw.inline !== null)).toEqual([inline, inline]);
    });

    it('may be more pieces than one call to the system takes', async () => {
      const messages = Array.from({ length: 400 }, (_, index) => Buffer.from(`${index}`.padEnd(700)));
      const raws = await keepBatch(messages);
      const found = await fromStore().find(raws.map((raw) => raw.sha256));
      for (const bytes of messages)
        expect(found.get(sha256(bytes).toString('hex'))).toEqual({ inline: bytes });
    });

    const SIZE = 100 * 1024;
    it.each<[string, (path: string, second: number) => Promise<unknown>, number[]]>([
      ['is missing', (path) => rm(path), []],
      ['was cut off', (path, second) => truncate(path, second + SIZE - 1), [0]],
      ['has a changed byte', (path, second) => change(path, second + SIZE - 1), [0, 2]],
      ['is on a bad spot of the disk', badSpot, []],
    ])('what is not whole in a file that %s is never handed out; all else is', async (_, damage, left) => {
      const other = await keepBatch([randomBytes(SIZE), randomBytes(SIZE), randomBytes(SIZE)]);
      const inline = await keepBatch([randomBytes(SIZE)]);
      const raws = await keepBatch([randomBytes(SIZE), randomBytes(SIZE), randomBytes(SIZE)]);
      const { pack, offset } = raws[1]!.pack!;
      await damage(store.files.packPath(pack), offset);
      const found = await fromStore().find([...raws, ...inline, ...other].map((raw) => raw.sha256));
      const wanted = [...other, ...inline, ...left.map((index) => raws[index]!)];
      expect([...found.keys()].sort()).toEqual(wanted.map((raw) => raw.sha256.toString('hex')).sort());
      await expect(fromStore().read(raws[1]!.sha256)).rejects.toMatchObject({ code: 'raw_missing' });
    });
  });
});

const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();

async function change(path: string, at: number): Promise<void> {
  const handle = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  await handle.write(Buffer.of(byte[0]! ^ 1), 0, 1, at);
  await handle.close();
}

/** proc(5): where a process has no memory, reading it fails with EIO. */
async function badSpot(path: string): Promise<void> {
  await rm(path);
  await symlink('/proc/self/mem', path);
}
