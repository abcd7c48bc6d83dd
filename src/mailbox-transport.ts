/** Makes the way out of a mailbox from its settings and secrets. Loaded when the first mail is sent: it is much code. */
import { fail } from './errors.ts';
import { type LoginSecrets, smtpCredentialOf } from './mailbox-credential.ts';
import type { Transport } from './send/mail.ts';
import type { MadeSource } from './source/make-source.ts';
import type { AccessTokens } from './source/oauth/access-tokens.ts';
import type { Credential } from './source/oauth/credential.ts';
import type { Mailbox } from './store/mailboxes.ts';
import { sendingOf } from './store/sending-settings.ts';

/** `made`: the mailbox as something that is read, whose limits an API counts together with what is sent. */
export async function makeTransport(
  mailbox: Pick<Mailbox, 'id' | 'kind' | 'settings'>,
  secrets: LoginSecrets,
  made: () => Promise<MadeSource>,
  tokensOf: (credential: Credential) => AccessTokens,
): Promise<Transport> {
  const sending = sendingOf(mailbox);
  if (sending?.by === 'api') {
    const { graph, gmail } = await made();
    if (graph !== null) return (await import('./send/graph.ts')).graphTransport(graph);
    if (gmail !== null) return (await import('./send/gmail.ts')).gmailTransport(gmail());
  }
  const smtp = sending?.smtp;
  if (!smtp) {
    throw fail('send_not_configured', 'The mailbox has no server to send by.', { mailbox: mailbox.id });
  }
  const { auth, user, ...server } = smtp;
  const { smtpTransport } = await import('./send/smtp.ts');
  switch (auth) {
    case 'none':
      return smtpTransport({ ...server, login: { kind: 'none' } });
    case 'oauth': {
      const tokens = tokensOf(smtpCredentialOf(mailbox, secrets));
      return smtpTransport({ ...server, login: { kind: 'tokens', user, tokens } });
    }
    case 'password': {
      const password = secrets.smtp_password ?? secrets.password;
      if (password === undefined) throw fail('send_not_configured', 'The mailbox has no password for SMTP.');
      return smtpTransport({ ...server, login: { kind: 'password', user, password } });
    }
  }
}
