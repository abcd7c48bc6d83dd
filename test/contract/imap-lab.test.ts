import { LabImapServer } from '../../src/lab/imap/server.ts';
import { imapSource } from '../../src/source/imap/imap-source.ts';
import { onCleanup } from '../support/cleanup.ts';
import { type Account, lookInto, removeBySubject } from '../support/imap-mailbox.ts';
import { imapSettings } from '../support/imap-settings.ts';
import { type ContractServer, sourceContract } from './source-suite.ts';

sourceContract(async (): Promise<ContractServer> => {
  const lab = new LabImapServer();
  const port = await lab.start();
  onCleanup(() => lab.stop());
  let users = 0;
  return {
    dispositions: ['leave', 'seen', 'move', 'delete'],
    hasFolders: true,
    hasDates: true,
    hasExactSizes: true,
    tellsNews: true,
    loginAdvice: /password/,
    snapshot: false,
    served: (message) => message,
    async newMailbox() {
      users += 1;
      const user = `user${users}`;
      const account: Account = { port, user, password: 'secret' };
      lab.addUser(user, { password: 'secret' });
      return {
        folder: 'INBOX',
        source: ({ password = 'secret' } = {}) => imapSource(imapSettings({ port, user, password })),
        deliver: async (message, options) => void lab.deliver(user, 'INBOX', message, options),
        deliverMany: async (count, make) => {
          for (let index = 0; index < count; index += 1) lab.deliver(user, 'INBOX', make(index));
        },
        removeBySubject: (subject) => removeBySubject(account, 'INBOX', subject),
        look: (folder) => lookInto(account, folder),
      };
    },
  };
});
