/**
 * What an answer of the Gmail API means. Pure. The reason decides, not the status: 403 is a limit that passes, a scope
 * that is missing, or an API that nobody switched on.
 */
import { type ErrorCode, fail, type PenstockError } from '../../errors.ts';

/** What the API said. */
export interface ApiAnswer {
  status: number;
  /** `errors[].reason`, and the reasons of `details`. */
  reasons: readonly string[];
  message: string;
  retryAfterMs: number | null;
}

/** A limit that lasts: the quota of a day. */
const HOUR_MS = 3_600_000;
const TEXT_LENGTH = 300;

type Meaning = readonly [code: ErrorCode, message: string];

const LIMIT: Meaning = ['server_busy', 'Gmail limits us'];
const DAY_LIMIT: Meaning = ['server_busy', 'The quota of the day is used up'];
const NO_API: Meaning = ['consent_needed', 'The Gmail API is not enabled in the project of the application'];
const NO_SCOPE: Meaning = [
  'consent_needed',
  'The token lacks a scope: https://www.googleapis.com/auth/gmail.modify is needed',
];

/** By reason, whatever the status. */
const REASONS: Readonly<Record<string, Meaning>> = {
  rateLimitExceeded: LIMIT,
  userRateLimitExceeded: LIMIT,
  RATE_LIMIT_EXCEEDED: LIMIT,
  dailyLimitExceeded: DAY_LIMIT,
  quotaExceeded: DAY_LIMIT,
  dailyLimitExceededUnreg: ['consent_needed', 'The request carries no token of a project'],
  accessNotConfigured: NO_API,
  SERVICE_DISABLED: NO_API,
  insufficientPermissions: NO_SCOPE,
  ACCESS_TOKEN_SCOPE_INSUFFICIENT: NO_SCOPE,
  domainPolicy: ['consent_needed', 'The administrator of the domain does not let applications into Gmail'],
  authError: ['auth_failed', 'Gmail refused the token'],
  CREDENTIALS_MISSING: ['auth_failed', 'Gmail refused the token'],
};

export function gmailError(answer: ApiAnswer, method: string): PenstockError {
  const { status, reasons, retryAfterMs } = answer;
  const said = answer.message.replace(/\p{Cc}/gu, ' ').slice(0, TEXT_LENGTH);
  const fields = { method, status, reason: reasons.join(' '), server: said };
  const [code, message] = meaningOf(answer);
  const isDay = message === DAY_LIMIT[1];
  const backoffMs = code === 'server_busy' ? Math.max(retryAfterMs ?? 0, isDay ? HOUR_MS : 0) : undefined;
  return fail(code, said === '' ? message : `${message} (${said})`, { ...fields, backoffMs });
}

function meaningOf({ status, reasons, message, retryAfterMs }: ApiAnswer): Meaning {
  for (const reason of reasons) if (Object.hasOwn(REASONS, reason)) return REASONS[reason]!;
  if (status === 429) return LIMIT;
  if (status === 401) return ['auth_failed', 'Gmail refused the token'];
  if (/delegation denied/i.test(message))
    return ['auth_failed', 'The token is of another account than the mailbox'];
  if (/mail service not enabled/i.test(message)) return ['auth_failed', 'The account has no Gmail mailbox'];
  // Asked for a message by an id that cannot be one.
  if (status === 404 || (status === 400 && /invalid id value/i.test(message))) {
    return ['message_gone', 'Gmail does not have this'];
  }
  if (status === 400 && /invalid label/i.test(message)) return ['folder_missing', 'The label does not exist'];
  if (status === 409) return ['conflict', 'It is there already, or is being changed by somebody else'];
  if (status === 403) return ['consent_needed', 'Gmail does not allow this'];
  if (status === 503 && retryAfterMs !== null) return ['server_busy', 'Gmail is busy'];
  return ['server_protocol', `Gmail answered with status ${status}`];
}

/** Reads an error in any of the shapes that the API has. */
export function readApiError(status: number, data: unknown, retryAfterMs: number | null): ApiAnswer {
  const body = typeof data === 'string' ? parse(data) : data;
  const error = property(body, 'error');
  const reasons = [...list(property(error, 'errors')), ...list(property(error, 'details'))]
    .map((one) => property(one, 'reason'))
    .filter((reason) => typeof reason === 'string');
  const message = property(error, 'message') ?? error;
  return { status, reasons, message: typeof message === 'string' ? message : '', retryAfterMs };
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
