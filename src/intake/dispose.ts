/**
 * Brings the server up to date with what is safe here: marks, moves or deletes. Driven by ledger rows alone, so
 * a crash between commit and effect leaves nothing undone, and a repeat does no harm.
 */
import { asPenstockError, type PenstockError } from '../errors.ts';
import { crashPoint } from '../lab/crash-point.ts';
import { LIMITS } from '../limits.ts';
import type { Session } from '../source/source.ts';
import { type DispositionResult, dueDispositions, saveDispositions } from '../store/ledger.ts';
import type { HeldMailbox, IntakeContext } from './context.ts';

const BATCH = 500;
const RETRY_SECONDS = [5, 30, 120, 600, 3_600];

/**
 * Carries out what is due in the open folder, one batch. Returns how many rows were looked at; a full batch
 * means there may be more. Errors of single messages are recorded; a dead session fails the call.
 */
export async function disposeDue(
  context: IntakeContext,
  held: HeldMailbox,
  session: Session,
  folder: { id: number; epoch: string },
): Promise<number> {
  const { mailbox, leaseToken } = held;
  const { after, afterFolder } = mailbox.settings;
  if (after === 'leave') return 0;
  const due = await dueDispositions(context.db, folder.id, folder.epoch, BATCH);
  if (due.length === 0) return 0;
  const answers = await session.dispose(
    due.map((row) => row.key),
    after,
    afterFolder,
  );
  crashPoint('after-disposition');
  const results = due.map((row) => judge(row, answers.get(row.key) ?? new Error('no answer')));
  await saveDispositions(
    context.db,
    mailbox.id,
    leaseToken,
    after,
    after === 'move' || after === 'delete',
    results,
  );
  crashPoint('after-disposition-record');
  report(context, mailbox.id, after, results, answers);
  return due.length;
}

function judge(row: { id: number; attempts: number }, answer: 'done' | 'gone' | Error): DispositionResult {
  if (answer === 'done' || answer === 'gone')
    return { id: row.id, result: answer, error: null, retryInSeconds: 0 };
  const final = row.attempts + 1 >= LIMITS.dispositionAttempts;
  return {
    id: row.id,
    result: final ? 'failed' : 'pending',
    error: answer.message,
    retryInSeconds: RETRY_SECONDS[Math.min(row.attempts, RETRY_SECONDS.length - 1)]!,
  };
}

function report(
  context: IntakeContext,
  mailbox: number,
  what: string,
  results: DispositionResult[],
  answers: Map<string, 'done' | 'gone' | PenstockError>,
): void {
  const done = results.filter((row) => row.result === 'done').length;
  const gone = results.filter((row) => row.result === 'gone').length;
  if (done + gone > 0) context.events.emit('disposition.done', { mailbox, what, done, gone });
  const failed = [...answers.values()].find((answer) => typeof answer !== 'string');
  if (failed === undefined) return;
  const { code, message } = asPenstockError(failed);
  context.events.emit('disposition.failed', {
    mailbox,
    what,
    failed: results.length - done - gone,
    code,
    message,
  });
}
