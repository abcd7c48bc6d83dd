/** Makes the names in a folder durable. */
import { open } from 'node:fs/promises';

/** Waits until the disk has the names of a folder: fsync of a new file alone keeps its bytes, not its name (fsync(2)). */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
