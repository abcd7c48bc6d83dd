/**
 * The analysis thread for tests: a message may ask in a header field for what a hostile one would make a parser do.
 * Everything else is analysed as always.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import run, { type ThreadTask } from '../../src/process/thread.ts';

export const ODD_THREAD = import.meta.url;

/**
 * A message with this field hangs the thread, fills its memory, throws, waits until there is such a file, or hangs once
 * and makes the file. Threads whose URL has a query wait for another file: the query is the end of its name.
 */
export type Oddity = 'hang' | 'allocate' | 'throw' | `wait ${string}` | `once ${string}`;

export function oddMessage(subject: string, oddity: Oddity): Buffer {
  return Buffer.from(
    `From: Ann <ann@example.org>\r\nSubject: ${subject}\r\nX-Thread: ${oddity}\r\n\r\nHello.\r\n`,
  );
}

export default async function runOddly(task: ThreadTask): Promise<unknown> {
  if (task.kind === 'analyse') {
    for (const { raw } of task.messages) {
      const text = 'inline' in raw ? Buffer.from(raw.inline).toString('latin1') : '';
      await misbehave(/^X-Thread: (\w+) ?(.*)\r$/m.exec(text));
    }
  }
  return await run(task);
}

async function misbehave(wish: RegExpExecArray | null): Promise<void> {
  const [, oddity, argument] = wish ?? [];
  if (oddity === 'hang') for (;;);
  if (oddity === 'throw') throw new TypeError('the parser broke');
  if (oddity === 'allocate') {
    const hoard: unknown[] = [];
    for (;;) hoard.push(new Array(10_000).fill({}));
  }
  const file = `${argument}${new URL(import.meta.url).search}`;
  if (oddity === 'once' && !existsSync(file)) {
    writeFileSync(file, '');
    for (;;);
  }
  while (oddity === 'wait' && !existsSync(file)) await sleep(10);
}
