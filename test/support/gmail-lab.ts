/** A lab Gmail with users, and sources for them that do not wait for a quota: it ends with the test file. */
import { simpleParser } from 'mailparser';
import type { LabMailbox } from '../../src/lab/gmail/mail-store.ts';
import { LabGmailServer } from '../../src/lab/gmail/server.ts';
import { GmailApi } from '../../src/source/gmail/api.ts';
import { gmailSource } from '../../src/source/gmail/gmail-source.ts';
import {
  DEFAULT_GMAIL_OPTIONS,
  type GmailOptions,
  type GmailSettings,
} from '../../src/source/gmail/settings.ts';
import { gmailWatch } from '../../src/source/gmail/watch.ts';
import type { AccessTokens } from '../../src/source/oauth/access-tokens.ts';
import { GMAIL_API_SCOPE } from '../../src/source/oauth/authority.ts';
import type { Source } from '../../src/source/source.ts';
import type { Subscriptions } from '../../src/source/subscriptions.ts';
import { onCleanup } from './cleanup.ts';

/** Quick, and with a quota that no test reaches. */
export const QUICK: Partial<GmailOptions> = { hintMs: 50, retryMs: 20, unitsPerMinute: 10_000_000 };

export interface GmailLab {
  server: LabGmailServer;
  addUser(address: string): LabMailbox;
  source(address: string, changes?: Partial<GmailSettings>, options?: Partial<GmailOptions>): Source;
  /** How Gmail is asked to tell of mail to this address. */
  watch(address: string): Subscriptions;
}

/** Always the same token. */
export const fixedToken = (token: string): AccessTokens => ({
  get: async () => token,
  rejected: async () => undefined,
});

/** The token of a user is `token-<address>`, with the scope that the source needs. */
export async function startGmailLab(): Promise<GmailLab> {
  const users = new Set<string>();
  const server = new LabGmailServer({
    callerOf(token) {
      const user = token.replace(/^token-/, '');
      return users.has(user) && token !== user ? { user, scope: GMAIL_API_SCOPE } : null;
    },
  });
  await server.start();
  onCleanup(() => server.stop());
  const settings = (address: string): GmailSettings => ({
    user: address,
    tokens: fixedToken(`token-${address}`),
    folders: ['INBOX'],
    maxMessageBytes: 50 * 1024 * 1024,
    rootUrl: server.rootUrl,
    tlsCa: server.certificate.cert,
  });
  return {
    server,
    addUser(address) {
      users.add(address);
      return server.addUser(address);
    },
    source: (address, changes, options) =>
      gmailSource({ ...settings(address), ...changes }, { ...QUICK, ...options }),
    watch: (address) => gmailWatch(() => new GmailApi(settings(address), DEFAULT_GMAIL_OPTIONS)),
  };
}

/** What somebody else sees in a label, oldest first. */
export async function lookInto(
  mailbox: LabMailbox,
  name: string,
): Promise<{ subject: string; seen: boolean }[]> {
  const label = [...mailbox.labels.values()].find((one) => one.name === name);
  if (label === undefined) return [];
  const found = mailbox.withLabels([label.id], false).sort((a, b) => (a.id < b.id ? -1 : 1));
  return await Promise.all(
    found.map(async ({ raw, labels }) => ({
      subject: (await simpleParser(raw)).subject ?? '',
      seen: !labels.has('UNREAD'),
    })),
  );
}

export function removeBySubject(mailbox: LabMailbox, subject: string): void {
  for (const { id, raw } of [...mailbox.messages.values()]) {
    if (raw.toString('latin1').includes(`Subject: ${subject}\r\n`)) mailbox.delete(id);
  }
}

/** New mail as it comes in. */
export function deliver(mailbox: LabMailbox, message: Buffer, internalDate?: Date): string {
  return mailbox.add(message, ['INBOX', 'UNREAD'], internalDate?.getTime()).id;
}
