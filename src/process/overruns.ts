/**
 * Rules whose patterns are too expensive for what mail there is: each such message costs a thread the whole budget of
 * a search, and the rule decides nothing. After many of them the rule is switched off, and people are told.
 */
import { LIMITS } from '../limits.ts';
import type { Events } from '../observe/events.ts';
import { writeAudit } from '../store/audit-log.ts';
import type { Database } from '../store/database.ts';
import { lockRuleSet } from '../store/row-locks.ts';
import { disableRule } from '../store/rules.ts';
import type { Analysis } from './analysis.ts';
import type { CachedRules } from './rule-cache.ts';

const WINDOW_MS = 60 * 60_000;
const ACTOR = 'system';

/** Counts in memory: a process that starts anew, or another worker, counts for itself. */
export class OverrunCounter {
  readonly #seen = new Map<number, { count: number; since: number }>();
  readonly #limit: number;
  readonly #clock: () => number;

  constructor(limit: number = LIMITS.ruleOverruns, clock: () => number = () => performance.now()) {
    this.#limit = limit;
    this.#clock = clock;
  }

  /** Notes what rules did with messages. Returns those that are to be switched off, with their counts. */
  note(matches: readonly Analysis['match'][]): Map<number, number> {
    const spent = new Map<number, number>();
    const now = this.#clock();
    for (const { ruleId, passedOver } of matches) {
      // It works for some of the mail, so it stays.
      if (ruleId !== null) this.#seen.delete(ruleId);
      for (const verdict of passedOver) {
        if (verdict.overran !== true) continue;
        const known = this.#seen.get(verdict.ruleId);
        const seen = known === undefined || now - known.since > WINDOW_MS ? { count: 0, since: now } : known;
        seen.count += 1;
        this.#seen.set(verdict.ruleId, seen);
        if (seen.count >= this.#limit) spent.set(verdict.ruleId, seen.count);
      }
    }
    for (const ruleId of spent.keys()) this.#seen.delete(ruleId);
    return spent;
  }
}

/** Switches off a rule that is still as it was when it was judged. */
export async function switchOff(
  context: { db: Database; events: Events },
  rules: CachedRules,
  ruleId: number,
  overruns: number,
): Promise<void> {
  const judged = rules.byId.get(ruleId);
  if (judged === undefined) return;
  const reason =
    `Penstock switched this rule off: its patterns were too large for ${overruns} messages within an hour, and it ` +
    'matched nothing meanwhile. Make them smaller, or add a condition on sender or subject, and switch it on again.';
  const disabled = await context.db.transaction().execute(async (tx) => {
    await lockRuleSet(tx);
    const rule = await disableRule(tx, judged, reason, ACTOR);
    if (rule === null) return false;
    const change = { enabled: false, reason };
    await writeAudit(tx, { actor: ACTOR, action: 'disable', entity: 'email_rule', entityId: ruleId, change });
    return true;
  });
  if (disabled) context.events.emit('rule.disabled', { rule: ruleId, overruns });
}
