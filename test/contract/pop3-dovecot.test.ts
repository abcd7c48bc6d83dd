import { pop3Source } from '../../src/source/pop3/pop3-source.ts';
import { startDovecot } from '../support/dovecot.ts';
import { type Account, lookInto, removeBySubject } from '../support/imap-mailbox.ts';
import { imapSettings } from '../support/imap-settings.ts';
import { type ContractServer, sourceContract } from './source-suite.ts';

sourceContract(async (): Promise<ContractServer> => {
  const dovecot = await startDovecot({ pop3: true });
  const { certificate, ports } = dovecot;
  const tlsCa = certificate.cert;
  let users = 0;
  return {
    dispositions: ['leave', 'delete'],
    hasFolders: true,
    hasDates: false,
    hasExactSizes: true,
    tellsNews: false,
    loginAdvice: /password/,
    snapshot: true,
    // Dovecot serves every line with CRLF, the last one too, whatever the file has.
    served: (message) => {
      const lines = message.toString('latin1').replace(/\r?\n/g, '\r\n');
      return Buffer.from(lines.endsWith('\r\n') ? lines : `${lines}\r\n`, 'latin1');
    },
    async newMailbox() {
      users += 1;
      const user = `user${users}`;
      const account: Account = { port: ports.imap, user, password: 'secret' };
      await dovecot.addUser(user, 'secret');
      return {
        folder: 'INBOX',
        // Each mailbox by another road: both kinds of TLS are part of what must work.
        source: ({ password = 'secret' } = {}) =>
          pop3Source(
            users % 2 === 0
              ? imapSettings({ port: ports.pop3s, tls: 'implicit', tlsCa, user, password })
              : imapSettings({ port: ports.pop3, tls: 'starttls', tlsCa, user, password }),
          ),
        deliver: (message, options) => dovecot.deliver(user, message, options),
        deliverMany: (count, make) => dovecot.deliverMany(user, count, make),
        removeBySubject: (subject) => removeBySubject(account, 'INBOX', subject),
        look: (folder) => lookInto(account, folder),
      };
    },
  };
});
