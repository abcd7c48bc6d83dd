/**
 * What a thread of the pool runs: loads the module that the pool was made for and calls its default export with
 * each task. Errors go back as data, because an error that is cloned loses its code and its fields.
 */
import { workerData } from 'node:worker_threads';
import { asPenstockError, type ErrorCode, type ErrorFields } from '../errors.ts';

export type WorkerAnswer =
  | { ok: true; result: unknown }
  | { ok: false; code: ErrorCode; message: string; fields: ErrorFields };

type Handler = (task: unknown) => unknown;

// From the start of the thread on, so that the first message does not wait for it.
const loading = import((workerData as { module: string }).module) as Promise<{ default: Handler }>;
// Awaited below; this only keeps a failure from being called unhandled meanwhile.
loading.catch(() => undefined);

export default async function answer(task: unknown): Promise<WorkerAnswer> {
  // A module that cannot be loaded is our fault and says nothing about the message.
  let stage: ErrorCode = 'internal';
  try {
    const { default: handler } = await loading;
    stage = 'parse_failed';
    return { ok: true, result: await handler(task) };
  } catch (thrown) {
    const { code, message, fields } = asPenstockError(thrown, stage);
    return { ok: false, code, message, fields };
  }
}
