import type { GlobalPolicy, MailboxPolicy, UnmatchedPolicy } from './policy.ts';

/** Settings of the installation that people change while it runs (halo-domain.md section 7). Absent = not set here. */
export interface Control {
  /** Wins over the configuration file. */
  policy?: Partial<Pick<GlobalPolicy, ControlledPolicy>>;
  /** For mailboxes that leave the same setting at its default. */
  newcomers?: {
    unmatchedUsers?: UnmatchedPolicy;
    defaultRequesterId?: number;
    newRequesterSiteId?: number;
    newRequesterWelcome?: boolean;
    newRequesterAcknowledge?: boolean;
  };
  /** The mailbox that mail goes out from when none is named. */
  defaultMailboxId?: number;
}

export type ControlledPolicy =
  | 'subjectStartTag'
  | 'subjectEndTag'
  | 'mustMatchRule'
  | 'matchSubjectAndSender'
  | 'onlySameMailbox'
  | 'autoReplyDontUpdate'
  | 'stopNewTickets'
  | 'stopNewTicketsTemplateId'
  | 'privateFromOtherDomain'
  | 'alternativeAddresses';

/** The policy of a mailbox with what the installation says about newcomers. Which of the two wins is not public in Halo. */
export function withControl(policy: MailboxPolicy, { newcomers = {} }: Control): MailboxPolicy {
  const isDefault = policy.unmatchedUsers === 'create';
  return {
    ...policy,
    unmatchedUsers: (isDefault ? newcomers.unmatchedUsers : undefined) ?? policy.unmatchedUsers,
    defaultRequesterId: policy.defaultRequesterId || (newcomers.defaultRequesterId ?? 0),
    newRequesterSiteId: policy.newRequesterSiteId || (newcomers.newRequesterSiteId ?? 0),
    newRequesterWelcome: policy.newRequesterWelcome || newcomers.newRequesterWelcome === true,
    newRequesterAcknowledge: policy.newRequesterAcknowledge || newcomers.newRequesterAcknowledge === true,
  };
}
