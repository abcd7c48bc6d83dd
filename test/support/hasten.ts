/** Clients that wait between two attempts as long as real servers want it, hastened until the end of the test file. */
import { onCleanup } from './cleanup.ts';

export function hasten(options: { readonly retryMs: number }): void {
  const { retryMs } = options;
  Object.assign(options, { retryMs: 20 });
  onCleanup(() => void Object.assign(options, { retryMs }));
}
