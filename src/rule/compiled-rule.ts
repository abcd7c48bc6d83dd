import { fold, isBlank } from './fold.ts';
import { requiredLiteral } from './literal.ts';
import type { Rule, TextMatch } from './rule.ts';

/** Where a needle is looked for. `copies` are Cc and Bcc. */
export type Scope = 'subject' | 'text' | 'newest_text' | 'from' | 'to' | 'copies' | 'attachments';
/** Which automaton serves a scope. */
export type IndexName = 'subject' | 'body' | 'address' | 'attachment';

export const SCOPES: readonly Scope[] = [
  'subject',
  'text',
  'newest_text',
  'from',
  'to',
  'copies',
  'attachments',
];
export const INDEX_OF: Readonly<Record<Scope, IndexName>> = {
  subject: 'subject',
  text: 'body',
  newest_text: 'body',
  from: 'address',
  to: 'address',
  copies: 'address',
  attachments: 'attachment',
};

/** A text that must occur. `id` is its number in the index of its scope. */
export interface TextCondition {
  needle: string;
  id: number;
}

export interface AddressCondition extends TextCondition {
  exact: boolean;
}

export interface AttachmentCondition extends TextCondition {
  match: TextMatch;
}

/** A rule with its conditions folded and numbered. A condition that was left blank is null. */
export interface CompiledRule {
  rule: Rule;
  from: AddressCondition | null;
  to: AddressCondition | null;
  subject: TextCondition | null;
  body: TextCondition | null;
  attachment: AttachmentCondition | null;
  /** What the body is for this rule. */
  bodyText: 'text' | 'newest_text';
  /** Texts without which the patterns that are conditions cannot match. */
  literals: PatternLiteral[];
}

export interface PatternLiteral extends TextCondition {
  scope: 'subject' | 'text' | 'newest_text';
}

/** Collects distinct needles and numbers them. */
export class Needles {
  readonly ids = new Map<string, number>();

  id(needle: string): number {
    let id = this.ids.get(needle);
    if (id === undefined) {
      id = this.ids.size;
      this.ids.set(needle, id);
    }
    return id;
  }
}

/** Folds and numbers the conditions of a rule. */
export function compileRule(rule: Rule, needles: Record<IndexName, Needles>): CompiledRule {
  const text = (index: IndexName, typed: string): TextCondition | null => {
    if (isBlank(typed)) return null;
    const needle = fold(typed);
    return { needle, id: needles[index].id(needle) };
  };
  const address = (typed: string, exact: boolean): AddressCondition | null => {
    const condition = isBlank(typed) ? null : fold(typed).trim();
    if (condition === null) return null;
    // An exact address is found by its hash and needs no place in the automaton.
    return { needle: condition, id: exact ? -1 : needles.address.id(condition), exact };
  };
  const attachment = (): AttachmentCondition | null => {
    if (isBlank(rule.attachmentName)) return null;
    const needle = fold(rule.attachmentName.normalize('NFC')).trim();
    return { needle, id: needles.attachment.id(needle), match: rule.attachmentMatch };
  };
  const bodyText = rule.scanFullBody ? 'text' : 'newest_text';
  return {
    rule,
    from: address(rule.from, rule.fromExact),
    to: address(rule.to, rule.toExact),
    subject: rule.matchOnAttachment ? null : text('subject', rule.subject),
    body: rule.matchOnAttachment ? null : text('body', rule.body),
    attachment: rule.matchOnAttachment ? attachment() : null,
    bodyText,
    literals: patternLiterals(rule, bodyText, needles),
  };
}

function patternLiterals(
  rule: Rule,
  bodyText: CompiledRule['bodyText'],
  needles: Record<IndexName, Needles>,
): PatternLiteral[] {
  const literals: PatternLiteral[] = [];
  for (const { field, pattern, required } of rule.patterns) {
    if (!required || (field !== 'subject' && field !== 'text')) continue;
    const needle = requiredLiteral(pattern);
    if (needle === null) continue;
    const scope = field === 'subject' ? 'subject' : bodyText;
    literals.push({ scope, needle, id: needles[INDEX_OF[scope]].id(needle) });
  }
  return literals;
}
