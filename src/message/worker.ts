/**
 * What a thread of the pool runs: loads the module that the pool was made for and calls its default export with
 * each task. Errors go back as data, because an error that is cloned loses its code and its fields.
 */
import { workerData } from 'node:worker_threads';
import { asPenstockError, type ErrorCode, type ErrorFields } from '../errors.ts';

export type WorkerAnswer =
  | { ok: true; result: unknown }
  | { ok: false; code: ErrorCode; message: string; fields: ErrorFields };

/** `begun` is set to 1 when the thread is ready for the task: from then on the task is to blame for the time. */
export interface WorkerTask {
  task: unknown;
  begun: Int32Array;
}

type Handler = (task: unknown) => unknown;

/**
 * The pool's library loads this by require(). Without this mark Node makes a facade of the module then, and a thread that
 * is ended at that moment takes the whole process with it: an assertion in Node's CreateRequiredModuleFacade.
 */
export const __esModule = true;

// From the start of the thread on, so that the first message does not wait for it.
const loading = import((workerData as { module: string }).module) as Promise<{ default: Handler }>;
// Awaited below; this only keeps a failure from being called unhandled meanwhile.
loading.catch(() => undefined);

export default async function answer({ task, begun }: WorkerTask): Promise<WorkerAnswer> {
  // A module that cannot be loaded is our fault and says nothing about the message.
  let stage: ErrorCode = 'internal';
  try {
    const { default: handler } = await loading;
    Atomics.store(begun, 0, 1);
    stage = 'parse_failed';
    return { ok: true, result: await handler(task) };
  } catch (thrown) {
    const { code, message, fields } = asPenstockError(thrown, stage);
    return { ok: false, code, message, fields };
  }
}
