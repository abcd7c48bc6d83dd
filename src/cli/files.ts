/** Files that are named on the command line. */
import { readFile } from 'node:fs/promises';
import { fail } from '../errors.ts';

/** Fails with `validation_failed`, naming the file. */
export async function readGivenFile(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw fail('validation_failed', `${path} cannot be read: ${code ?? 'unknown error'}.`, { path }, error);
  }
}

/** Fails with `validation_failed`, naming the file. */
export async function readGivenJson(path: string): Promise<unknown> {
  const text = (await readGivenFile(path)).toString('utf8');
  try {
    return JSON.parse(text);
  } catch (error) {
    throw fail('validation_failed', `${path} is not JSON: ${(error as Error).message}.`, { path }, error);
  }
}
