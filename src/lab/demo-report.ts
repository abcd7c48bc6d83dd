/** What the demo found out, and whether it is what it should be. Pure. */
import type { TraceRow } from '../observe/trace.ts';
import type { Expectation, Sample } from './samples/samples.ts';

/** Halo's numbers of states (halo-api.md 6.1) that the demo tells apart. */
const QUEUED = 0;
const PROCESSING = 1;
const RETRYING = 4;
const QUARANTINED = 5;

/** What became of one sample. */
export interface DemoRecord {
  id: number;
  name: string;
  kind: string;
  /** Name of the mailbox it came to. */
  mailbox: string;
  from: string;
  subject: string;
  /** Null for a message in quarantine, which nothing could be said about. */
  class: string | null;
  rule: string | null;
  outcome: string;
  /** Why, in words. */
  reason: string;
  ticket: number | null;
  /** From delivery into the mailbox to the end of processing. */
  milliseconds: number;
  expect: Expectation;
}

/** One mailbox of the demo, as the audit and the records have it. */
export interface DemoMailboxRow {
  name: string;
  /** How Penstock heard of new mail. */
  told: string;
  /** How many messages were put into it. */
  delivered: number;
  /** On the server, by the audit. */
  listed: number;
  accounted: number;
  unaccounted: number;
}

export interface DemoReport {
  records: DemoRecord[];
  /** In the order in which they were added. */
  mailboxes: DemoMailboxRow[];
  /** Samples that were delivered and never turned up. */
  missing: string[];
  /** What differs from what was expected, one line each. */
  unmet: string[];
  seconds: { start: number; intake: number; total: number };
  api: { url: string; docs: string; clientId: string; secretFile: string };
  logFile: string;
  once: boolean;
}

/** Whether a record has come to an end, for now. */
export function isFinished(status: number): boolean {
  return status !== QUEUED && status !== PROCESSING && status !== RETRYING;
}

export interface Finished {
  id: number;
  status: number;
  processedAt: string | null;
  trace: readonly TraceRow[];
}

/** Puts together what the API says about a sample. `deliveredAt` is in milliseconds since 1970. */
export function demoRecord(
  sample: Sample,
  mailbox: string,
  deliveredAt: number,
  { id, status, processedAt, trace }: Finished,
): DemoRecord {
  const record: DemoRecord = {
    id,
    name: sample.name,
    kind: sample.kind,
    mailbox,
    from: sample.from.address,
    subject: sample.subject,
    class: null,
    rule: null,
    outcome: status === QUARANTINED ? 'quarantine' : 'unknown',
    reason: '',
    ticket: null,
    milliseconds: processedAt === null ? 0 : Math.max(0, Date.parse(processedAt) - deliveredAt),
    expect: sample.expect,
  };
  for (const row of trace) {
    switch (row.event) {
      case 'classified':
        record.class = row.class;
        break;
      case 'rules':
        record.rule = row.rule?.name ?? null;
        break;
      case 'outcome':
        record.outcome = row.kind;
        record.reason = row.reason;
        record.ticket = row.ticket;
        break;
      case 'failed':
        record.reason = `${row.message} (${row.code})`;
        break;
    }
  }
  return record;
}

/** Says what is not as expected, one line for each record and difference. */
export function unmetExpectations(records: readonly DemoRecord[]): string[] {
  const lines: string[] = [];
  for (const { name, expect, outcome, rule, class: found } of records) {
    const differ = (what: string, wanted: string | null, is: string | null): void => {
      if (wanted !== is) lines.push(`${name}: ${what} should be ${wanted ?? 'none'} and is ${is ?? 'none'}`);
    };
    differ('outcome', expect.outcome, outcome);
    differ('rule', expect.rule, rule);
    if (expect.class !== null) differ('class', expect.class, found);
  }
  return lines;
}

/** Exit code 0 only when every message is accounted for and became what it should. */
export function isAsItShouldBe({ missing, unmet, mailboxes }: DemoReport): boolean {
  // A server that could not be listed has nothing unaccounted either.
  const proved = mailboxes.every(
    ({ delivered, listed, accounted }) => listed === delivered && accounted === listed,
  );
  return missing.length === 0 && unmet.length === 0 && proved;
}

/** Counts by a key, most frequent first, then by name. */
export function tally(values: readonly string[]): [value: string, count: number][] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0], 'en'));
}

/** The value that `share` of all values do not pass; 0 when there are none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
