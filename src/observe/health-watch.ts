/** Looks at the health of all mailboxes from time to time and tells once what changed, without being asked. */
import { type Ailing, stepAlerts } from './alert.ts';
import type { Events } from './events.ts';
import type { Facts } from './facts.ts';
import { judgeHealth } from './health.ts';

const EVERY_MS = 30_000;

/** Starts to watch; call the answer to stop. */
export function watchHealth(readFacts: () => Promise<Facts>, events: Events): () => void {
  let ailing: ReadonlyMap<number, Ailing> = new Map();
  const look = async (): Promise<void> => {
    ailing = tell(ailing, await readFacts(), events);
  };
  const timer = setInterval(() => void look(), EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** One look: emits what people should be told and returns what to remember. */
export function tell(
  before: ReadonlyMap<number, Ailing>,
  facts: Facts,
  events: Events,
): ReadonlyMap<number, Ailing> {
  // Without the database nothing is known about mailboxes. What people were told stays; an outage is no part of how long
  // the others have been ailing, or its end would find all of them overdue.
  if (!facts.database.ok) return new Map([...before].filter(([, { told }]) => told));
  const { mailboxes } = judgeHealth(facts, facts.now);
  const step = stepAlerts(before, mailboxes, facts.now);
  for (const { id, status, reason } of step.raised) {
    events.emit('mailbox.unhealthy', { mailbox: id, status, reason });
  }
  for (const { id, unhealthySeconds } of step.resolved) {
    events.emit('mailbox.healthy', { mailbox: id, unhealthySeconds });
  }
  return step.ailing;
}
