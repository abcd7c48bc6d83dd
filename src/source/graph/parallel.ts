/** Runs `work` for each value, at most `width` at a time, and yields the results in the order of the values. */
export async function* inParallel<T, R>(
  values: readonly T[],
  width: number,
  work: (value: T) => Promise<R>,
): AsyncGenerator<R> {
  const running: Promise<R>[] = [];
  let next = 0;
  for (let done = 0; done < values.length; done += 1) {
    while (next < values.length && running.length < width) {
      const result = work(values[next] as T);
      // Awaited below, unless an earlier one fails; then this one must not end as an unhandled rejection.
      result.catch(() => undefined);
      running.push(result);
      next += 1;
    }
    yield await (running.shift() as Promise<R>);
  }
}
