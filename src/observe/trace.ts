/**
 * The trace of a message: what happened to it, in order. Written in the same transaction as what it tells, so
 * a trace cannot claim what did not happen.
 */
import type { ErrorCode } from '../errors.ts';
import type { Classification } from '../message/message.ts';
import type { ConditionVerdict } from '../rule/rule.ts';
import type { Stage } from './events.ts';

export type TraceEvent =
  | {
      event: 'seen';
      folder: string;
      key: string;
      epoch: string;
      announcedBytes: number;
      internalDate: string | null;
    }
  | { event: 'stored'; sha256: string; bytes: number; state: string; reason?: string | null }
  | { event: 'duplicate'; of: number; reason: string }
  | { event: 'rebound'; fromEpoch: string; fromKey: string; toEpoch: string; toKey: string }
  | { event: 'parsed'; parts: number; attachments: number; warnings: string[] }
  | ({ event: 'classified' } & Classification)
  | { event: 'threaded'; ticket: number | null; evidence: string[] }
  | {
      event: 'rules';
      version: number;
      rule: { id: number; name: string } | null;
      conditions: ConditionVerdict[];
      extracted: { target: string; value: string; source: string; start: number; end: number }[];
    }
  | { event: 'outcome'; kind: string; reason: string; ticket: number | null }
  | { event: 'failed'; stage: Stage; code: ErrorCode; message: string; attempts: number; final: boolean }
  /** `reference`: what it is called there. */
  | {
      event: 'delivered';
      destination: { id: number; name: string };
      type: string;
      attempts: number;
      reference: string | null;
    }
  | {
      event: 'undeliverable';
      destination: { id: number; name: string };
      type: string;
      attempts: number;
      code: ErrorCode;
      message: string;
    }
  | { event: 'disposed'; what: string; result: string }
  | { event: 'released'; by: string }
  /** A person asked the server for it again, after it had been given up. */
  | { event: 'refetch'; by: string };

/** A trace event as it is read back. */
export type TraceRow = TraceEvent & { at: string };
