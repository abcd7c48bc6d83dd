import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';

interface Entry {
  version?: string;
  optionalDependencies?: Record<string, string>;
}

it('the lock file knows every optional package, also those of other machines', async () => {
  // npm leaves out what the registry it asked does not have, and then npm ci refuses the file everywhere.
  const file = new URL('../../package-lock.json', import.meta.url);
  const { packages } = JSON.parse(await readFile(file, 'utf8')) as { packages: Record<string, Entry> };
  const known = new Map(
    Object.entries(packages).map(([path, entry]) => [path.split('node_modules/').pop(), entry.version]),
  );
  const missing: string[] = [];
  for (const [path, entry] of Object.entries(packages)) {
    for (const name of Object.keys(entry.optionalDependencies ?? {})) {
      if (!known.get(name)) missing.push(`${name}, wanted by ${path}`);
    }
  }
  expect(missing).toEqual([]);
});
