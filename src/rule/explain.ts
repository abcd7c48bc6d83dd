import type { RuleSet } from './compile.ts';
import { extract } from './extract.ts';
import { newPatternBudget } from './pattern.ts';
import { PatternRun, requiredPatternsHold } from './pattern-run.ts';
import type { RuleResult, RuleVerdict } from './rule.ts';
import { plainConditions, ruleVerdict } from './verdict.ts';
import type { MatchContext, MessageView } from './view.ts';

export interface Explanation {
  /** Every rule in the order in which rules are tried, also those after the winner. */
  verdicts: RuleVerdict[];
  /** What matching yields; always the same as from `matchRules`. */
  result: RuleResult;
}

/**
 * Runs all rules over a message and keeps every verdict: the slow and complete form of matching, for a person
 * who asks why. Uses none of the indexes of the fast path.
 */
export function explainRules(set: RuleSet, view: MessageView, context: MatchContext): Explanation {
  const budget = newPatternBudget();
  // Rules that matching would not have reached must not spend what the others need.
  const spare = newPatternBudget();
  const verdicts: RuleVerdict[] = [];
  const result: RuleResult = { rule: null, verdict: null, passedOver: [], extractions: [], closes: false };
  for (const compiled of set.compiled) {
    const run = new PatternRun(compiled.rule.patterns, set.patterns, view, compiled.bodyText);
    const reached =
      result.rule === null &&
      plainConditions(compiled.rule, view, context, compiled.bodyText).every(({ matched }) => matched) &&
      compiled.literals.every(({ scope, needle }) => view.folded(scope).text.includes(needle));
    const state = reached ? requiredPatternsHold(run, budget) : 'no';
    const verdict = ruleVerdict(compiled, view, context, run, state === 'no' ? spare : budget);
    verdicts.push(verdict);
    if (state === 'unknown') result.passedOver.push(verdict);
    if (state === 'yes') {
      result.rule = compiled.rule;
      result.verdict = verdict;
      Object.assign(result, extract(compiled, view, run, budget));
    }
  }
  return { verdicts, result };
}
