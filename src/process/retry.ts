/** What follows a failed attempt. Pure. */
import { createHash } from 'node:crypto';
import type { PenstockError } from '../errors.ts';
import { LIMITS } from '../limits.ts';

/** Halo's three attempts (halo-api.md 6.3): after 1, 5 and 30 minutes, spread. */
const RETRY_SECONDS = [60, 300, 1_800];

export interface NextStep {
  /** Null = quarantine. */
  retryInSeconds: number | null;
  retryRemaining: number;
}

/** `attempts` counts the one that just failed. An error that lasts is not tried again. */
export function afterFailure(
  error: Pick<PenstockError, 'temporary'>,
  attempts: number,
  random: number,
): NextStep {
  const retryRemaining = Math.max(0, LIMITS.processingAttempts - attempts);
  if (!error.temporary || retryRemaining === 0) return { retryInSeconds: null, retryRemaining };
  const base = RETRY_SECONDS[Math.min(attempts, RETRY_SECONDS.length) - 1]!;
  return { retryInSeconds: base * (0.9 + random * 0.2), retryRemaining };
}

/** Groups failures of the same kind: code, stage and the message without what differs from mail to mail. */
export function errorFingerprint(code: string, stage: string, message: string): string {
  const shape = message.replace(/[0-9a-f]{8,}/gi, '#').replace(/\d+/g, '#');
  return createHash('sha256').update(`${code}\n${stage}\n${shape}`).digest('hex').slice(0, 16);
}
