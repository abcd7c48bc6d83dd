/** The rules as of their newest version, kept in memory; read again when a notice or the clock says so. */
import type { Events } from '../observe/events.ts';
import type { Rule } from '../rule/rule.ts';
import type { Database } from '../store/database.ts';
import { loadRuleSet, rulesVersion } from '../store/rules.ts';

/** A notice may be lost; this bounds how long a change can go unnoticed. */
const CHECK_MS = 5_000;

export interface CachedRules {
  version: number;
  rules: Rule[];
  byId: Map<number, Rule>;
}

export class RuleCache {
  readonly #db: Database;
  readonly #events: Events;
  #cached: CachedRules | null = null;
  #checkedAt = Number.NEGATIVE_INFINITY;
  #loading: Promise<CachedRules> | null = null;

  constructor(db: Database, events: Events) {
    this.#db = db;
    this.#events = events;
  }

  /** Look again before the next use. */
  invalidate(): void {
    this.#checkedAt = Number.NEGATIVE_INFINITY;
  }

  async current(): Promise<CachedRules> {
    if (this.#cached !== null && performance.now() - this.#checkedAt < CHECK_MS) return this.#cached;
    this.#loading ??= this.#load().finally(() => {
      this.#loading = null;
    });
    return await this.#loading;
  }

  async #load(): Promise<CachedRules> {
    const checkedAt = performance.now();
    if (this.#cached === null || (await rulesVersion(this.#db)) !== this.#cached.version) {
      const started = performance.now();
      const { version, rules } = await loadRuleSet(this.#db);
      this.#cached = { version, rules, byId: new Map(rules.map((rule) => [rule.id, rule])) };
      const milliseconds = Math.round(performance.now() - started);
      this.#events.emit('rules.loaded', { version, rules: rules.length, milliseconds });
    }
    this.#checkedAt = checkedAt;
    return this.#cached;
  }
}
