/** A command line from its arguments to its exit code. */
import { CommanderError } from 'commander';
import { EXIT, explainFailure } from './exit.ts';
import { makeProgram } from './program.ts';

/** Runs the command and tells its failure. The exit code is in `process.exitCode`. */
export async function runCommandLine(args: readonly string[]): Promise<void> {
  try {
    const program = await makeProgram(args);
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    else process.exitCode = explainFailure(error);
  }
}
