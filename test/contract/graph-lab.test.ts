import { LabGraphServer } from '../../src/lab/graph/server.ts';
import { GraphMailbox } from '../../src/source/graph/graph-source.ts';
import { onCleanup } from '../support/cleanup.ts';
import { graphSettings, labCertificate, tokensOf } from '../support/graph-lab.ts';
import { subjectOf } from '../support/intake.ts';
import { type ContractServer, sourceContract } from './source-suite.ts';

sourceContract(async (): Promise<ContractServer> => {
  const lab = new LabGraphServer({ certificate: labCertificate() });
  await lab.start();
  onCleanup(() => lab.stop());
  lab.grant('secret');
  let users = 0;
  return {
    dispositions: ['leave', 'seen', 'move', 'delete'],
    hasFolders: true,
    hasDates: true,
    hasExactSizes: false,
    tellsNews: false,
    snapshot: false,
    loginAdvice: /access token/,
    served: (message) => message,
    async newMailbox() {
      users += 1;
      const address = `user${users}@example.org`;
      const mailbox = lab.addMailbox(address);
      const inbox = mailbox.folder('inbox')!;
      return {
        folder: 'INBOX',
        source: ({ password = 'secret' } = {}) =>
          new GraphMailbox(graphSettings(lab.host, { mailbox: address }), tokensOf(password)).source(),
        deliver: async (message, { internalDate } = {}) =>
          void lab.deliver(address, message, internalDate ? { receivedDateTime: internalDate } : {}),
        deliverMany: async (count, make) => {
          for (let index = 0; index < count; index += 1) lab.deliver(address, make(index));
        },
        removeBySubject: async (subject) => {
          for (const message of inbox.messages) {
            if (subjectOf(message.content.bytes()) === subject) mailbox.remove(message);
          }
        },
        look: async (folder) =>
          (mailbox.folder(folder)?.messages ?? []).map(({ content, isRead }) => ({
            subject: subjectOf(content.bytes()),
            seen: isRead,
          })),
      };
    },
  };
});
