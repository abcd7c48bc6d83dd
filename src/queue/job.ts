/**
 * What a job is. It carries ids of one mailbox, never mail: the queue may lose, repeat or reorder it, and the
 * database says what is true.
 */
import type { SourceKind } from '../source/source.ts';

export const QUEUE_NAME = 'penstock-intake';

export const JOB_NAMES = {
  imap: 'IMAPMessage',
  pop3: 'Pop3Message',
  graph: 'AzureMessage',
  gmail: 'GmailMessage',
} as const satisfies Record<SourceKind, string>;
export type JobName = (typeof JOB_NAMES)[SourceKind];

export interface JobData {
  mailbox: number;
  /** Ids of incoming_email rows, ascending. */
  ids: number[];
  /** They were in hand when a process ended, or failed: each is taken alone, while no other such one is in hand. */
  alone?: true;
}

/**
 * Name under which the queue drops a second copy of a job that is still there. Made from row ids, never from
 * mail; with a letter in front because an id of digits only is refused. `round` tells a re-enqueued job from
 * the one that was lost.
 */
export function jobId(data: JobData, round: string): string {
  return `m${data.mailbox}-${data.ids[0]}-${data.ids.at(-1)}-${round}`;
}

/** Cuts rows into jobs of one mailbox each, at most `most` messages long, in order. */
export function cutIntoJobs(rows: { id: number; mailboxId: number }[], most: number): JobData[] {
  const jobs: JobData[] = [];
  const open = new Map<number, JobData>();
  for (const row of rows) {
    let job = open.get(row.mailboxId);
    if (job === undefined || job.ids.length >= most) {
      job = { mailbox: row.mailboxId, ids: [] };
      open.set(row.mailboxId, job);
      jobs.push(job);
    }
    job.ids.push(row.id);
  }
  return jobs;
}
