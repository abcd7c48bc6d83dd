import { expect, it } from 'vitest';
import { JoinedWrites } from '../../src/api/http/joined-writes.ts';

/** Writes that end when the test says so. */
function held(most = 100) {
  const batches: { items: number[]; end: PromiseWithResolvers<void> }[] = [];
  const writes = new JoinedWrites<number>(async (items) => {
    const end = Promise.withResolvers<void>();
    batches.push({ items, end });
    await end.promise;
  }, most);
  return { batches, writes };
}

it('joins what comes in while a write is under way', async () => {
  const { batches, writes } = held();
  const added = [writes.add([1]), writes.add([2, 3]), writes.add([4])];
  expect(batches.map(({ items }) => items)).toEqual([[1]]);
  batches[0]!.end.resolve();
  await added[0];
  expect(batches.map(({ items }) => items)).toEqual([[1], [2, 3, 4]]);
  batches[1]!.end.resolve();
  await Promise.all(added);
  await writes.add([]);
  expect(batches).toHaveLength(2);
});

it('fails all of a write that fails, and goes on', async () => {
  const { batches, writes } = held();
  const first = writes.add([1]);
  const second = Promise.all([writes.add([2]), writes.add([3])]);
  batches[0]!.end.reject(new Error('no'));
  await expect(first).rejects.toThrow('no');
  batches[1]!.end.resolve();
  await second;
});

it('takes no more than can wait', async () => {
  const { batches, writes } = held(3);
  const first = writes.add([1]);
  const waiting = writes.add([2, 3, 4]);
  await expect(writes.add([5])).rejects.toMatchObject({ code: 'overloaded' });
  batches[0]!.end.resolve();
  await first;
  batches[1]!.end.resolve();
  await waiting;
});
