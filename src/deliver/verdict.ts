/** What an answer over HTTP means for a delivery. Pure. */
import { type ErrorCode, fail, type PenstockError } from '../errors.ts';
import { LIMITS } from '../limits.ts';

/** What became of one attempt. */
export type Verdict =
  /** `reference`: its id in the other system, when that names one. */
  | { kind: 'delivered'; reference: string | null }
  /** Try again; `waitSeconds` when the other side said how long the whole destination is to be left alone. */
  | { kind: 'retry'; error: PenstockError; waitSeconds: number | null }
  /** It must not be sent there as things stand. The destination is left alone, and the attempt does not count. */
  | { kind: 'blocked'; error: PenstockError }
  /** Trying again with the same content is no use. */
  | { kind: 'dead'; error: PenstockError }
  /** The receiver wants nothing any more (410): the destination is switched off, the delivery waits. */
  | { kind: 'gone'; error: PenstockError };

export interface Answer {
  status: number;
  retryAfterSeconds: number | null;
  /** The first bytes of the body. */
  text: string;
}

/** By status alone (Standard Webhooks, "Delivery success and failure"; PagerDuty, "Response Codes & Retry Logic"). */
export function judgeStatus(answer: Answer, host: string): Verdict {
  const { status } = answer;
  if (status >= 200 && status < 300) return { kind: 'delivered', reference: null };
  const fields = { host, status };
  const said = answer.text.trim().slice(0, LIMITS.answerShownChars);
  const words = `${host} answered ${status}${said === '' ? '' : `: ${said}`}`;
  if (status === 410) return { kind: 'gone', error: fail('destination_gone', words, fields) };
  if (status === 429 || status === 503) {
    const waitSeconds = bounded(answer.retryAfterSeconds);
    return { kind: 'retry', error: fail('destination_busy', words, fields), waitSeconds };
  }
  if (status >= 300 && status < 400) {
    const message = `${host} answered ${status}, a redirect; redirects are not followed`;
    return { kind: 'retry', error: fail('destination_refused', message, fields), waitSeconds: null };
  }
  return { kind: 'retry', error: fail('destination_failed', words, fields), waitSeconds: null };
}

/** As {@link judgeStatus}, for APIs with which 400, 413 and 422 say that the content will never be taken. */
export function judgeStrictly(answer: Answer, host: string): Verdict {
  const verdict = judgeStatus(answer, host);
  if (verdict.kind !== 'retry' || ![400, 413, 422].includes(answer.status)) return verdict;
  const { message, fields } = verdict.error;
  return { kind: 'dead', error: fail('delivery_refused', message, fields) };
}

/** What lies with the message itself, and will not be otherwise. */
const OF_THE_MESSAGE: ErrorCode[] = [
  'raw_missing',
  'raw_corrupt',
  'mime_limit',
  'parse_failed',
  'parse_timeout',
  'parse_memory',
];

/** An attempt that got no answer. */
export function judgeError(error: PenstockError): Verdict {
  if (OF_THE_MESSAGE.includes(error.code)) return { kind: 'dead', error };
  if (error.code === 'egress_blocked' || error.code === 'key_missing') return { kind: 'blocked', error };
  return { kind: 'retry', error, waitSeconds: null };
}

/** A server may not put us off for ever. */
function bounded(seconds: number | null): number | null {
  return seconds === null ? null : Math.min(seconds, LIMITS.retryAfterSecondsMost);
}
