import { describe, expect, it } from 'vitest';
import { fail } from '../../src/errors.ts';
import { afterFailure, errorFingerprint } from '../../src/process/retry.ts';

describe('afterFailure', () => {
  it('tries a passing error after 1 and 5 minutes, then sets the message aside', () => {
    const error = fail('database_unavailable', 'x');
    expect([1, 2, 3].map((attempts) => afterFailure(error, attempts, 0.5))).toEqual([
      { retryInSeconds: 60, retryRemaining: 2 },
      { retryInSeconds: 300, retryRemaining: 1 },
      { retryInSeconds: null, retryRemaining: 0 },
    ]);
  });

  it('sets a message aside at once when the error lasts', () => {
    expect(afterFailure(fail('mime_limit', 'x'), 1, 0.5).retryInSeconds).toBeNull();
  });
});

describe('errorFingerprint', () => {
  it('is the same for the same fault in different messages', () => {
    const one = errorFingerprint('parse_timeout', 'parse', 'took 10012 ms for message 4711');
    expect(errorFingerprint('parse_timeout', 'parse', 'took 10007 ms for message 12')).toBe(one);
    expect(errorFingerprint('parse_failed', 'parse', 'took 10007 ms for message 12')).not.toBe(one);
  });
});
