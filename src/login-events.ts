/** Tells what became of access tokens and credentials, in the words of the catalogue. */
import type { LoginEvent } from './mailbox-source.ts';
import type { Events } from './observe/events.ts';
import { mailboxOf } from './store/oauth-tokens.ts';

export function tellLogin(events: Events, event: LoginEvent): void {
  if (event.kind === 'used') {
    events.emit('credential.used', { mailbox: event.mailbox, credential: event.credentialId });
    return;
  }
  if (event.kind === 'refused') {
    const { mailbox, credentialId: credential, error } = event;
    events.emit('credential.refused', { mailbox, credential, code: error.code, message: error.message });
    return;
  }
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
