/** Exit codes that scripts can use, and how a failure is told. */
import { asPenstockError } from '../errors.ts';

export const EXIT = {
  ok: 0,
  /** The command worked and the answer is no: unaccounted mail, a failed test, an unhealthy part. */
  negative: 1,
  /** Wrong arguments, settings or data. */
  usage: 2,
  /** Something is away or busy; the same command may work later. */
  temporary: 3,
} as const;

/** Prints an error with what to do about it. Returns the exit code. */
export function explainFailure(thrown: unknown): number {
  const error = asPenstockError(thrown);
  process.stderr.write(`penstock: ${error.message}\n`);
  if (error.code === 'internal')
    process.stderr.write(`${error.cause instanceof Error ? (error.cause.stack ?? '') : ''}\n`);
  else process.stderr.write(`  ${error.hint} (${error.code})\n`);
  return error.temporary ? EXIT.temporary : EXIT.usage;
}
