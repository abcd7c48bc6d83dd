/**
 * The keys that encrypt secrets: AES-256-GCM, kept in a file outside the database (mode 0600). The file holds
 * one key a line, `<id> <base64>`; the first encrypts, all of them decrypt, so a key can be changed in service.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fail } from '../errors.ts';
import { syncFolder } from '../sync-folder.ts';

export interface Sealed {
  keyId: string;
  nonce: Buffer;
  ciphertext: Buffer;
}

const TAG_BYTES = 16;

export class Keyring {
  readonly #file: string;
  #keys = new Map<string, Buffer>();
  #changedAt = -1;

  constructor(file: string) {
    this.#file = file;
  }

  /** Id of the key that encrypts. */
  get current(): string {
    return [...this.#keys.keys()][0]!;
  }

  /** Reads the file again when it changed: another process may have put a new key in. Fails with `key_missing`. */
  async refresh(): Promise<void> {
    const { mtimeMs } = await stat(this.#file).catch((error) => {
      throw fail('key_missing', `The key file ${this.#file} cannot be read.`, { file: this.#file }, error);
    });
    if (mtimeMs === this.#changedAt) return;
    this.#keys = parseKeys(await readFile(this.#file, 'utf8'), this.#file);
    this.#changedAt = mtimeMs;
  }

  /** Encrypts. `context` is bound in: a ciphertext moved to another row does not decrypt. */
  seal(plain: string, context: string): Sealed {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.#keys.get(this.current)!, nonce).setAAD(
      Buffer.from(context),
    );
    const body = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return { keyId: this.current, nonce, ciphertext: body };
  }

  /** Decrypts. Fails with `key_missing` when the key is not in the file or the bytes were changed. */
  open(sealed: Sealed, context: string): string {
    const key = this.#keys.get(sealed.keyId);
    if (key === undefined) {
      throw fail('key_missing', `The key ${sealed.keyId} is not in the key file.`, { key: sealed.keyId });
    }
    const body = sealed.ciphertext.subarray(0, -TAG_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.nonce)
      .setAAD(Buffer.from(context))
      .setAuthTag(sealed.ciphertext.subarray(-TAG_BYTES));
    try {
      return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
    } catch (error) {
      throw fail(
        'key_missing',
        `A secret of ${context} does not decrypt with key ${sealed.keyId}.`,
        {},
        error,
      );
    }
  }
}

/**
 * Reads the key file. Makes it when it is missing and `mayCreate`: a database that already holds secrets must
 * not get a new key silently, so the caller says whether that is so. Fails with `key_missing`.
 */
export async function loadKeyring(file: string, mayCreate: boolean): Promise<Keyring> {
  if (!existsSync(file)) {
    if (!mayCreate) {
      throw fail('key_missing', `The key file ${file} is missing, but the database holds secrets.`, { file });
    }
    await writeKeys(file, [newKey()]);
  }
  const keys = new Keyring(file);
  await keys.refresh();
  return keys;
}

/** Puts a new key in front of the file, so that it encrypts from now on. Returns the new ring. */
export async function addKey(file: string): Promise<Keyring> {
  const old = (await readFile(file, 'utf8')).split('\n').filter((line) => line.trim() !== '');
  await writeKeys(file, [newKey(), ...old]);
  return await loadKeyring(file, false);
}

/** Removes all keys but the one that encrypts. Only after every secret was sealed with it. */
export async function dropOldKeys(file: string): Promise<void> {
  const [first] = (await readFile(file, 'utf8')).split('\n');
  await writeKeys(file, [first!]);
}

function newKey(): string {
  return `k${Date.now().toString(36)} ${randomBytes(32).toString('base64')}`;
}

/** Written beside, synced and renamed: a crash leaves the old file or the new one. */
async function writeKeys(file: string, lines: string[]): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const temporary = `${file}.new`;
  const handle = await open(temporary, 'w', 0o600);
  try {
    await handle.writeFile(`${lines.join('\n')}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
  // Secrets that are encrypted with a key from now on need it after a power cut too.
  await syncFolder(dirname(file));
}

function parseKeys(text: string, file: string): Map<string, Buffer> {
  const keys = new Map<string, Buffer>();
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const [id, encoded] = line.trim().split(/\s+/);
    const key = Buffer.from(encoded ?? '', 'base64');
    if (id === undefined || key.length !== 32)
      throw fail('key_missing', `The key file ${file} is damaged.`, { file });
    keys.set(id, key);
  }
  if (keys.size === 0) throw fail('key_missing', `The key file ${file} is empty.`, { file });
  return keys;
}
