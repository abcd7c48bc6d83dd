/**
 * What a person must change when an IMAP or POP3 server refuses a login, by the words of the server: there are no codes
 * for most of it. Pure. The texts are those of Gmail, Exchange Online, Outlook.com, Yahoo and Dovecot.
 */
import type { PenstockError } from '../errors.ts';

const SWITCHED_ON =
  'Gmail: Settings, "Forwarding and POP/IMAP"; Microsoft 365: Set-CASMailbox, or the apps of the user in the admin center.';

type Protocol = 'IMAP' | 'POP';

const ADVICE: readonly [said: RegExp, advice: (protocol: Protocol) => string][] = [
  [
    /login was taken but|authenticated but not connected/i,
    (protocol) =>
      `The login is right; the mailbox is not opened with it. Switch ${protocol} on for it (Set-CASMailbox), and check ` +
      'that it exists and that this user may open it. If it worked a while ago, the server limits us: wait.',
  ],
  [
    /not enabled for (imap|pop)|(imap|pop3?)4?\b.{0,30}\b(disabled|not enabled|switched off|not allowed)/i,
    (protocol) => `Switch ${protocol} on for this account. ${SWITCHED_ON}`,
  ],
  [
    /application-specific password|app(lication)? password|web ?login|log in via your web browser/i,
    () => 'This account takes an app password or OAuth, not the ordinary password. Make an app password.',
  ],
  [
    /basic ?auth|(plain|login) (authentication )?(is )?(disabled|disallowed)|BasicAuthBlocked/i,
    () => 'This server takes no passwords any more. Use OAuth for this mailbox.',
  ],
];

/** What to change; null when the words say nothing that is known here. */
export function loginAdviceFor(protocol: Protocol, { message, fields }: PenstockError): string | null {
  const said = `${message} ${String(fields.server ?? '')}`;
  return ADVICE.find(([pattern]) => pattern.test(said))?.[1](protocol) ?? null;
}
