import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

interface Package {
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
}
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Package;

/** Read by the type checker or started as programs. */
const TOOLS = ['@biomejs/biome', '@types/node', '@types/pg', 'typescript'];

function textOf(folder: string): string {
  const names = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' });
  const code = names.filter((name) => /\.(ts|mjs)$/.test(name));
  return code.map((name) => readFileSync(join(ROOT, folder, name), 'utf8')).join('\n');
}

/** Imported by name, or by a path in it. */
const isNamedIn = (text: string) => (name: string) =>
  [`from '${name}'`, `from '${name}/`, `import '${name}'`, `import('${name}')`].some((use) =>
    text.includes(use),
  );

it('every dependency is used by what runs', () => {
  const isUsed = isNamedIn(textOf('src') + textOf('bin'));
  const unused = Object.keys(manifest.dependencies).filter((name) => !isUsed(name));
  expect(unused).toEqual([]);
});

it('every dependency of development is used', () => {
  const isUsed = isNamedIn(textOf('test') + textOf('bench'));
  const unused = Object.keys(manifest.devDependencies).filter((name) => !isUsed(name));
  expect(unused).toEqual(TOOLS);
});

it('all versions are exact', () => {
  const all = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies };
  for (const [name, version] of Object.entries(all))
    expect(version, name).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/);
});
