/**
 * `npm test`: installs what the tests need, then runs them. Arguments go to vitest: `npm test -- test/rule`.
 * `npm run test:long` runs those that take minutes by what they show: their names end in `.long.test.ts`.
 */
import { join } from 'node:path';
import { pickNode, root, runShadowed } from './runtime.mjs';
import { setUp } from './setup.mjs';

const args = process.argv.slice(2);
const isLong = args.some((arg) => arg.includes('.long.'));

await setUp({ test: true });
process.chdir(root);
runShadowed(pickNode(), [
  join(root, 'node_modules', 'vitest', 'vitest.mjs'),
  'run',
  ...(isLong ? [] : ['--exclude', '**/*.long.test.ts']),
  ...args,
]);
