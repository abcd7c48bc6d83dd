/** The settings that decide the outcome of a message, put together for one mailbox. Pure. */
import type { Config } from '../config/settings.ts';
import type { Mailbox } from '../store/mailboxes.ts';
import { type SendingSettings, sendingOf } from '../store/sending-settings.ts';
import { type Control, withControl } from '../ticket/control.ts';
import type { LabelSet } from '../ticket/formatted-mail.ts';
import { defaultGlobalPolicy, type GlobalPolicy, type MailboxPolicy } from '../ticket/policy.ts';
import type { SiteAddresses } from '../ticket/site.ts';

export interface ProcessingPolicy {
  mailboxId: number;
  mailbox: MailboxPolicy;
  global: GlobalPolicy;
  /** Addresses of all mailboxes: mail from one of them is our own. Lower case. */
  ownAddresses: string[];
  /** Addresses of this mailbox. */
  mailboxAddresses: string[];
  sites: readonly SiteAddresses[];
  mailboxName: string;
  /** How the mailbox sends; null when it cannot, and then nothing is answered. */
  sending: (SendingSettings & { address: string }) | null;
  /** Keys of reply tokens, the current one first. */
  tokenKeys: readonly Uint8Array[];
  /** What labelled mail is read by. */
  labelSets: readonly LabelSet[];
}

export function processingPolicy(
  mailbox: Mailbox,
  all: ReadonlyMap<number, Mailbox>,
  mail: Config['mail'],
  sites: readonly SiteAddresses[],
  tokenKeys: readonly Uint8Array[],
  labelSets: readonly LabelSet[],
  control: Control,
): ProcessingPolicy {
  return {
    mailboxId: mailbox.id,
    mailbox: withControl(mailbox.settings.policy, control),
    global: { ...defaultGlobalPolicy(), ...mail, ...control.policy },
    ownAddresses: [...new Set([...all.values()].flatMap((one) => lower(one.settings.addresses)))],
    mailboxAddresses: lower(mailbox.settings.addresses),
    sites,
    mailboxName: mailbox.name,
    sending: sendingOf(mailbox),
    tokenKeys,
    labelSets,
  };
}

function lower(addresses: readonly string[]): string[] {
  return addresses.map((address) => address.toLowerCase());
}
