/** Reads a secret from standard input, so that it is in no process list and no shell history. */
import { fail } from '../errors.ts';

const MAX_CHARS = 100_000;

/** The first line. Fails with `validation_failed` when there is none. */
export async function readSecretFromStdin(): Promise<string> {
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    text += chunk;
    if (text.length > MAX_CHARS) break;
  }
  const line = text.split(/\r?\n/, 1)[0] ?? '';
  if (line === '') throw fail('validation_failed', 'Standard input has no secret on its first line.');
  return line;
}
