/**
 * Brings the server up to date with what is safe here: marks, moves or deletes. Driven by ledger rows alone, so
 * a crash between commit and effect leaves nothing undone, and a repeat does no harm.
 */
import { asPenstockError, fail, type PenstockError } from '../errors.ts';
import { crashPoint } from '../lab/crash-point.ts';
import { LIMITS } from '../limits.ts';
import type { Session } from '../source/source.ts';
import {
  type DispositionResult,
  type DueDisposition,
  dueDispositions,
  noteDispositionAttempts,
  saveDispositions,
} from '../store/ledger.ts';
import type { HeldMailbox, IntakeContext } from './context.ts';

const BATCH = 500;
/** So many at a time while one of them may be what breaks the session. */
const CAREFUL_BATCH = 20;
const RETRY_SECONDS = [5, 30, 120, 600, 3_600];

/**
 * Carries out what is due in the open folder, one batch. Returns how many rows were looked at; 0 means that nothing
 * is due. Errors of single messages are recorded; a dead session fails the call. With `careful` the attempts are
 * counted before they are made, and what was tried before goes alone.
 */
export async function disposeDue(
  context: IntakeContext,
  held: HeldMailbox,
  session: Session,
  folder: { id: number; epoch: string },
  careful: boolean,
): Promise<number> {
  const { mailbox, leaseToken } = held;
  const { after, afterFolder } = mailbox.settings;
  if (after === 'leave') return 0;
  const most = session.snapshot ? LIMITS.dispositionsAtEnd : BATCH;
  const first = await dueDispositions(context.db, folder.id, folder.epoch, careful ? CAREFUL_BATCH : most);
  const due = careful ? untriedOrAlone(first) : first;
  if (due.length === 0) return 0;
  const left = due.filter((row) => row.attempts < LIMITS.dispositionAttempts);
  if (careful) await noteDispositionAttempts(context.db, left.map(nextAttempt));
  const answers = await session.dispose(
    left.map((row) => row.key),
    after,
    afterFolder,
  );
  crashPoint('after-disposition');
  const results = due.map((row) => judge(row, answers.get(row.key) ?? NO_ANSWER));
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

const NO_ANSWER = fail('server_protocol', 'There was no answer about this message');

/** Those that were not tried yet, or the first of those that were. */
function untriedOrAlone(due: DueDisposition[]): DueDisposition[] {
  const untried = due.filter((row) => row.attempts === 0);
  return untried.length > 0 ? untried : due.slice(0, 1);
}

function nextAttempt({ id, attempts }: DueDisposition): {
  id: number;
  attempts: number;
  retryInSeconds: number;
} {
  const retryInSeconds = RETRY_SECONDS[Math.min(attempts, RETRY_SECONDS.length - 1)]!;
  return { id, attempts: attempts + 1, retryInSeconds };
}

function judge(row: DueDisposition, answer: 'done' | 'gone' | PenstockError): DispositionResult {
  const next = nextAttempt(row);
  if (answer === 'done' || answer === 'gone') return { ...next, result: answer, error: null };
  const final = next.attempts >= LIMITS.dispositionAttempts;
  return { ...next, result: final ? 'failed' : 'pending', error: answer.message };
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
