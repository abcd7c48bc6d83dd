/** The folder that a demo works in. It goes with the demo, and a database in it does too. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stopLeftOver } from '../store/engine/embedded-postgres.ts';

const PREFIX = 'penstock-demo-';
const ATTEMPTS = 60;
const ATTEMPT_MS = 500;

export async function makeDemoData(): Promise<string> {
  return await mkdtemp(join(tmpdir(), PREFIX));
}

/**
 * Removes what a demo left. A database that still runs there is stopped first; a process that is about to end, or
 * one that still makes the database, is waited for. Fails when the folder belongs to a demo that goes on.
 */
export async function removeDemoData(folder: string): Promise<void> {
  if (!basename(folder).startsWith(PREFIX)) throw new Error(`${folder} is no folder of a demo.`);
  for (let attempt = 1; existsSync(folder); attempt += 1) {
    try {
      await stopLeftOver(folder);
      // The database of a user who may not enter the folder is elsewhere; a file in the folder says where.
      const engine = await readFile(join(folder, 'engine-location'), 'utf8').catch(() => null);
      if (engine !== null) await rm(engine.trim(), { recursive: true, force: true });
      await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    } catch (error) {
      // The folder may vanish or fill while it is looked at; only a fault that lasts counts.
      if (attempt === ATTEMPTS) throw error;
    }
    if (existsSync(folder)) await sleep(ATTEMPT_MS);
  }
}

/** The same, by a process that outlives this one: for a stop that has no time left. */
export function removeDemoDataLater(folder: string): void {
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const script = fileURLToPath(new URL(`./demo-remover.${ending}`, import.meta.url));
  spawn(process.execPath, [script, folder], { detached: true, stdio: 'ignore' }).unref();
}
