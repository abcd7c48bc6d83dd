import { RE2JS, RE2JSSyntaxException } from 're2js';
import { type ErrorFields, fail, type PenstockError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { RulePattern } from './rule.ts';

/**
 * Regular expressions of users, on an engine whose time is linear in the text (RE2). Linear is not yet little:
 * the worst case is the length of the text times the size of the compiled pattern. So the product is bounded
 * too, by counting and not by a clock, and the same mail gives the same result on a slow day.
 */

const FLAGS = new Map([
  ['i', RE2JS.CASE_INSENSITIVE],
  ['m', RE2JS.MULTILINE],
  ['s', RE2JS.DOTALL],
]);

/** A named group's match: offsets in the text that was searched. */
export interface GroupMatch {
  group: string;
  start: number;
  end: number;
}

export interface PatternMatch {
  start: number;
  end: number;
  groups: GroupMatch[];
}

/** How much all patterns together may read for one message, in characters. Counted down by each search. */
export interface PatternBudget {
  chars: number;
}

export function newPatternBudget(): PatternBudget {
  return { chars: LIMITS.rulePatternCharsPerMessage };
}

export class CompiledPattern {
  readonly source: RulePattern;
  readonly #regex: RE2JS;
  readonly #groups: readonly string[];
  /** How many characters of a text this pattern may be run over. */
  readonly reach: number;

  constructor(source: RulePattern, regex: RE2JS) {
    this.source = source;
    this.#regex = regex;
    this.#groups = Object.keys(regex.namedGroups());
    this.reach = Math.min(
      LIMITS.ruleTextChars,
      Math.floor(LIMITS.rulePatternWork / Math.max(1, regex.programSize())),
    );
  }

  /**
   * Searches the text. Throws `rule_timeout` when the answer lies beyond what the pattern may read: a large
   * pattern on a long text, or a message whose budget is spent. A text longer than LIMITS.ruleTextChars is
   * searched up to there, and what follows does not exist for patterns.
   */
  search(text: string, budget: PatternBudget): PatternMatch | null {
    const known = Math.min(text.length, LIMITS.ruleTextChars);
    const read = Math.min(known, this.reach);
    if (budget.chars < read) {
      throw fail('rule_timeout', 'The patterns tried before this one used up what one message may cost.');
    }
    budget.chars -= read;
    const seen = read === text.length ? text : text.slice(0, read);
    const found = this.#find(seen);
    // A match that touches the cut might have gone on, or might not be one in the whole text.
    if (read < known && (found === null || found.end === read)) {
      throw fail('rule_timeout', `The pattern is too large for a text of ${known} characters.`, {
        pattern: this.source.pattern,
        textChars: known,
        reach: this.reach,
      });
    }
    return found;
  }

  #find(text: string): PatternMatch | null {
    // The yes-or-no search runs on the fast automaton; most texts end here.
    if (!this.#regex.test(text)) return null;
    const matcher = this.#regex.matcher(text);
    if (!matcher.find()) return null;
    const groups: GroupMatch[] = [];
    for (const group of this.#groups) {
      const start = matcher.start(group);
      if (start >= 0) groups.push({ group, start, end: matcher.end(group) });
    }
    return { start: matcher.start(), end: matcher.end(), groups };
  }
}

/**
 * Compiles a pattern, and is the check when a rule is saved. Throws `rule_invalid` with the reason and, where
 * the engine tells it, the position in the pattern.
 */
export function compilePattern(source: RulePattern): CompiledPattern {
  const { pattern } = source;
  if (pattern === '') throw invalid(source, 'the pattern is empty');
  if (pattern.length > LIMITS.rulePatternChars) {
    throw invalid(source, `the pattern is longer than ${LIMITS.rulePatternChars} characters`);
  }
  const regex = compileRegex(source);
  if (regex.programSize() > LIMITS.rulePatternSize) {
    throw invalid(source, 'the pattern is too large once its repetitions are written out', {
      size: regex.programSize(),
      limit: LIMITS.rulePatternSize,
    });
  }
  const groups = regex.namedGroups();
  for (const { group, field } of source.groups) {
    if (!Object.hasOwn(groups, group)) throw invalid(source, `there is no group named "${group}"`);
    if (field === '') throw invalid(source, `the group "${group}" names no field to fill`);
  }
  return new CompiledPattern(source, regex);
}

function compileRegex(source: RulePattern): RE2JS {
  let flags = 0;
  for (const letter of source.flags) {
    const flag = FLAGS.get(letter);
    if (flag === undefined) throw invalid(source, `the flag "${letter}" is not one of i, m, s`);
    if ((flags & flag) !== 0) throw invalid(source, `the flag "${letter}" is given twice`);
    flags |= flag;
  }
  try {
    return RE2JS.compile(source.pattern, flags);
  } catch (thrown) {
    if (!(thrown instanceof RE2JSSyntaxException)) throw thrown;
    const { reason, position } = explainSyntax(source.pattern, thrown.error ?? thrown.message, thrown.input);
    throw invalid(source, reason, { position }, thrown);
  }
}

/** Says in plain words what the engine refuses, and where. */
function explainSyntax(
  pattern: string,
  error: string,
  fragment: string | null,
): { reason: string; position: number | undefined } {
  const at = fragment === null || fragment === '' ? -1 : pattern.indexOf(fragment);
  const position = at < 0 ? undefined : at;
  const found = fragment ?? '';
  for (const start of ['(?=', '(?!', '(?<=', '(?<!']) {
    if (found.startsWith(start)) {
      return { reason: `look-around "${start}" is not supported by the linear-time engine`, position };
    }
  }
  const second = found.charCodeAt(1);
  if (found.startsWith('\\') && ((second >= 0x31 && second <= 0x39) || found[1] === 'k')) {
    return { reason: `the back-reference "${found}" is not supported by the linear-time engine`, position };
  }
  return { reason: found === '' ? error : `${error}: ${found}`, position };
}

function invalid(
  source: RulePattern,
  reason: string,
  fields: ErrorFields = {},
  cause?: unknown,
): PenstockError {
  const where = fields.position === undefined ? '' : ` at position ${fields.position}`;
  return fail(
    'rule_invalid',
    `Pattern /${source.pattern.slice(0, 80)}/: ${reason}${where}.`,
    { pattern: source.pattern.slice(0, 200), reason, ...fields },
    cause,
  );
}
