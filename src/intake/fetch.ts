/** Turns listed messages into items that are ready to be committed: bytes, or the reason why there are none. */
import { Readable } from 'node:stream';
import { asPenstockError, type ErrorCode, PenstockError } from '../errors.ts';
import { crashPoint } from '../lab/crash-point.ts';
import { LIMITS } from '../limits.ts';
import type { RawStore } from '../raw/raw-store.ts';
import type { Listed, Session } from '../source/source.ts';
import type { IntakeItem } from '../store/intake.ts';
import { REFUSALS } from './backoff.ts';
import { decide, type TakePolicy } from './decide.ts';

export interface FetchOptions {
  policy: TakePolicy;
  /** How often each was tried before. */
  attempts: number;
  onFailure(failure: FetchFailure): void;
  /** Told whenever bytes have come: a large message may take longer than a stalled session is given. */
  onProgress(): void;
}

export interface FetchFailure {
  key: string;
  error: PenstockError;
  attempts: number;
  final: boolean;
}

/** Errors after which the session is dead: they concern all messages, not one. */
const SESSION_ERRORS: ReadonlySet<ErrorCode> = new Set([
  ...REFUSALS,
  'dns_failed',
  'connect_failed',
  'connect_timeout',
  'tls_failed',
  'connection_lost',
  'stalled',
  'server_busy',
  'folder_changed',
  'internal',
]);

/** Spacing of repeated fetches of one message, in seconds. */
const RETRY_SECONDS = [5, 60, 600, 3_600];

/** When a fetch is tried again that was tried so often before. */
export function fetchRetrySeconds(attempts: number): number {
  return RETRY_SECONDS[Math.min(attempts, RETRY_SECONDS.length - 1)]!;
}

/**
 * Fetches what the policy takes. A message that the server cannot deliver costs only itself; a dead session, or
 * bytes that cannot be written here, fails the whole call and nothing of it is recorded.
 */
export async function fetchListed(
  session: Session,
  raw: RawStore,
  listed: readonly Listed[],
  options: FetchOptions,
): Promise<IntakeItem[]> {
  const { policy, onProgress } = options;
  const results = new Map<string, IntakeItem['result']>();
  const taken: Listed[] = [];
  for (const item of listed) {
    const decision = decide(item, policy);
    if (decision.take) taken.push(item);
    else results.set(item.key, { state: decision.state, reason: decision.reason });
  }
  const failed = new Map<string, PenstockError>();
  const large = taken.filter((item) => item.size > LIMITS.inlineRawBytes).map((item) => item.key);
  const small = taken.filter((item) => item.size <= LIMITS.inlineRawBytes).map((item) => item.key);

  if (small.length > 0) {
    // Servers lie about sizes: what turns out to be larger is asked for again, as a stream that knows the limit.
    const maxBytes = Math.min(LIMITS.inlineRawBytes, policy.maxMessageBytes);
    for await (const answer of session.fetch(small, maxBytes)) {
      onProgress();
      if ('bytes' in answer) results.set(answer.key, { state: 'stored', raw: await raw.put(answer.bytes) });
      else if ('tooLarge' in answer) large.push(answer.key);
      else failed.set(answer.key, answer.error);
    }
  }
  for (const key of large) {
    try {
      const stream = watched(await session.stream(key, policy.maxMessageBytes), onProgress);
      results.set(key, { state: 'stored', raw: await raw.putStream(stream, policy.maxMessageBytes) });
      crashPoint('after-raw-write');
    } catch (error) {
      // What is no error of ours comes from the disk, and is no fault of the message.
      if (!(error instanceof PenstockError) || SESSION_ERRORS.has(error.code)) throw error;
      if (error.code === 'message_oversized') results.set(key, { state: 'oversized', reason: error.message });
      else failed.set(key, error);
    }
  }
  crashPoint('after-fetch');
  await explainMissing(session, taken, results, failed, options);
  return listed.map((item) => ({ ...item, result: results.get(item.key)! }));
}

/** A message without bytes is gone only when the server says so; else it is tried again, then set aside. */
async function explainMissing(
  session: Session,
  taken: Listed[],
  results: Map<string, IntakeItem['result']>,
  failed: Map<string, PenstockError>,
  { attempts, onFailure }: FetchOptions,
): Promise<void> {
  const missing = taken.filter((item) => !results.has(item.key)).map((item) => item.key);
  if (missing.length === 0) return;
  const existing = await session.existing(missing);
  for (const key of missing) {
    if (!existing.has(key)) {
      results.set(key, { state: 'gone', reason: 'left the server before it was fetched' });
      continue;
    }
    const error = failed.get(key) ?? asPenstockError(new Error('the server sent nothing'), 'fetch_failed');
    const tried = attempts + 1;
    const final = tried >= LIMITS.fetchAttempts;
    onFailure({ key, error, attempts: tried, final });
    const reason = `${error.code}: ${error.message}`;
    const retryInSeconds = fetchRetrySeconds(attempts);
    results.set(
      key,
      final
        ? { state: 'fetch_failed', reason }
        : { state: 'pending', reason, attempts: tried, retryInSeconds },
    );
  }
}

function watched(stream: Readable, onProgress: () => void): Readable {
  const chunks = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      onProgress();
      yield chunk;
    }
  };
  return Readable.from(chunks(), { objectMode: false });
}
