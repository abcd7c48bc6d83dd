#!/usr/bin/env node
/**
 * The command `penstock`: makes sure that there are dependencies and a Node that is new enough, then runs the
 * command line. `--run FILE` runs another script of this project in the same way.
 */
import { join, resolve } from 'node:path';
import { ensureDependencies, giveUp, root, runScript, runsFromSource } from './runtime.mjs';

const args = process.argv.slice(2);
let script = runsFromSource ? join(root, 'src', 'cli.ts') : join(root, 'dist', 'cli.js');
if (args[0] === '--run') {
  if (!args[1]) giveUp('--run needs a file, for example --run bench/ingest.ts');
  script = resolve(args[1]);
  args.splice(0, 2);
}
ensureDependencies();
await runScript(script, args);
