/**
 * Named points of the pipe where the crash tests end the process as a power cut would. Nothing happens unless
 * PENSTOCK_CRASH_AT names the point; PENSTOCK_CRASH_AFTER says at which passage (default: the first).
 */
export const CRASH_POINTS = [
  'after-fetch',
  'after-raw-write',
  'before-commit',
  'after-commit',
  'after-enqueue',
  'after-disposition',
  'after-disposition-record',
  'after-claim',
  'after-analysis',
  'before-result-commit',
  'after-result-commit',
] as const;
/** The same on the way out of mail. */
export const SENDING_CRASH_POINTS = ['after-outgoing-claim', 'after-handover', 'after-send'] as const;
export type CrashPoint = (typeof CRASH_POINTS)[number] | (typeof SENDING_CRASH_POINTS)[number];
/** Those of the way out, where nothing happens without a destination. */
export type DeliveryCrashPoint = 'after-delivery-claim' | 'after-delivery';

let passagesLeft = Number(process.env.PENSTOCK_CRASH_AFTER ?? 1);

export function crashPoint(point: CrashPoint | DeliveryCrashPoint): void {
  if (process.env.PENSTOCK_CRASH_AT !== point) return;
  passagesLeft -= 1;
  if (passagesLeft <= 0) process.kill(process.pid, 'SIGKILL');
}
