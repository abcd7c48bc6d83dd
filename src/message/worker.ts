import { asPenstockError, type ErrorCode, type ErrorFields } from '../errors.ts';

/** What a worker thread answers. Errors cross as data, because a cloned error loses its code and fields. */
export type WorkerAnswer<Result> =
  | { ok: true; result: Result }
  | { ok: false; code: ErrorCode; message: string; fields: ErrorFields };

/**
 * Makes the default export of a worker file from a handler: `export default serve(async (task) => ...)`. The file
 * is given to `createAnalysisPool`. Errors that are not ours become `parse_failed`.
 */
export function serve<Task, Result>(
  handler: (task: Task) => Promise<Result> | Result,
): (task: Task) => Promise<WorkerAnswer<Result>> {
  return async (task) => {
    try {
      return { ok: true, result: await handler(task) };
    } catch (thrown) {
      const { code, message, fields } = asPenstockError(thrown, 'parse_failed');
      return { ok: false, code, message, fields };
    }
  };
}

/**
 * The URL of a module beside another one, with the ending that this one has: `.ts` when the daemon runs from
 * source, `.js` from dist. Call it with `import.meta.url` and a name without ending, such as `./worker`.
 */
export function siblingModule(base: string, name: string): URL {
  return new URL(`${name}${base.endsWith('.ts') ? '.ts' : '.js'}`, base);
}
