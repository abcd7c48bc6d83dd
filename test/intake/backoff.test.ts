import { describe, expect, it } from 'vitest';
import { type ErrorCode, fail } from '../../src/errors.ts';
import { type BackoffState, backOff, NO_FAILURES } from '../../src/intake/backoff.ts';

const MINUTE = 60_000;
const error = (code: ErrorCode, fields = {}) => fail(code, 'x', fields);

/** The waits of `count` failures in a row, each after a session that lived `livedMs`. */
function waits(code: ErrorCode, count: number, livedMs = 0, random = 0.999): number[] {
  let state: BackoffState = NO_FAILURES;
  return Array.from({ length: count }, () => {
    const next = backOff(state, error(code), livedMs, random);
    state = next.state;
    return next.waitMs;
  });
}

describe('backOff', () => {
  it('doubles from a second to five minutes when the network fails', () => {
    const seconds = waits('connect_failed', 12).map((ms) => Math.round(ms / 1000));
    expect(seconds).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
  });

  it('spreads each wait over at least half of it', () => {
    expect(waits('connect_failed', 4, 0, 0)).toEqual([500, 1_000, 2_000, 4_000]);
  });

  it('T4b.2 keeps growing when a server accepts the login and then drops, however often', () => {
    const all = waits('connection_lost', 60, 2_000, 0);
    expect(all.at(-1)).toBeGreaterThanOrEqual(2.5 * MINUTE);
    const loginsInTenMinutes = all.filter(
      (_, n) => all.slice(0, n).reduce((sum, ms) => sum + ms, 0) < 10 * MINUTE,
    );
    expect(loginsInTenMinutes.length).toBeLessThan(15);
  });

  it('starts again from a second after a session that lived five minutes', () => {
    const { state } = backOff({ failures: 9, refusals: 0 }, error('connection_lost'), 5 * MINUTE, 0.5);
    expect(state.failures).toBe(1);
  });

  it('T17.1 waits at least as long as the server asked', () => {
    for (const random of [0, 0.5, 0.99]) {
      const { waitMs } = backOff(NO_FAILURES, error('server_busy', { backoffMs: 300_000 }), 0, random);
      expect(waitMs).toBeGreaterThanOrEqual(300_000);
    }
  });

  it('T17.3 falls to one login an hour after three refusals, and asks for a person', () => {
    let state: BackoffState = NO_FAILURES;
    const steps = Array.from({ length: 50 }, () => {
      const step = backOff(state, error('auth_failed'), 0, 0);
      state = step.state;
      return step;
    });
    expect(steps.map((step) => step.blocked).slice(0, 4)).toEqual([false, false, true, true]);
    for (const step of steps.slice(2)) expect(step.waitMs).toBeGreaterThanOrEqual(60 * MINUTE);
  });

  it.each<ErrorCode>([
    'sign_in_needed',
    'consent_needed',
    'credential_expired',
    'credential_refused',
    'application_unknown',
    'token_request_refused',
  ])('T5.3 asks for a person at once when tokens are refused with %s', (code) => {
    const { blocked, waitMs } = backOff(NO_FAILURES, error(code), 0, 0);
    expect(blocked).toBe(true);
    expect(waitMs).toBeGreaterThanOrEqual(2.5 * MINUTE);
  });

  it.each<ErrorCode>(['permission_denied', 'mailbox_missing'])(
    'T17.3 falls to one attempt an hour after three refusals with %s',
    (code) => {
      const all = waits(code, 5, 0, 0);
      expect(all.slice(0, 2).every((ms) => ms < MINUTE)).toBe(true);
      expect(all.slice(2).every((ms) => ms >= 60 * MINUTE)).toBe(true);
    },
  );

  it('forgets refusals when a login worked', () => {
    expect(backOff({ failures: 2, refusals: 2 }, error('connection_lost'), 1_000, 0).state.refusals).toBe(0);
  });

  it('does not hammer when the error will not go away by itself', () => {
    expect(backOff(NO_FAILURES, error('tls_failed'), 1_000, 0).waitMs).toBeGreaterThanOrEqual(2.5 * MINUTE);
  });
});
