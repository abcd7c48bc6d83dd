import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { stopLeftOver } from '../../src/store/engine/embedded-postgres.ts';

/** Removes a folder. A database that a killed daemon left running in it, or one level below, is stopped first. */
export async function removeFolder(folder: string): Promise<void> {
  const inside = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const candidates = [folder, ...inside.filter((e) => e.isDirectory()).map((e) => join(folder, e.name))];
  for (const candidate of candidates) {
    if (existsSync(join(candidate, 'engine', 'pgdata'))) await stopLeftOver(candidate);
  }
  await rm(folder, { recursive: true, force: true });
}
