/** Intake from a lab Gmail, pass by pass when the test says so. Nothing is processed. */
import { FolderSync } from '../../src/intake/folder-sync.ts';
import type { LabMailbox } from '../../src/lab/gmail/mail-store.ts';
import type { GmailOptions, GmailSettings } from '../../src/source/gmail/settings.ts';
import type { Session } from '../../src/source/source.ts';
import type { MailboxSettings } from '../../src/store/mailbox-settings.ts';
import { deliver, type GmailLab, startGmailLab } from './gmail-lab.ts';
import { type Intake, startIntake } from './intake.ts';
import { simpleMessage } from './messages.ts';

export interface GmailIntake {
  lab: GmailLab;
  mailbox: LabMailbox;
  intake: Intake;
  /** New mail in the inbox; returns the ids. */
  deliver(subjects: Iterable<string>): string[];
  /** Reads the folder once. Returns how many messages were added. */
  pass(settings?: GmailPass): Promise<number>;
}

export interface GmailPass {
  folder?: string;
  wrap?(session: Session): Session;
  settings?: Partial<GmailSettings>;
  options?: Partial<GmailOptions>;
}

export const ADDRESS = 'desk@example.com';

export async function startGmailIntake(settings: Partial<MailboxSettings> = {}): Promise<GmailIntake> {
  const [lab, intake] = await Promise.all([startGmailLab(), startIntake(settings)]);
  const mailbox = lab.addUser(ADDRESS);
  return {
    lab,
    mailbox,
    intake,
    deliver: (subjects) => [...subjects].map((subject) => deliver(mailbox, simpleMessage(subject))),
    async pass({ folder = 'INBOX', wrap, settings: changes, options } = {}) {
      const source = lab.source(ADDRESS, changes, options);
      const connected = await source.connect(new AbortController().signal);
      const session = wrap?.(connected) ?? connected;
      try {
        const sync = await FolderSync.open(intake.context, intake.held, session, folder, {
          signal: new AbortController().signal,
          onProgress: () => undefined,
          careful: false,
        });
        return await sync.run();
      } finally {
        await connected.close();
      }
    },
  };
}
