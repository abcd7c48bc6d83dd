/**
 * The folder of raw messages: larger ones as files named after their digest, small ones of a batch together in a pack.
 * What no row names is removed once it is old; never before, because its commit may be under way.
 */
import { randomUUID } from 'node:crypto';
import { access, mkdir, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { sql } from 'kysely';
import type { Database } from '../store/database.ts';
import type { PackPlace } from '../store/intake.ts';
import { syncFolder } from '../sync-folder.ts';
import { writePack } from './pack.ts';

const DIGEST = /^[0-9a-f]{64}$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const SHARD = /^[0-9a-f]{2}$/;
const NAMES_AT_ONCE = 1_000;
/** No commit comes later after its file. */
const JUST_WRITTEN_MS = 60 * 60_000;

export class RawFiles {
  readonly #db: Database;
  readonly #directory: string;
  readonly #packs: string;
  /** Folders whose names are known to be on the disk. */
  readonly #durable = new Set<string>();

  constructor(db: Database, dataDirectory: string) {
    this.#db = db;
    this.#directory = join(dataDirectory, 'raw');
    this.#packs = join(this.#directory, 'packs');
  }

  async start(): Promise<void> {
    for (const folder of ['tmp', 'packs'])
      await mkdir(join(this.#directory, folder), { recursive: true, mode: 0o700 });
    for (const folder of [this.#directory, dirname(this.#directory)]) await syncFolder(folder);
  }

  /** A new name in the folder of what is not finished yet. */
  temporary(): string {
    return join(this.#directory, 'tmp', randomUUID());
  }

  path(sha256: Buffer): string {
    const hex = sha256.toString('hex');
    return join(this.#directory, hex.slice(0, 2), hex);
  }

  packPath(pack: string): string {
    return join(this.#packs, pack.slice(0, 2), pack);
  }

  /** Gives a finished file its name, so that it is there after a power cut. */
  async place(temporary: string, sha256: Buffer): Promise<void> {
    const path = this.path(sha256);
    await this.#makeFolder(dirname(path));
    await rename(temporary, path);
    await syncFolder(dirname(path));
  }

  /** Writes messages as one file that is there after a power cut. Returns where each is, in their order. */
  async writePack(messages: readonly { sha256: Buffer; bytes: Buffer }[]): Promise<PackPlace[]> {
    const pack = randomUUID();
    const path = this.packPath(pack);
    await this.#makeFolder(dirname(path));
    try {
      // Under its own name from the start: no row names it before it is complete.
      const offsets = await writePack(path, messages);
      await syncFolder(dirname(path));
      return offsets.map((offset) => ({ pack, offset }));
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
  }

  /** How many files hold the newest messages, and how many of these are not there, of which none should be. */
  async countMissing(newest: number): Promise<{ files: number; missing: number }> {
    const { rows } = await sql<{ sha256: Buffer; pack: string | null }>`
      select distinct case when pack is null then sha256 end as sha256, pack
      from (select raw_sha256 from incoming_email order by id desc limit ${newest}) as email
      join raw_message on sha256 = raw_sha256
      where place <> 'inline'`.execute(this.#db);
    let missing = 0;
    for (const { sha256, pack } of rows) {
      const path = pack === null ? this.path(sha256) : this.packPath(pack);
      await access(path).catch(() => {
        missing += 1;
      });
    }
    return { files: rows.length, missing };
  }

  /** Free bytes where files go. */
  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#directory);
    return bavail * bsize;
  }

  /** Removes what a crash left in the temporary folder. Files of running transfers are younger. */
  async removeLeftovers(olderThanMs: number): Promise<number> {
    const folder = join(this.#directory, 'tmp');
    let removed = 0;
    for (const name of await readdir(folder)) {
      const path = join(folder, name);
      if (!(await isOld(path, olderThanMs))) continue;
      await rm(path, { force: true });
      removed += 1;
    }
    return removed;
  }

  /**
   * Deletes the file of a message whose row is gone. A file that was written lately is kept: the same message came
   * again, and its new row is about to name it.
   */
  async removeFile(sha256: Buffer): Promise<void> {
    await this.#removeOld(this.path(sha256), JUST_WRITTEN_MS);
  }

  /** Deletes those of these packs that no row names any more. */
  async removePacks(packs: readonly string[]): Promise<void> {
    for (const pack of await this.#unnamedPacks(packs)) await rm(this.packPath(pack), { force: true });
  }

  /**
   * Removes files that no row names: their commit failed, or a crash came before it. One that is younger than
   * `olderThanMs` may be about to be named.
   */
  async removeOrphans(olderThanMs: number): Promise<number> {
    let removed = 0;
    for await (const names of namesIn(this.#directory, DIGEST)) {
      for (const sha256 of await this.#unnamed(names))
        if (await this.#removeOld(this.path(sha256), olderThanMs)) removed += 1;
    }
    for await (const names of namesIn(this.#packs, UUID)) {
      for (const pack of await this.#unnamedPacks(names)) {
        // Nobody writes a pack of this name again: it need not be put aside first.
        if (!(await isOld(this.packPath(pack), olderThanMs))) continue;
        await rm(this.packPath(pack), { force: true });
        removed += 1;
      }
    }
    return removed;
  }

  /** Those of these digests that no row has. */
  async #unnamed(hexDigests: string[]): Promise<Buffer[]> {
    const digests = hexDigests.map((hex) => Buffer.from(hex, 'hex'));
    const rows = await this.#db
      .selectFrom('raw_message')
      .select('sha256')
      .where('sha256', '=', sql<Buffer>`any(${digests}::bytea[])`)
      .execute();
    const named = new Set(rows.map(({ sha256 }) => sha256.toString('hex')));
    return digests.filter((digest) => !named.has(digest.toString('hex')));
  }

  async #unnamedPacks(packs: readonly string[]): Promise<string[]> {
    if (packs.length === 0) return [];
    const { rows } = await sql<{ pack: string }>`
      select pack from unnest(${packs}::uuid[]) as asked (pack)
      where not exists (select 1 from raw_message where raw_message.pack = asked.pack)`.execute(this.#db);
    return rows.map(({ pack }) => pack);
  }

  /**
   * Removes a file unless it was written lately. It is put aside first: the same message may come again between the
   * question and the removal, and then this is its new file, which goes back.
   */
  async #removeOld(path: string, olderThanMs: number): Promise<boolean> {
    if (!(await isOld(path, olderThanMs))) return false;
    const aside = this.temporary();
    // Another process may be doing the same.
    const isOurs = await rename(path, aside).then(
      () => true,
      () => false,
    );
    if (!isOurs) return false;
    if (!(await isOld(aside, olderThanMs))) {
      await rename(aside, path);
      return false;
    }
    await rm(aside, { force: true });
    return true;
  }

  /**
   * Makes a folder, and its name durable before anything is in it. Whoever finds a folder that another one has just
   * made must not rely on that one.
   */
  async #makeFolder(folder: string): Promise<void> {
    const made = await mkdir(folder, { recursive: true, mode: 0o700 });
    if (made === undefined && this.#durable.has(folder)) return;
    await syncFolder(dirname(folder));
    this.#durable.add(folder);
  }
}

async function isOld(path: string, olderThanMs: number): Promise<boolean> {
  const info = await stat(path).catch(() => null);
  return info !== null && Date.now() - info.mtimeMs >= olderThanMs;
}

/** Names of this form in the folders below `directory` that hold files, some at a time. */
async function* namesIn(directory: string, form: RegExp): AsyncGenerator<string[]> {
  for (const folder of await readdir(directory)) {
    if (!SHARD.test(folder)) continue;
    const names = (await readdir(join(directory, folder))).filter((name) => form.test(name));
    for (let at = 0; at < names.length; at += NAMES_AT_ONCE) yield names.slice(at, at + NAMES_AT_ONCE);
  }
}
