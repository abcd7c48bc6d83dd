import { asPenstockError } from '../errors.ts';
import { type CompiledPattern, compilePattern, type PatternBudget, type PatternMatch } from './pattern.ts';
import type { RuleField, RulePattern } from './rule.ts';
import type { MessageView, ViewText } from './view.ts';

/** A pattern of a rule, ready to run; or the reason why it never will be. */
export interface PreparedPattern {
  source: RulePattern;
  compiled: CompiledPattern | null;
  error: string | null;
}

/**
 * Prepares a pattern without throwing: a rule that was saved by an older version, or written into the database
 * by hand, must not keep the other rules from working.
 */
export function preparePattern(source: RulePattern): PreparedPattern {
  try {
    return { source, compiled: compilePattern(source), error: null };
  } catch (thrown) {
    return { source, compiled: null, error: asPenstockError(thrown).message };
  }
}

/** What one pattern found in one message. With `error` set it is not known whether it matches. */
export interface PatternOutcome {
  /** The text that was searched. */
  source: ViewText;
  match: PatternMatch | null;
  error: string | null;
}

/** The patterns of one rule over one message: each runs at most once, whoever asks. */
export class PatternRun {
  readonly #patterns: readonly PreparedPattern[];
  readonly #view: MessageView;
  readonly #body: ViewText;
  readonly #outcomes: (PatternOutcome | undefined)[] = [];

  /** `body`: what the field `text` means for this rule, the whole body or the newest part. */
  constructor(patterns: readonly PreparedPattern[], view: MessageView, body: ViewText) {
    this.#patterns = patterns;
    this.#view = view;
    this.#body = body;
  }

  get patterns(): readonly PreparedPattern[] {
    return this.#patterns;
  }

  sourceOf(field: RuleField): ViewText {
    return field === 'text' ? this.#body : field;
  }

  outcome(index: number, budget: PatternBudget): PatternOutcome {
    let outcome = this.#outcomes[index];
    if (outcome === undefined) {
      outcome = this.#search(this.#patterns[index]!, budget);
      this.#outcomes[index] = outcome;
    }
    return outcome;
  }

  #search({ source: { field }, compiled, error }: PreparedPattern, budget: PatternBudget): PatternOutcome {
    const source = this.sourceOf(field);
    if (compiled === null) return { source, match: null, error };
    try {
      return { source, match: compiled.search(this.#view.text(source), budget), error: null };
    } catch (thrown) {
      return { source, match: null, error: asPenstockError(thrown).message };
    }
  }
}

/** Runs the patterns that are conditions, until one decides. `unknown`: one could not be evaluated. */
export function requiredPatternsHold(run: PatternRun, budget: PatternBudget): 'yes' | 'no' | 'unknown' {
  for (const [index, { source }] of run.patterns.entries()) {
    if (!source.required) continue;
    const { match, error } = run.outcome(index, budget);
    if (error !== null) return 'unknown';
    if (match === null) return 'no';
  }
  return 'yes';
}
