import { fold } from './fold.ts';

/**
 * The longest text that must occur wherever a pattern matches, so that rules whose only conditions are patterns
 * can be found by the same one pass over the text as all others. Reads the pattern from left to right and
 * understands only what it is sure of: what is optional, repeated, or inside a group or class ends the text.
 */

/** Shorter ones occur in nearly every mail. */
const MIN_CHARS = 3;

/** Escapes that stand for a class of characters or a place; all others of letters and digits are not judged. */
const CLASS_ESCAPES = new Set('dDwWsSbBAztnrfv');

/**
 * A folded text that every text matched by this pattern contains once it is folded; null when there is none or it
 * is not certain. Of a pattern that the engine refuses the answer has no meaning, but there is one.
 */
export function requiredLiteral(pattern: string): string | null {
  let best = '';
  let run = '';
  const endRun = () => {
    if (run.length > best.length) best = run;
    run = '';
  };
  let at = 0;
  while (at < pattern.length) {
    const char = pattern[at]!;
    let literal: string | null = null;
    let next = at + 1;
    if (char === '|') return null;
    if (char === '(') {
      const end = groupEnd(pattern, at);
      if (end === null) return null;
      next = end;
    } else if (char === '[') {
      next = classEnd(pattern, at);
    } else if (char === '\\') {
      const escaped = pattern[at + 1] ?? '';
      next = at + 2;
      if (/^[!-/:-@[-`{-~]$/.test(escaped)) literal = escaped;
      else if (!CLASS_ESCAPES.has(escaped)) return null;
    } else if (char !== '.' && char !== '^' && char !== '$' && char >= ' ' && char <= '~') {
      literal = char;
    }

    const after = quantifierEnd(pattern, next);
    if (after === null) return null;
    if (literal === null) {
      endRun();
    } else if (after === next) {
      run += literal;
    } else {
      // Of what is repeated at least once, one is certain; what may be absent is not part of the text.
      if (pattern[next] === '+') run += literal;
      endRun();
    }
    at = after;
  }
  endRun();
  const folded = fold(best);
  return folded.length < MIN_CHARS ? null : folded;
}

/** The place after a quantifier that stands at `at`; `at` when none does; null when it is a kind not judged. */
function quantifierEnd(pattern: string, at: number): number | null {
  const char = pattern[at];
  let end = at;
  if (char === '*' || char === '+' || char === '?') {
    end = at + 1;
  } else if (char === '{') {
    const counts = /^\{\d{1,4}(?:,\d{0,4})?\}/.exec(pattern.slice(at, at + 12));
    if (counts === null) return null;
    end = at + counts[0].length;
  }
  return end > at && pattern[end] === '?' ? end + 1 : end;
}

/** The place after a character class. */
function classEnd(pattern: string, from: number): number {
  let at = from + 1;
  if (pattern[at] === '^') at++;
  // A bracket in the first place is a member of the class.
  if (pattern[at] === ']') at++;
  while (at < pattern.length && pattern[at] !== ']') {
    if (pattern[at] === '\\') at += 2;
    else if (pattern.startsWith('[:', at) && pattern.includes(':]', at)) at = pattern.indexOf(':]', at) + 2;
    else at++;
  }
  return at + 1;
}

/** The place after a group; null when it has quoting in it, which this does not follow. */
function groupEnd(pattern: string, from: number): number | null {
  let depth = 0;
  let at = from;
  while (at < pattern.length) {
    const char = pattern[at];
    if (char === '\\') {
      if (pattern[at + 1] === 'Q') return null;
      at += 2;
    } else if (char === '[') {
      at = classEnd(pattern, at);
    } else {
      at++;
      if (char === '(') depth++;
      else if (char === ')' && --depth === 0) return at;
    }
  }
  return null;
}
