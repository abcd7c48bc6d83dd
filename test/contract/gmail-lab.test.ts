import { deliver, fixedToken, lookInto, removeBySubject, startGmailLab } from '../support/gmail-lab.ts';
import { type ContractServer, sourceContract } from './source-suite.ts';

sourceContract(async (): Promise<ContractServer> => {
  const lab = await startGmailLab();
  let users = 0;
  return {
    dispositions: ['leave', 'seen', 'move', 'delete'],
    hasFolders: true,
    hasDates: true,
    listsKeysOnly: true,
    hasExactSizes: true,
    tellsNews: true,
    loginAdvice: /token/i,
    snapshot: false,
    served: (message) => message,
    async newMailbox() {
      users += 1;
      const address = `user${users}@example.com`;
      const mailbox = lab.addUser(address);
      return {
        folder: 'INBOX',
        source: ({ password, noopMs } = {}) =>
          lab.source(address, password === undefined ? {} : { tokens: fixedToken(password) }, {
            ...(noopMs === undefined ? {} : { hintMs: noopMs }),
          }),
        deliver: async (message, options) => void deliver(mailbox, message, options?.internalDate),
        deliverMany: async (count, make) => {
          for (let index = 0; index < count; index += 1) deliver(mailbox, make(index));
        },
        removeBySubject: async (subject) => removeBySubject(mailbox, subject),
        look: (folder) => lookInto(mailbox, folder),
      };
    },
  };
});
