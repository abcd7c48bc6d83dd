/** Temporary folders that go away with everything in them, a database left running included. */
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onCleanup } from './cleanup.ts';
import { removeFolder } from './folder-removal.ts';

/**
 * A new folder below the system's temporary one, removed when the test file is done. Other users may pass through
 * it, so that a database in it (as root it runs as another user) need not move outside.
 */
export async function tempFolder(name = 'test'): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `penstock-${name}-`));
  await chmod(folder, 0o711);
  onCleanup(() => removeFolder(folder));
  return folder;
}
