import { createHash, randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
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
    const place = raw.inline === null ? 'file' : 'inline';
    await db
      .insertInto('raw_message')
      .values({ sha256: raw.sha256, size: raw.size, place, bytes: raw.inline })
      .execute();
  };

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
});
