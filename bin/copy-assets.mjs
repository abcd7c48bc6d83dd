/** Copies what tsc leaves behind (SQL, HTML and the like) from src/ to the same places in dist/. */
import { cpSync, existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './runtime.mjs';

cpSync(join(root, 'src'), join(root, 'dist'), {
  recursive: true,
  filter(source) {
    if (statSync(source).isDirectory()) return true;
    if (source.endsWith('.ts')) return false;
    if (source.endsWith('.js') && existsSync(source.replace(/js$/, 'ts'))) {
      throw new Error(`${source} would take the place of what its neighbour in TypeScript is compiled to.`);
    }
    return true;
  },
});
