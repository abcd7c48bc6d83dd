/**
 * What runs in a worker thread: bytes in, everything that can be said about a message without the database out.
 * Pure but for reading the bytes of large messages from their file. A hostile message can at worst end its
 * thread.
 */
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { fail, PenstockError } from '../errors.ts';
import { classify } from '../message/classify.ts';
import type { Classification, ParsedMessage } from '../message/message.ts';
import { parseMessage } from '../message/parse.ts';
import type { TraceEvent } from '../observe/trace.ts';
import type { RawLocation } from '../raw/raw-store.ts';
import { compileRules, type RuleSet } from '../rule/compile.ts';
import { matchRules } from '../rule/match.ts';
import type { Extraction, Rule, RuleResult, RuleVerdict } from '../rule/rule.ts';
import { buildView } from '../rule/view.ts';
import { storableJson } from '../store/storable-json.ts';

export interface AnalysisTask {
  messages: { id: number; raw: RawLocation }[];
  mailboxId: number;
  ownAddresses: string[];
  instanceId: string;
  rulesVersion: number;
  /** Sent only when the thread said it lacks this version; a rule set is large and changes seldom. */
  rules: Rule[] | null;
}

/**
 * The parsed message as it crosses back: what is not needed outside the thread stays behind. The body is not
 * stored beside the raw message either: who wants to read it parses again.
 */
export type AnalysedMessage = Omit<ParsedMessage, 'html' | 'headers' | 'text' | 'leaves'>;

/** Commands and tags stand at the top. */
const NEWEST_TEXT_CHARS = 20_000;

export interface Analysis {
  id: number;
  message: AnalysedMessage;
  classification: Classification;
  match: {
    ruleId: number | null;
    extractions: Extraction[];
    closes: boolean;
    /** Rules that could not be evaluated. */
    passedOver: RuleVerdict[];
  };
  leaves: { all: number; attachments: number };
  /** What is only stored, as JSON text: it crosses as one value, where objects would be copied and put together anew. */
  stored: { parts: string; ruleEvidence: string | null; rulesEvent: string };
  /** Milliseconds spent. */
  parseMs: number;
  matchMs: number;
}

/** An error that can cross the thread border. */
export interface AnalysisFailure {
  id: number;
  code: PenstockError['code'];
  message: string;
}

export type AnalysisAnswer =
  | { needRules: true }
  | { needRules: false; results: (Analysis | AnalysisFailure)[] };

let ruleSet: RuleSet | null = null;

/** The entry point of the thread. */
export async function analyse(task: AnalysisTask): Promise<AnalysisAnswer> {
  if (task.rules !== null) ruleSet = compileRules(task.rules, task.rulesVersion);
  if (ruleSet === null || ruleSet.version !== task.rulesVersion) return { needRules: true };
  const results: (Analysis | AnalysisFailure)[] = [];
  for (const { id, raw } of task.messages) results.push(await analyseOne(id, raw, task, ruleSet));
  return { needRules: false, results };
}

async function analyseOne(
  id: number,
  raw: RawLocation,
  task: AnalysisTask,
  rules: RuleSet,
): Promise<Analysis | AnalysisFailure> {
  try {
    const started = performance.now();
    const message = await parseMessage(openRaw(raw));
    const parsed = performance.now();
    const classification = classify(message, {
      ownAddresses: task.ownAddresses,
      instanceId: task.instanceId,
    });
    const found = matchRules(rules, buildView(message), { mailboxId: task.mailboxId });
    const { html: _html, headers: _headers, text: _text, leaves, ...rest } = message;
    rest.newestText = rest.newestText.slice(0, NEWEST_TEXT_CHARS);
    return {
      id,
      message: rest,
      classification,
      match: {
        ruleId: found.rule?.id ?? null,
        extractions: found.extractions,
        closes: found.closes,
        passedOver: found.passedOver,
      },
      leaves: { all: leaves.length, attachments: leaves.filter(({ use }) => use === 'attachment').length },
      stored: {
        parts: storableJson(leaves),
        ruleEvidence: storableJson(found.verdict),
        rulesEvent: storableJson(rulesEvent(found, rules.version)),
      },
      parseMs: parsed - started,
      matchMs: performance.now() - parsed,
    };
  } catch (thrown) {
    const { code, message } = asAnalysisError(thrown);
    return { id, code, message };
  }
}

function rulesEvent({ rule, verdict, extractions }: RuleResult, version: number): TraceEvent {
  return {
    event: 'rules',
    version,
    rule: rule === null ? null : { id: rule.id, name: rule.name },
    conditions: verdict?.conditions ?? [],
    extracted: extractions.map(({ target, value, source, start, end }) => ({
      target,
      value,
      source,
      start,
      end,
    })),
  };
}

/** What the system says comes from reading a file, and is no fault of the message. */
function asAnalysisError(thrown: unknown): PenstockError {
  if (thrown instanceof PenstockError) return thrown;
  if (!(thrown instanceof Error) || !('syscall' in thrown)) return fail('parse_failed', String(thrown));
  const isMissing = 'code' in thrown && thrown.code === 'ENOENT';
  return fail(isMissing ? 'raw_missing' : 'internal', thrown.message);
}

/** The bytes at hand or as a stream. A structured clone makes a plain Uint8Array of a Buffer. */
export function openRaw(raw: { inline: Uint8Array } | { file: string }): Buffer | Readable {
  if ('file' in raw) return createReadStream(raw.file);
  return Buffer.from(raw.inline.buffer, raw.inline.byteOffset, raw.inline.byteLength);
}

export function isFailure(result: Analysis | AnalysisFailure): result is AnalysisFailure {
  return 'code' in result;
}
