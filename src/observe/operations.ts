/** What the API shows to operators: liveness, readiness and metrics, from one reading of the facts. */
import { LIMITS } from '../limits.ts';
import type { Events } from './events.ts';
import { createFactReader, type FactSources } from './facts.ts';
import { type Health, judgeHealth } from './health.ts';
import { watchHealth } from './health-watch.ts';
import { createLiveness } from './liveness.ts';
import { createMetrics } from './metrics.ts';

export interface Operations {
  live(): Promise<{ ok: boolean; body: object }>;
  ready(): Promise<{ ok: boolean; body: Health }>;
  metrics(): Promise<{ contentType: string; body: string }>;
  /** Ends the watch over the mailboxes. */
  stop(): void;
}

/** Begins to count events and to watch the mailboxes. Call it before the first event. */
export function startOperations(events: Events, sources: FactSources): Operations {
  const readFacts = createFactReader(sources);
  const metrics = createMetrics({ events, readFacts });
  const liveness = createLiveness();
  return {
    async live() {
      const { live, reason } = liveness();
      return { ok: live, body: { live, reason } };
    },
    async ready() {
      const facts = await readFacts();
      const health = judgeHealth(facts, facts.now);
      return { ok: health.ready, body: { ...health, mailboxes: sickFirst(health.mailboxes) } };
    },
    async metrics() {
      return { contentType: metrics.contentType, body: await metrics.render() };
    },
    stop: watchHealth(readFacts, events),
  };
}

/** With thousands of mailboxes the answer stays small, and those that matter are in it. */
function sickFirst(mailboxes: Health['mailboxes']): Health['mailboxes'] {
  return mailboxes
    .toSorted((a, b) => Number(a.healthy) - Number(b.healthy) || a.id - b.id)
    .slice(0, LIMITS.healthMailboxes);
}
