import { describe, expect, it } from 'vitest';
import { Turns } from '../../src/process/turns.ts';

describe('Turns', () => {
  it('runs one at a time for a key, in order, also after a failure, and side by side for other keys', async () => {
    const turns = new Turns();
    const log: string[] = [];
    const work =
      (name: string, fails = false) =>
      async () => {
        log.push(`${name} begins`);
        await new Promise((resolve) => setImmediate(resolve));
        log.push(`${name} ends`);
        if (fails) throw new Error(name);
        return name;
      };
    const all = await Promise.allSettled([
      turns.take(1, work('a', true)),
      turns.take(1, work('b')),
      turns.take(2, work('c')),
    ]);
    expect(all.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
    expect(log.filter((line) => !line.startsWith('c'))).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
    expect(log.indexOf('c begins')).toBeLessThan(log.indexOf('b begins'));
  });
});
