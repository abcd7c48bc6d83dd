/** Copies what tsc leaves behind (SQL, HTML and the like) from src/ to the same places in dist/. */
import { cpSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './runtime.mjs';

cpSync(join(root, 'src'), join(root, 'dist'), {
  recursive: true,
  filter: (source) => statSync(source).isDirectory() || !source.endsWith('.ts'),
});
