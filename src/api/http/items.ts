import { atItem } from './problem.ts';

/** Works through the items of a POST in order; the first bad one fails the whole, and its index is named. */
export async function eachItem<I, R>(items: I[], work: (item: I) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const [index, item] of items.entries()) {
    try {
      results.push(await work(item));
    } catch (error) {
      throw atItem(error, index);
    }
  }
  return results;
}

/** Ids of the records that a POST is about; new ones have none. */
export function idsOf(items: readonly { id?: number | null }[]): number[] {
  return items.flatMap(({ id }) => id || []);
}
