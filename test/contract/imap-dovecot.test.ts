import { imapSource } from '../../src/source/imap/imap-source.ts';
import { startDovecot } from '../support/dovecot.ts';
import { type Account, lookInto, removeBySubject } from '../support/imap-mailbox.ts';
import { imapSettings } from '../support/imap-settings.ts';
import { type ContractServer, sourceContract } from './source-suite.ts';

sourceContract(async (): Promise<ContractServer> => {
  const dovecot = await startDovecot();
  const { certificate, ports } = dovecot;
  let users = 0;
  return {
    dispositions: ['leave', 'seen', 'move', 'delete'],
    hasFolders: true,
    hasDates: true,
    hasExactSizes: true,
    tellsNews: true,
    loginAdvice: /password/,
    snapshot: false,
    // Dovecot serves every line with CRLF, as IMAP demands, whatever the file has.
    served: (message) => Buffer.from(message.toString('latin1').replace(/\r?\n/g, '\r\n'), 'latin1'),
    async newMailbox() {
      users += 1;
      const user = `user${users}`;
      const account: Account = { port: ports.imap, user, password: 'secret' };
      await dovecot.addUser(user, 'secret');
      return {
        folder: 'INBOX',
        // Each mailbox by another road: both kinds of TLS are part of what must work.
        source: ({ password = 'secret' } = {}) =>
          imapSource(
            users % 2 === 0
              ? imapSettings({ port: ports.imaps, tls: 'implicit', tlsCa: certificate.cert, user, password })
              : imapSettings({ port: ports.imap, tls: 'starttls', tlsCa: certificate.cert, user, password }),
          ),
        deliver: (message, options) => dovecot.deliver(user, message, options),
        deliverMany: (count, make) => dovecot.deliverMany(user, count, make),
        removeBySubject: (subject) => removeBySubject(account, 'INBOX', subject),
        look: (folder) => lookInto(account, folder),
      };
    },
  };
});
