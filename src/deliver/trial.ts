/** Tries a destination for a person, and says what to change when it does not work. */
import { randomUUID } from 'node:crypto';
import { asPenstockError, type ErrorCode } from '../errors.ts';
import type { Destination } from '../store/destinations.ts';
import { judgeError, type Verdict } from './verdict.ts';

export interface TestResult {
  ok: boolean;
  code: ErrorCode | null;
  message: string;
  advice: string | null;
}

/** `send` makes the attempt: see `Sender.test`. Never fails. */
export async function testDestination(
  destination: Destination,
  send: (destination: Destination, messageId: string) => Promise<Verdict>,
): Promise<TestResult> {
  const messageId = `msg_${randomUUID().replaceAll('-', '')}`;
  const verdict = await send(destination, messageId).catch((thrown: unknown) =>
    judgeError(asPenstockError(thrown)),
  );
  if (verdict.kind === 'delivered') {
    const message = destination.kind === 'halo' ? 'It gave a token.' : `It took the test ${messageId}.`;
    return { ok: true, code: null, message, advice: null };
  }
  const { code, message, hint } = verdict.error;
  return { ok: false, code, message, advice: hint };
}
