import { fail } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { HitSet, NeedleIndex } from './automaton.ts';
import {
  type AddressCondition,
  type CompiledRule,
  compileRule,
  INDEX_OF,
  type IndexName,
  Needles,
  SCOPES,
  type Scope,
  type TextCondition,
} from './compiled-rule.ts';
import { fold } from './fold.ts';
import { PatternCache } from './pattern-run.ts';
import type { Rule } from './rule.ts';
import type { MessageView } from './view.ts';

/**
 * A rule set made for matching. Thousands of rules must not cost thousands of searches, so each text of a
 * message is read once for the needles of all rules, and only rules whose most selective condition occurs are
 * looked at. Made inside the thread that matches; it holds scratch memory and serves one message at a time.
 */

/** The order in which rules are tried (halo-api 5.5): sequence descending, name without case, id. */
export function orderRules(rules: readonly Rule[]): Rule[] {
  const keyed = rules.map((rule) => ({ rule, name: fold(rule.name) }));
  keyed.sort((a, b) => {
    if (a.rule.sequence !== b.rule.sequence) return b.rule.sequence - a.rule.sequence;
    // Plain comparison, not by language: the order must be the same on every machine.
    if (a.name !== b.name) return a.name < b.name ? -1 : 1;
    return a.rule.id - b.rule.id;
  });
  return keyed.map(({ rule }) => rule);
}

/** A condition by which a rule can be found. */
type Handle =
  | { kind: 'exact'; scopes: Scope[]; value: string; weight: number }
  | { kind: 'needle'; scopes: Scope[]; id: number; weight: number }
  | { kind: 'mailbox'; mailboxId: number; weight: number };

/** Ranks of rules by what must occur for them to be looked at. */
interface Routes {
  needle: Map<number, number[]>;
  exact: Map<string, number[]>;
}

export class RuleSet {
  readonly version: number;
  /** All rules in the order in which they are tried, disabled ones too (they never match). */
  readonly compiled: readonly CompiledRule[];
  readonly patterns = new PatternCache();
  readonly #indexes: Readonly<Record<IndexName, NeedleIndex>>;
  readonly #hits: Readonly<Record<Scope, HitSet>>;
  readonly #routes: Readonly<Record<Scope, Routes>>;
  readonly #used: ReadonlySet<Scope>;
  readonly #byMailbox = new Map<number, number[]>();
  /** Rules that nothing in particular leads to, in order. */
  readonly #always: number[] = [];
  readonly #visited: HitSet;
  #candidates: number[] = [];
  readonly #onHit: Readonly<Record<Scope, (id: number) => void>>;

  constructor(rules: readonly Rule[], version: number) {
    this.version = version;
    const needles = {
      subject: new Needles(),
      body: new Needles(),
      address: new Needles(),
      attachment: new Needles(),
    };
    this.compiled = orderRules(rules).map((rule) => compileRule(rule, needles));
    this.#indexes = mapRecord(needles, ({ ids }) => new NeedleIndex([...ids.keys()]));
    this.#hits = byScope((scope) => new HitSet(needles[INDEX_OF[scope]].ids.size));
    this.#routes = byScope(() => ({ needle: new Map(), exact: new Map() }));
    this.#onHit = byScope((scope) => {
      const routes = this.#routes[scope].needle;
      return (id) => this.#add(routes.get(id));
    });
    this.#visited = new HitSet(this.compiled.length);

    const used = new Set<Scope>();
    const shared = new Map<string, number>();
    const handles = this.compiled.map((compiled) => (compiled.rule.enabled ? handlesOf(compiled) : []));
    for (const handle of handles.flat()) {
      shared.set(keyOf(handle), (shared.get(keyOf(handle)) ?? 0) + 1);
      if (handle.kind !== 'mailbox') for (const scope of handle.scopes) used.add(scope);
    }
    this.#used = used;
    for (const [rank, { rule }] of this.compiled.entries()) {
      if (rule.enabled) this.#route(rank, mostSelective(handles[rank]!, shared));
    }
  }

  #route(rank: number, handle: Handle | null): void {
    if (handle === null) {
      this.#always.push(rank);
    } else if (handle.kind === 'mailbox') {
      append(this.#byMailbox, handle.mailboxId, rank);
    } else {
      for (const scope of handle.scopes) {
        const { exact, needle } = this.#routes[scope];
        if (handle.kind === 'exact') append(exact, handle.value, rank);
        else append(needle, handle.id, rank);
      }
    }
  }

  /** Whether a needle occurred in the message that {@link candidates} was last called for. */
  occurs(scope: Scope, id: number): boolean {
    return this.#hits[scope].has(id);
  }

  /**
   * Reads the message once and returns the ranks of all rules that may match it, in order. Every rule that
   * matches is among them.
   */
  candidates(view: MessageView, mailboxId: number): number[] {
    this.#visited.clear();
    this.#candidates = [];
    for (const scope of this.#used) this.#hits[scope].clear();
    this.#scan('subject', [view.text('subject')]);
    this.#scan('text', [view.text('text')]);
    this.#scan('newest_text', [view.text('newest_text')]);
    this.#scan('from', view.from);
    this.#scan('to', view.to);
    this.#scan('copies', view.copies);
    if (this.#used.has('attachments')) this.#scan('attachments', view.attachments);
    this.#add(this.#byMailbox.get(mailboxId));
    return mergeSorted(
      this.#candidates.sort((a, b) => a - b),
      this.#always,
    );
  }

  #scan(scope: Scope, texts: readonly string[]): void {
    if (!this.#used.has(scope)) return;
    const index = this.#indexes[INDEX_OF[scope]];
    const { exact } = this.#routes[scope];
    for (const text of texts) {
      index.scan(text, this.#hits[scope], this.#onHit[scope]);
      if (exact.size > 0) this.#add(exact.get(text));
    }
  }

  #add(ranks: readonly number[] | undefined): void {
    if (ranks === undefined) return;
    for (const rank of ranks) if (this.#visited.add(rank)) this.#candidates.push(rank);
  }
}

/**
 * Compiles rules for matching. `version` is the number of this state of the rules; results are recorded with
 * it. A rule with a broken pattern stays in the set and is passed over with its reason when its turn comes.
 * Throws `rule_invalid` when there are more rules than LIMITS.ruleCount.
 */
export function compileRules(rules: readonly Rule[], version: number): RuleSet {
  if (rules.length > LIMITS.ruleCount) {
    throw fail('rule_invalid', `There are ${rules.length} rules; the limit is ${LIMITS.ruleCount}.`, {
      rules: rules.length,
      limit: LIMITS.ruleCount,
    });
  }
  return new RuleSet(rules, version);
}

/** The conditions of a rule that must hold and can be looked up. */
function handlesOf({
  rule,
  from,
  to,
  subject,
  body,
  attachment,
  bodyText,
  literals,
}: CompiledRule): Handle[] {
  const handles: Handle[] = [];
  const byText = (scopes: Scope[], { needle, id }: TextCondition) =>
    handles.push({ kind: 'needle', scopes, id, weight: needle.length });
  const byAddress = (scope: Scope, condition: AddressCondition) => {
    const scopes: Scope[] = rule.matchCcAndBcc ? [scope, 'copies'] : [scope];
    if (condition.exact) handles.push({ kind: 'exact', scopes, value: condition.needle, weight: 1_000_000 });
    else byText(scopes, condition);
  };
  if (from !== null) byAddress('from', from);
  if (to !== null) byAddress('to', to);
  if (subject !== null) byText(['subject'], subject);
  if (body !== null) byText([bodyText], body);
  if (attachment !== null) byText(['attachments'], attachment);
  for (const literal of literals) byText([literal.scope], literal);
  if (rule.mailboxId !== null) handles.push({ kind: 'mailbox', mailboxId: rule.mailboxId, weight: 0 });
  return handles;
}

function keyOf(handle: Handle): string {
  if (handle.kind === 'mailbox') return `mailbox ${handle.mailboxId}`;
  const scopes = handle.scopes.join('+');
  return handle.kind === 'exact' ? `exact ${scopes} ${handle.value}` : `needle ${scopes} ${handle.id}`;
}

/** The handle that the fewest rules share; among equals the one that says most (an address, a long text). */
function mostSelective(handles: readonly Handle[], shared: ReadonlyMap<string, number>): Handle | null {
  let best: Handle | null = null;
  let bestShared = 0;
  for (const handle of handles) {
    const count = shared.get(keyOf(handle))!;
    if (best === null || count < bestShared || (count === bestShared && handle.weight > best.weight)) {
      best = handle;
      bestShared = count;
    }
  }
  return best;
}

function append<K>(map: Map<K, number[]>, key: K, rank: number): void {
  const ranks = map.get(key);
  if (ranks === undefined) map.set(key, [rank]);
  else ranks.push(rank);
}

function mergeSorted(a: readonly number[], b: readonly number[]): number[] {
  const merged: number[] = [];
  let left = 0;
  let right = 0;
  while (left < a.length && right < b.length) merged.push(a[left]! < b[right]! ? a[left++]! : b[right++]!);
  while (left < a.length) merged.push(a[left++]!);
  while (right < b.length) merged.push(b[right++]!);
  return merged;
}

function byScope<T>(make: (scope: Scope) => T): Record<Scope, T> {
  return Object.fromEntries(SCOPES.map((scope) => [scope, make(scope)])) as Record<Scope, T>;
}

function mapRecord<K extends string, A, B>(record: Record<K, A>, map: (value: A) => B): Record<K, B> {
  return Object.fromEntries(Object.entries<A>(record).map(([key, value]) => [key, map(value)])) as Record<
    K,
    B
  >;
}
