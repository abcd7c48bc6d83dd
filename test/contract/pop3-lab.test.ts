import { LabPop3Server } from '../../src/lab/pop3/server.ts';
import { pop3Source } from '../../src/source/pop3/pop3-source.ts';
import { onCleanup } from '../support/cleanup.ts';
import { imapSettings } from '../support/imap-settings.ts';
import { subjectOf } from '../support/intake.ts';
import { type ContractServer, sourceContract } from './source-suite.ts';

sourceContract(async (): Promise<ContractServer> => {
  const lab = new LabPop3Server();
  const port = await lab.start();
  onCleanup(() => lab.stop());
  let users = 0;
  return {
    dispositions: ['leave', 'delete'],
    hasFolders: true,
    hasDates: false,
    hasExactSizes: true,
    tellsNews: false,
    loginAdvice: /password/,
    snapshot: true,
    // The last line of a message has an end on the wire (RFC 1939 section 3).
    served: (message) =>
      message.toString('latin1').endsWith('\r\n') ? message : Buffer.concat([message, CRLF]),
    async newMailbox() {
      users += 1;
      const user = `user${users}`;
      lab.addUser(user, { password: 'secret' });
      const folder = lab.store.folder(user, 'INBOX');
      return {
        folder: 'INBOX',
        source: ({ password = 'secret' } = {}) => pop3Source(imapSettings({ port, user, password })),
        deliver: async (message) => void lab.deliver(user, message),
        deliverMany: async (count, make) => {
          for (let index = 0; index < count; index += 1) lab.deliver(user, make(index));
        },
        removeBySubject: async (subject) => {
          const found = folder.messages.filter(({ content }) => subjectOf(content.bytes()) === subject);
          folder.remove(new Set(found));
        },
        look: async () =>
          folder.messages.map(({ content, flags }) => ({
            subject: subjectOf(content.bytes()),
            seen: flags.has('\\Seen'),
          })),
      };
    },
  };
});

const CRLF = Buffer.from('\r\n');
