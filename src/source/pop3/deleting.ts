/** Deletes messages for good: DELE for each, then QUIT, whose +OK alone says that it happened (RFC 1939 section 6). */
import { fail } from '../../errors.ts';
import type { Disposed } from '../source.ts';
import type { Commands } from './commands.ts';
import { commandError } from './errors.ts';
import type { Named } from './keys.ts';

/**
 * Deletes `messages` and ends the session; with none there is nothing to end it for. When the answer to QUIT is lost
 * this fails as a whole: nobody knows then what is left, and the next session sees.
 */
export async function deleteMessages(
  commands: Commands,
  messages: readonly Named[],
  results: Map<string, Disposed>,
): Promise<void> {
  if (messages.length === 0) return;
  const marked: string[] = [];
  let at = 0;
  for await (const reply of commands.markDeleted(messages.map(({ number }) => number))) {
    const { key } = messages[at] as Named;
    at += 1;
    if (reply.status === 'ok') marked.push(key);
    else results.set(key, commandError(reply, 'DELE'));
  }
  const { link } = commands;
  const reply = await commands.quit(link.options.quitMs);
  link.end(fail('connection_lost', 'The session ended with its deletions'));
  // Some of them may be gone, and nothing says which.
  const outcome = reply.status === 'ok' ? 'done' : commandError(reply, 'QUIT');
  for (const key of marked) results.set(key, outcome);
}
