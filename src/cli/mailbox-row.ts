/** A mailbox as `mailbox list` shows it. Pure. */
import { hintFor } from '../errors.ts';
import { progressAt } from '../intake/progress.ts';
import type { Mailbox, MailboxState } from '../store/mailboxes.ts';

export interface MailboxRow {
  id: number;
  name: string;
  kind: string;
  server: string;
  enabled: boolean;
  state: string;
  lastListed: string | null;
  done: number;
  total: number;
  perSecond: number;
  secondsLeft: number | null;
  progressText: string;
  error: string | null;
  /** What to do about the error. */
  advice: string | null;
}

export function mailboxRow(mailbox: Mailbox, state: MailboxState, now: Date): MailboxRow {
  const { server } = mailbox.settings;
  const started = state.syncStartedAt?.getTime() ?? now.getTime();
  const progress = progressAt(state.syncDone, state.syncTotal, now.getTime() - started);
  const underWay = state.syncDone < state.syncTotal;
  return {
    id: mailbox.id,
    name: mailbox.name,
    kind: mailbox.kind,
    server: `${server.user}@${server.host}:${server.port}`,
    enabled: mailbox.enabled,
    state: mailbox.enabled ? state.phase : 'paused',
    lastListed: state.lastListedAt?.toISOString() ?? null,
    ...progress,
    progressText: underWay
      ? `${progress.done}/${progress.total}, ${progress.perSecond}/s, ${progress.secondsLeft ?? '?'} s left`
      : '',
    error: state.lastError,
    advice: hintFor(state.lastErrorCode),
  };
}
