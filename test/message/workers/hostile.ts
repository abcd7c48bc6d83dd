import { fail } from '../../../src/errors.ts';

/** A worker module that does what a hostile message would make a parser do. */
export default function hostile(task: { do: string; value?: unknown }): unknown {
  switch (task.do) {
    case 'hang':
      for (;;);
    case 'sleep':
      return new Promise(() => setInterval(() => {}, 1_000));
    case 'allocate': {
      const hoard: unknown[] = [];
      for (;;) hoard.push(new Array(10_000).fill({}));
    }
    case 'throw':
      throw new TypeError('the parser broke');
    case 'throw-ours':
      throw fail('mime_limit', 'too deep', { limit: 'mimeDepth' });
    case 'throw-later':
      return new Promise(() => {
        setTimeout(() => {
          throw new Error('nobody catches this');
        }, 10);
      });
    case 'exit':
      return process.exit(3);
    case 'unclonable':
      return () => {};
    default:
      return task.value;
  }
}
