/** Commands of `penstock` within the process of the test: the same code as the program's, without its start of a second. */
import { Readable } from 'node:stream';
import { vi } from 'vitest';
import { runCommandLine } from '../../src/cli/run.ts';
import { cleanEnvironment, type Finished, type StartOptions } from './process.ts';

/**
 * As `runPenstock` (process.ts), which is for what only a program shows: that it ends, and that it finds its arguments,
 * its input and its terminal.
 */
export async function runCommand(
  args: string[],
  { env = {}, cwd, input = '' }: Pick<StartOptions, 'env' | 'cwd' | 'input'> = {},
): Promise<Finished> {
  const told = { stdout: '', stderr: '' };
  const before = { env: process.env, cwd: process.cwd() };
  const writers = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((part) => {
      told[name] += String(part);
      return true;
    }),
  );
  const reader = vi
    .spyOn(process, 'stdin', 'get')
    .mockReturnValue(Readable.from([input]) as typeof process.stdin);
  process.env = { ...cleanEnvironment(), ...env };
  if (cwd !== undefined) process.chdir(cwd);
  process.exitCode = 0;
  try {
    await runCommandLine(args);
    const code = Number(process.exitCode);
    return { ...told, code, signal: null, output: `${told.stdout}${told.stderr}` };
  } finally {
    process.exitCode = 0;
    process.chdir(before.cwd);
    process.env = before.env;
    for (const spy of [...writers, reader]) spy.mockRestore();
  }
}
