/**
 * Sends messages through the analysis threads. A batch that dies with its thread is repeated one by one, so that
 * only the message that did it pays.
 */
import { asPenstockError, type PenstockError } from '../errors.ts';
import type { Analysis, AnalysisAnswer, AnalysisFailure, AnalysisTask } from './analysis.ts';
import type { CachedRules } from './rule-cache.ts';

/** Runs one task in a thread, bounded in time and memory. Fails with `parse_timeout`, `parse_memory`, `parse_failed`. */
export interface AnalysisPool {
  run(task: AnalysisTask, timeoutMs: number): Promise<AnalysisAnswer>;
}

export interface Timeouts {
  /** For one message, plus so much for each megabyte. */
  messageMs: number;
  perMegabyteMs: number;
}

export type MessageTask = Omit<AnalysisTask, 'rules' | 'rulesVersion'> & { sizes: Map<number, number> };

/** Analyses each message alone. Answers for every one; never fails. `onEach` is told before each. */
export async function analyseEach(
  pool: AnalysisPool,
  task: MessageTask,
  rules: CachedRules,
  timeouts: Timeouts,
  onEach: () => Promise<void>,
): Promise<(Analysis | AnalysisFailure)[]> {
  const results: (Analysis | AnalysisFailure)[] = [];
  for (const message of task.messages) {
    await onEach();
    try {
      results.push(...(await runTask(pool, { ...task, messages: [message] }, rules, timeouts)));
    } catch (thrown) {
      const error: PenstockError = asPenstockError(thrown, 'parse_failed');
      results.push({ id: message.id, code: error.code, message: error.message });
    }
  }
  return results;
}

/** Analyses a batch in one go. Fails when its thread dies; then use {@link analyseEach}. */
export async function runTask(
  pool: AnalysisPool,
  task: MessageTask,
  rules: CachedRules,
  timeouts: Timeouts,
): Promise<(Analysis | AnalysisFailure)[]> {
  const { sizes, ...rest } = task;
  const bytes = task.messages.reduce((sum, message) => sum + (sizes.get(message.id) ?? 0), 0);
  // A batch gets no more time than one message may take: a batch that needs it all has a slow one among it.
  const timeoutMs = timeouts.messageMs + (bytes / 1_048_576) * timeouts.perMegabyteMs;
  const withRules = { ...rest, rulesVersion: rules.version, rules: null };
  const answer = await pool.run(withRules, timeoutMs);
  if (!answer.needRules) return answer.results;
  const again = await pool.run({ ...withRules, rules: rules.rules }, timeoutMs);
  if (again.needRules) throw new Error('the thread asked for rules that it was given');
  return again.results;
}
