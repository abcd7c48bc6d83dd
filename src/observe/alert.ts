/**
 * When people are told about a mailbox: once when it has been unhealthy for a while, once when it is well again.
 * A short drop is told to nobody. Pure; the caller has the clock.
 */
import { LIMITS } from '../limits.ts';
import type { MailboxHealth } from './health.ts';

/** An unhealthy mailbox that is being watched. `told`: people know. */
export interface Ailing {
  since: Date;
  told: boolean;
}

export interface AlertStep {
  ailing: Map<number, Ailing>;
  raised: MailboxHealth[];
  resolved: { id: number; unhealthySeconds: number }[];
}

/** From what was known before and the health now: what to tell, and what to remember. */
export function stepAlerts(
  before: ReadonlyMap<number, Ailing>,
  mailboxes: readonly MailboxHealth[],
  now: Date,
): AlertStep {
  const step: AlertStep = { ailing: new Map(), raised: [], resolved: [] };
  for (const mailbox of mailboxes) {
    const known = before.get(mailbox.id);
    if (mailbox.healthy) {
      if (known?.told) step.resolved.push({ id: mailbox.id, unhealthySeconds: seconds(known.since, now) });
      continue;
    }
    const since = known?.since ?? now;
    const told = known?.told ?? false;
    const isTime = !told && seconds(since, now) >= LIMITS.alertAfterSeconds;
    if (isTime) step.raised.push(mailbox);
    step.ailing.set(mailbox.id, { since, told: told || isTime });
  }
  return step;
}

function seconds(from: Date, to: Date): number {
  return Math.round((to.getTime() - from.getTime()) / 1000);
}
