/** The settings of Halo's `/Control` that decide about mail (halo-domain.md section 7). */
import Type, { type Static } from 'typebox';
import type { Config } from '../../config/settings.ts';
import type { Control, ControlledPolicy } from '../../ticket/control.ts';
import { invalid } from '../http/problem.ts';
import { UNMATCHED_USERS } from './enums.ts';
import { flag, int, text } from './fields.ts';

export const HaloControl = Type.Object(
  {
    email_start_tag: text('Text before a ticket id in a subject.', 100),
    email_end_tag: text('Text after it.', 100),
    emailmustmatchrule: flag('Mail that matches no rule and no ticket is ignored.'),
    matchemailsonsubjectandfrom: flag('Thread by equal subject and sender when nothing better is there.'),
    onlyrouteemailtoexistingticketifsamemailbox: flag(
      'A reply joins a ticket only in the mailbox it came from.',
    ),
    auto_reply_dont_update: flag('An auto-reply is recorded but does not change its ticket.'),
    stopnewticketsviaemail: flag('Mail makes no new tickets, except by rule.'),
    stopnewticketsviaemailreplywithtemplate_id: int('Template that answers then; -1 = none.'),
    makeemailsfromdifferentdomainprivate: flag(
      "Mail from another domain than the requester's is hidden from end users.",
    ),
    usermatchalternativeemailaddress: flag(
      'Senders are matched by the second and third address of users, too.',
    ),
    incoming_unmatched_users: int(
      `What to do with unknown senders: ${UNMATCHED_USERS.allowed}. For mailboxes whose unmatched_users is 0.`,
    ),
    incoming_default_user: int('User for unknown senders, where the mailbox has none.'),
    incoming_newuser_default_site: int('Site of users that are made, where the mailbox has none.'),
    incoming_newuser_send_welcome_email: flag('Welcome users that were made, in every mailbox.'),
    incoming_newuser_send_ack: flag('Acknowledge the ticket of a user that was just made, in every mailbox.'),
    default_mailbox_id: int('Mailbox that mail goes out from when none is named; 0 = none.'),
  },
  { title: 'Control' },
);
export type ControlItem = Static<typeof HaloControl>;

const POLICY = [
  ['email_start_tag', 'subjectStartTag'],
  ['email_end_tag', 'subjectEndTag'],
  ['emailmustmatchrule', 'mustMatchRule'],
  ['matchemailsonsubjectandfrom', 'matchSubjectAndSender'],
  ['onlyrouteemailtoexistingticketifsamemailbox', 'onlySameMailbox'],
  ['auto_reply_dont_update', 'autoReplyDontUpdate'],
  ['stopnewticketsviaemail', 'stopNewTickets'],
  ['stopnewticketsviaemailreplywithtemplate_id', 'stopNewTicketsTemplateId'],
  ['makeemailsfromdifferentdomainprivate', 'privateFromOtherDomain'],
  ['usermatchalternativeemailaddress', 'alternativeAddresses'],
] as const satisfies readonly (readonly [keyof ControlItem, ControlledPolicy])[];

const NEWCOMERS = [
  ['incoming_default_user', 'defaultRequesterId', 0],
  ['incoming_newuser_default_site', 'newRequesterSiteId', 0],
  ['incoming_newuser_send_welcome_email', 'newRequesterWelcome', false],
  ['incoming_newuser_send_ack', 'newRequesterAcknowledge', false],
] as const;

/** What is in force: what was set, else what the configuration says. */
export function viewControl(
  { policy = {}, newcomers = {}, defaultMailboxId }: Control,
  mail: Config['mail'],
): ControlItem {
  const configured: Record<string, unknown> = {
    stopNewTicketsTemplateId: -1,
    alternativeAddresses: false,
    ...mail,
  };
  const view: Record<string, unknown> = {};
  for (const [field, key] of POLICY) view[field] = policy[key] ?? configured[key];
  for (const [field, key, byDefault] of NEWCOMERS) view[field] = newcomers[key] ?? byDefault;
  return {
    ...view,
    incoming_unmatched_users: UNMATCHED_USERS.code(newcomers.unmatchedUsers ?? 'create'),
    default_mailbox_id: defaultMailboxId ?? 0,
  };
}

/** Applies what is posted; null takes back what was set. Fails with `validation_failed`. */
export function draftControl(item: ControlItem, current: Control): Control {
  const policy: Record<string, unknown> = { ...current.policy };
  const newcomers: Record<string, unknown> = { ...current.newcomers };
  const set = (group: Record<string, unknown>, key: string, value: unknown): void => {
    if (value === undefined) return;
    if (value === null) delete group[key];
    else group[key] = value;
  };
  for (const [field, key] of POLICY) {
    if (item[field] === '') throw invalid(field, 'must not be empty');
    set(policy, key, item[field]);
  }
  for (const [field, key] of NEWCOMERS) set(newcomers, key, item[field]);
  const unmatched = item.incoming_unmatched_users;
  const word = typeof unmatched === 'number' ? UNMATCHED_USERS.word(unmatched) : unmatched;
  if (typeof unmatched === 'number' && word === null) {
    throw invalid('incoming_unmatched_users', `must be one of ${UNMATCHED_USERS.allowed}`);
  }
  set(newcomers, 'unmatchedUsers', word);
  const next: Record<string, unknown> = { ...current, policy, newcomers };
  set(next, 'defaultMailboxId', item.default_mailbox_id);
  return next as Control;
}
