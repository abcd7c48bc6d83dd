/** The same tests against a Gmail that others wrote. What it lacks is listed with {@link GmailEmulator}. */
import { gmailSource } from '../../src/source/gmail/gmail-source.ts';
import { startGmailEmulator } from '../support/gmail-emulate.ts';
import { fixedToken, QUICK } from '../support/gmail-lab.ts';
import { type ContractServer, sourceContract } from './source-suite.ts';

sourceContract(async (): Promise<ContractServer> => {
  const emulator = await startGmailEmulator();
  let arrived = 0;
  const messagesOf = async (label: string): Promise<{ subject: string; seen: boolean; id: string }[]> => {
    const { labels } = (await emulator.call('GET', 'labels')) as { labels: { id: string; name: string }[] };
    const id = labels.find(({ name }) => name === label)?.id;
    if (id === undefined) return [];
    const { messages = [] } = await emulator.call('GET', `messages?labelIds=${id}&maxResults=500`);
    const found = [];
    for (const message of (messages as { id: string }[]).reverse()) {
      const { raw, labelIds } = await emulator.call('GET', `messages/${message.id}?format=raw`);
      const text = Buffer.from(String(raw), 'base64url').toString('latin1');
      const subject = /^Subject: (.*?)\r?$/m.exec(text)?.[1] ?? '';
      found.push({ id: message.id, subject, seen: !(labelIds as string[]).includes('UNREAD') });
    }
    return found;
  };
  const deliver = async (message: Buffer, internalDate?: Date): Promise<void> => {
    // It tells the order of arrival by the millisecond.
    arrived += 1;
    const at = internalDate?.getTime() ?? Date.parse('2026-01-01T00:00:00Z') + arrived;
    const raw = message.toString('base64url');
    await emulator.call('POST', 'messages', { raw, labelIds: ['INBOX', 'UNREAD'], internalDate: String(at) });
  };
  return {
    dispositions: ['leave', 'seen', 'move', 'delete'],
    hasFolders: true,
    hasDates: true,
    listsKeysOnly: true,
    hasExactSizes: false,
    tellsNews: true,
    loginAdvice: /token/i,
    snapshot: false,
    served: (message) => message,
    async newMailbox() {
      await emulator.empty();
      return {
        folder: 'INBOX',
        source: ({ password = emulator.token } = {}) =>
          gmailSource(
            {
              user: 'me',
              tokens: fixedToken(password),
              folders: ['INBOX'],
              maxMessageBytes: 50 * 1024 * 1024,
              rootUrl: emulator.rootUrl,
              tlsCa: emulator.certificate.cert,
            },
            QUICK,
          ),
        deliver: (message, options) => deliver(message, options?.internalDate),
        deliverMany: async (count, make) => {
          for (let index = 0; index < count; index += 1) await deliver(make(index));
        },
        async removeBySubject(subject) {
          for (const message of await messagesOf('INBOX')) {
            if (message.subject === subject) await emulator.call('DELETE', `messages/${message.id}`);
          }
        },
        look: (folder) => messagesOf(folder),
      };
    },
  };
});
