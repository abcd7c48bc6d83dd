#!/usr/bin/env node
/** The command line. Each command is a file in cli/. */
import { CommanderError } from 'commander';
import { EXIT, explainFailure } from './cli/exit.ts';
import { makeProgram } from './cli/program.ts';

try {
  const args = process.argv.slice(2);
  const program = await makeProgram(args);
  await program.parseAsync(args, { from: 'user' });
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  else process.exitCode = explainFailure(error);
}
