/** What becomes of one message: the whole way from bytes to outcome, without a database. */

import { ruleFromHalo } from '../../../src/api/halo/email-rule.ts';
import { draftMailbox } from '../../../src/api/halo/mailbox-draft.ts';
import type { MailboxItem } from '../../../src/api/halo/mailbox-fields.ts';
import type { Config } from '../../../src/config/settings.ts';
import { analyse, isFailure } from '../../../src/process/analysis.ts';
import { decideBatch, prepare } from '../../../src/process/decide.ts';
import { processingPolicy } from '../../../src/process/policy.ts';
import { World, type WorldTicket } from '../../../src/process/world.ts';
import type { RequesterRow } from '../../../src/store/tickets.ts';
import type { Control } from '../../../src/ticket/control.ts';
import type { Outcome } from '../../../src/ticket/outcome.ts';
import type { SiteAddresses } from '../../../src/ticket/site.ts';
import { defaultMail } from '../../support/default-mail.ts';

export interface Case {
  /** Lines of the message. */
  message: readonly string[];
  /** As a client would post it. */
  mailbox?: Record<string, unknown>;
  rule?: Record<string, unknown>;
  /** Settings of the installation, below `mail`. */
  mail?: Partial<Config['mail']>;
  control?: Control;
  sites?: SiteAddresses[];
  requesters?: RequesterRow[];
  tickets?: WorldTicket[];
}

export const TICKET: WorldTicket = {
  id: 7,
  mailboxId: 1,
  subject: 'Printer',
  open: true,
  assigned: false,
  alertKey: null,
  supplierReference: null,
  requesterId: 9,
  requesterAddress: 'ann@example.org',
  participants: ['ann@example.org'],
};

/** The outcome of a message that came to a mailbox with these settings, when this rule is the only one. */
export async function judge(given: Case): Promise<Outcome> {
  const item = {
    name: 'Support',
    type: 1,
    server: 'imap.example.org',
    username: 'support@example.org',
    ...given.mailbox,
  };
  const mailbox = { ...draftMailbox(item as MailboxItem, null, new Date(0)).mailbox, id: 1 };
  const rules =
    given.rule === undefined ? [] : [{ ...ruleFromHalo({ name: 'r', type: 1, ...given.rule }), id: 1 }];
  const policy = processingPolicy(
    mailbox,
    new Map([[1, mailbox]]),
    { ...defaultMail(), ...given.mail },
    given.sites ?? [],
    [],
    [],
    given.control ?? {},
  );
  const answer = await analyse({
    messages: [{ id: 1, raw: { inline: Buffer.from(given.message.join('\r\n')) } }],
    mailboxId: 1,
    ownAddresses: policy.ownAddresses,
    instanceId: 'test',
    rulesVersion: 1,
    rules,
  });
  if (answer.needRules) throw new Error('the rules were given');
  const result = answer.results[0]!;
  if (isFailure(result)) throw new Error(result.message);
  const known = { version: 1, rules, byId: new Map(rules.map((rule) => [rule.id, rule])) };
  const email = { rawSha256: Buffer.alloc(32), addToTicketId: null };
  const world = new World({ tickets: [], messages: [], requesters: given.requesters ?? [] });
  for (const ticket of given.tickets ?? []) world.addTicket(structuredClone(ticket));
  return decideBatch([prepare(result, email, known, policy)], world, policy)[0]!.outcome;
}
