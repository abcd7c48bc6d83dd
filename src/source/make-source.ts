/** Makes the source for an account: the one place that knows which code speaks for which kind. */
import { imapSource } from './imap/imap-source.ts';
import { pop3Source } from './pop3/pop3-source.ts';
import type { ServerSettings, Source } from './source.ts';

/** A mailbox on its server with all that is needed to log in, by kind. A kind without host and port has a shape of its own. */
export type Account = { kind: 'imap'; server: ServerSettings } | { kind: 'pop3'; server: ServerSettings };

export function makeSource(account: Account): Source {
  switch (account.kind) {
    case 'imap':
      return imapSource(account.server);
    case 'pop3':
      return pop3Source(account.server);
  }
}
