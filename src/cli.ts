#!/usr/bin/env node
/** The command line. Each command is a file in cli/. */
import { runCommandLine } from './cli/run.ts';

await runCommandLine(process.argv.slice(2));
