import { asPenstockError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { type CompiledPattern, compilePattern, type PatternBudget, type PatternMatch } from './pattern.ts';
import type { RuleField, RulePattern } from './rule.ts';
import type { MessageView, ViewText } from './view.ts';

/** A pattern of a rule, ready to run; or the reason why it never will be. */
type PreparedPattern = { compiled: CompiledPattern; error: null } | { compiled: null; error: string };

/**
 * Compiled patterns of a rule set. A compiled pattern takes tens of kilobytes and most of a large set are never
 * run, so they are compiled when they are first needed, and those not used for the longest time are dropped.
 */
export class PatternCache {
  readonly #prepared = new Map<RulePattern, PreparedPattern>();
  readonly #limit: number;

  constructor(limit: number = LIMITS.rulePatternsCompiled) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#prepared.size;
  }

  /**
   * Never throws: a rule that was saved by an older version, or written into the database by hand, must not keep
   * the other rules from working.
   */
  get(pattern: RulePattern): PreparedPattern {
    const prepared = this.#prepared.get(pattern) ?? prepare(pattern);
    this.#prepared.delete(pattern);
    this.#prepared.set(pattern, prepared);
    if (this.#prepared.size > this.#limit) {
      for (const oldest of this.#prepared.keys()) {
        this.#prepared.delete(oldest);
        break;
      }
    }
    return prepared;
  }
}

function prepare(pattern: RulePattern): PreparedPattern {
  try {
    return { compiled: compilePattern(pattern), error: null };
  } catch (thrown) {
    return { compiled: null, error: asPenstockError(thrown).message };
  }
}

/** What one pattern found in one message. With `error` set it is not known whether it matches. */
export interface PatternOutcome {
  /** The text that was searched. */
  source: ViewText;
  match: PatternMatch | null;
  error: string | null;
  /** The pattern was too large for this text. */
  overran: boolean;
}

/** The patterns of one rule over one message: each runs at most once, whoever asks. */
export class PatternRun {
  readonly patterns: readonly RulePattern[];
  readonly #cache: PatternCache;
  readonly #view: MessageView;
  readonly #body: ViewText;
  readonly #outcomes: (PatternOutcome | undefined)[] = [];

  /** `body`: what the field `text` means for this rule, the whole body or the newest part. */
  constructor(patterns: readonly RulePattern[], cache: PatternCache, view: MessageView, body: ViewText) {
    this.patterns = patterns;
    this.#cache = cache;
    this.#view = view;
    this.#body = body;
  }

  sourceOf(field: RuleField): ViewText {
    return field === 'text' ? this.#body : field;
  }

  outcome(index: number, budget: PatternBudget): PatternOutcome {
    let outcome = this.#outcomes[index];
    if (outcome === undefined) {
      outcome = this.#search(this.patterns[index]!, budget);
      this.#outcomes[index] = outcome;
    }
    return outcome;
  }

  #search(pattern: RulePattern, budget: PatternBudget): PatternOutcome {
    const source = this.sourceOf(pattern.field);
    const { compiled, error } = this.#cache.get(pattern);
    if (compiled === null) return { source, match: null, error, overran: false };
    try {
      return { source, match: compiled.search(this.#view.text(source), budget), error: null, overran: false };
    } catch (thrown) {
      const { message, fields } = asPenstockError(thrown);
      return { source, match: null, error: message, overran: fields.reach !== undefined };
    }
  }
}

/** Runs the patterns that are conditions, until one decides. `unknown`: one could not be evaluated. */
export function requiredPatternsHold(run: PatternRun, budget: PatternBudget): 'yes' | 'no' | 'unknown' {
  for (const [index, { required }] of run.patterns.entries()) {
    if (!required) continue;
    const { match, error } = run.outcome(index, budget);
    if (error !== null) return 'unknown';
    if (match === null) return 'no';
  }
  return 'yes';
}
