/** How late the event loop is: what `/health/live` is decided from. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { judgeLiveness } from './health.ts';

/** Starts to measure. Each question is about the time since the one before. */
export function createLiveness(): () => { live: boolean; reason: string } {
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  return () => {
    const lagMs = delay.max / 1e6;
    delay.reset();
    return judgeLiveness(lagMs);
  };
}
