/** Tells what became of access tokens, in the words of the catalogue. */
import type { Events } from './observe/events.ts';
import type { TokenEvent } from './source/oauth/token-service.ts';
import { mailboxOf } from './store/oauth-tokens.ts';

export function tellToken(events: Events, event: TokenEvent): void {
  const mailbox = mailboxOf(event.credential);
  if (mailbox === null) return;
  if (event.kind === 'renewed') {
    events.emit('token.renewed', { mailbox, lifeSeconds: Math.round(event.lifeMs / 1000) });
    return;
  }
  const { failure, attempts, waitMs } = event;
  const { code, message, reason, terminal } = failure;
  const retryInMs = terminal ? null : waitMs;
  events.emit('token.failed', { mailbox, code, reason, message, attempts, retryInMs });
}
