import { LIMITS } from '../limits.ts';
import type { CompiledRule } from './compiled-rule.ts';
import { DROPPED, FOLD, type FoldedText, findFolded, fold, isBlank, SPACE, type Span } from './fold.ts';
import type { PatternBudget } from './pattern.ts';
import type { PatternRun } from './pattern-run.ts';
import { type Extraction, type FieldMapping, SLOT_MEANINGS, type TagSlot } from './rule.ts';
import type { MessageView, ViewText } from './view.ts';

/**
 * What a rule takes from a message that it matches. Slots and mappings look in the subject first and then in
 * the body (the whole of it or the newest part, as the rule says), and the first place that has a value wins:
 * the subject is short and written by the sending system, while a body may quote other tickets. Tags are
 * found like conditions, without regard to case and spacing; values are the original characters.
 */

/** How a value ends. */
type Ending = { kind: 'tag'; tag: string } | { kind: 'line' } | { kind: 'length'; length: number };

interface FoundValue {
  source: ViewText;
  value: string;
  start: number;
  end: number;
}

export function extract(
  { rule, bodyText }: CompiledRule,
  view: MessageView,
  run: PatternRun,
  budget: PatternBudget,
): { extractions: Extraction[]; closes: boolean } {
  const places: ViewText[] = ['subject', bodyText];
  const extractions: Extraction[] = [];
  for (const [index, slot] of rule.slots.entries()) {
    const found = findValue(view, places, slot.startTag, slotEnding(slot));
    if (found !== null) extractions.push({ target: `slot:${SLOT_MEANINGS[index]}`, ...found });
  }
  for (const mapping of rule.fieldMappings) {
    const extraction = fillMapping(view, places, mapping);
    if (extraction !== null) extractions.push(extraction);
  }
  extractions.push(...patternValues(view, run, budget));
  const closes =
    rule.alwaysCloseAlerts || (!isBlank(rule.closeString) && occurs(view, places, rule.closeString));
  return { extractions, closes };
}

/** Which of the three endings a slot uses; without any, the value ends with its line. */
function slotEnding({ endTag, length, useEndOfLine }: TagSlot): Ending {
  if (useEndOfLine) return { kind: 'line' };
  if (length > 0) return { kind: 'length', length };
  return tagEnding(endTag);
}

function tagEnding(endTag: string): Ending {
  // An end tag that is only a line break would, folded, end the value at its first space.
  if (endTag === '' || (isBlank(endTag) && hasLineBreak(endTag))) return { kind: 'line' };
  return { kind: 'tag', tag: fold(endTag) };
}

function fillMapping(
  view: MessageView,
  places: readonly ViewText[],
  mapping: FieldMapping,
): Extraction | null {
  const target = `mapping:${mapping.id}`;
  const field = { id: mapping.fieldId, type: mapping.fieldType };
  if (!isBlank(mapping.startTag)) {
    const found = findValue(view, places, mapping.startTag, tagEnding(mapping.endTag));
    return found === null ? null : { target, ...found, field };
  }
  if (mapping.value === '') return null;
  // A blank search text is a condition that always holds, as in the rule itself.
  if (!isBlank(mapping.searchText) && !occurs(view, places, mapping.searchText)) return null;
  const value = mapping.value.slice(0, LIMITS.extractedValueChars);
  return { target, value, source: 'constant', start: -1, end: -1, field };
}

function patternValues(view: MessageView, run: PatternRun, budget: PatternBudget): Extraction[] {
  const extractions: Extraction[] = [];
  for (const [index, { groups }] of run.patterns.entries()) {
    const { match, source: text } = run.outcome(index, budget);
    if (match === null) continue;
    for (const { group, field } of groups) {
      const span = match.groups.find((candidate) => candidate.group === group);
      if (span === undefined) continue;
      const found = valueAt(view.text(text), span.start, span.end);
      if (found !== null) extractions.push({ target: `pattern:${field}`, source: text, ...found });
    }
  }
  return extractions;
}

function occurs(view: MessageView, places: readonly ViewText[], text: string): boolean {
  const needle = fold(text);
  return places.some((place) => findFolded(view.folded(place), needle) !== null);
}

function findValue(
  view: MessageView,
  places: readonly ViewText[],
  startTag: string,
  ending: Ending,
): FoundValue | null {
  if (isBlank(startTag)) return null;
  const tag = fold(startTag);
  const closesLine = endsWithLineBreak(startTag);
  for (const source of places) {
    const found = findAfterTag(view.folded(source), tag, closesLine, ending);
    if (found !== null) return { source, ...found };
  }
  return null;
}

/** The first value that is not empty after an occurrence of the tag. */
function findAfterTag(
  text: FoldedText,
  tag: string,
  closesLine: boolean,
  ending: Ending,
): Omit<FoundValue, 'source'> | null {
  for (let at = text.text.indexOf(tag); at >= 0; at = text.text.indexOf(tag, at + tag.length)) {
    const after = at + tag.length;
    // A tag that ends with a space must not swallow the line break after it, or the value of an empty field
    // would be the next line. A tag that ends with a line break means just that.
    const begin = closesLine ? (text.starts[after] ?? text.original.length) : text.starts[after - 1]! + 1;
    let end: number;
    if (ending.kind === 'tag') {
      const stop = text.text.indexOf(ending.tag, after);
      // Where the end tag does not follow this occurrence, it follows no later one.
      if (stop < 0) return null;
      end = text.starts[stop]!;
    } else if (ending.kind === 'line') {
      end = lineEnd(text.original, begin);
    } else {
      end = skipSpace(text.original, begin) + ending.length;
    }
    const found = valueAt(text.original, begin, end);
    if (found !== null) return found;
  }
  return null;
}

/** The value between two offsets: without white space around it, bounded, no half characters. Null if empty. */
function valueAt(text: string, from: number, to: number): (Span & { value: string }) | null {
  let start = from;
  let end = Math.min(to, text.length);
  start = skipSpace(text, start);
  if (end - start > LIMITS.extractedValueChars) end = start + LIMITS.extractedValueChars;
  if (end < text.length && isLowSurrogate(text.charCodeAt(end)) && isHighSurrogate(text.charCodeAt(end - 1)))
    end--;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return end > start ? { value: text.slice(start, end), start, end } : null;
}

function isSpace(unit: number): boolean {
  const folded = FOLD[unit]!;
  return folded === SPACE || folded === DROPPED;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && isSpace(text.charCodeAt(at))) at++;
  return at;
}

function isLineBreak(unit: number): boolean {
  return unit === 0x0a || unit === 0x0d || unit === 0x85 || unit === 0x2028 || unit === 0x2029;
}

function lineEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && !isLineBreak(text.charCodeAt(at))) at++;
  return at;
}

function hasLineBreak(text: string): boolean {
  return lineEnd(text, 0) < text.length;
}

/** True when the white space at the end of a tag has a line break in it. */
function endsWithLineBreak(tag: string): boolean {
  for (let at = tag.length - 1; at >= 0 && isSpace(tag.charCodeAt(at)); at--) {
    if (isLineBreak(tag.charCodeAt(at))) return true;
  }
  return false;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
