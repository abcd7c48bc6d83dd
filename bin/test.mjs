/** `npm test`: installs what the tests need, then runs them. Arguments go to vitest: `npm test -- test/rule`. */
import { join } from 'node:path';
import { pickNode, root, runShadowed } from './runtime.mjs';
import { setUp } from './setup.mjs';

await setUp({ test: true });
process.chdir(root);
runShadowed(pickNode(), [
  join(root, 'node_modules', 'vitest', 'vitest.mjs'),
  'run',
  ...process.argv.slice(2),
]);
