/** Several calls at once, their answers as they come. */

/**
 * Runs `work` for each item, at most `atOnce` at a time, and yields what it gives in the order in which it is ready. The
 * first failure ends it; what is on its way then is waited for, so that nothing goes on behind the caller's back.
 */
export async function* eachOf<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const running = new Map<number, Promise<{ index: number; result: R }>>();
  let next = 0;
  try {
    while (next < items.length || running.size > 0) {
      while (next < items.length && running.size < atOnce) {
        const index = next;
        next += 1;
        const one = work(items[index]!).then((result) => ({ index, result }));
        // Awaited below; this only keeps a failure from being called unhandled before.
        one.catch(() => undefined);
        running.set(index, one);
      }
      const { index, result } = await Promise.race(running.values());
      running.delete(index);
      yield result;
    }
  } finally {
    await Promise.allSettled(running.values());
  }
}

/** The same, all answers in the order of the items. */
export async function allOf<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = Array.from({ length: items.length });
  const indexes = items.map((_item, index) => index);
  const run = async (index: number): Promise<void> => {
    results[index] = await work(items[index]!);
  };
  for await (const _done of eachOf(indexes, atOnce, run));
  return results;
}
