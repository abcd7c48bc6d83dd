import type { ParsedMessage } from '../../src/message/message.ts';
import { compileRules } from '../../src/rule/compile.ts';
import { matchRules } from '../../src/rule/match.ts';
import type { Rule } from '../../src/rule/rule.ts';
import { buildView } from '../../src/rule/view.ts';
import { defaultMailboxSettings } from '../../src/store/mailbox-settings.ts';
import type { OutcomeInput } from '../../src/ticket/effects.ts';
import { defaultGlobalPolicy, type GlobalPolicy, type MailboxPolicy } from '../../src/ticket/policy.ts';
import { ruleClaims } from '../../src/ticket/rule-claims.ts';
import type { ThreadContext, ThreadFacts, ThreadResult, ThreadTicket } from '../../src/ticket/thread.ts';
import { makeMessage } from '../rule/fixtures.ts';

export const KEY = new Uint8Array(32).fill(7);
export const OTHER_KEY = new Uint8Array(32).fill(8);

export function makeContext(
  changes: Partial<Omit<ThreadContext, 'policy'>> & { policy?: Partial<GlobalPolicy> } = {},
): ThreadContext {
  const { policy, ...rest } = changes;
  return {
    mailboxId: 1,
    tokenKeys: [KEY],
    addToTicketId: null,
    policy: { ...defaultGlobalPolicy(), ...policy },
    ...rest,
  };
}

export function makeTicket(id: number, changes: Partial<ThreadTicket> = {}): ThreadTicket {
  return { id, mailboxId: 1, participants: [], ...changes };
}

export function makeFacts(changes: Partial<ThreadFacts> = {}): ThreadFacts {
  return { knownMessageIds: [], tickets: [], sameSubjectAndSender: [], senderIsAgent: false, ...changes };
}

export const unthreaded: ThreadResult = { ticketId: null, by: null, possibleParents: [], evidence: [] };
export const threadedTo = (ticketId: number, by: ThreadResult['by'] = 'references'): ThreadResult => ({
  ...unthreaded,
  ticketId,
  by,
});

/** Everything that an outcome is decided from: a person whom nobody knows writes to a mailbox without settings. */
export function makeInput(
  changes: Partial<Omit<OutcomeInput, 'rule' | 'claims' | 'mailbox' | 'global' | 'message'>> & {
    message?: Partial<ParsedMessage>;
    rule?: Rule | null;
    mailbox?: Partial<MailboxPolicy>;
    global?: Partial<GlobalPolicy>;
  } = {},
): OutcomeInput {
  const { message: messageChanges, rule, mailbox, global, ...rest } = changes;
  const message = makeMessage(messageChanges);
  const matched = matchRules(compileRules(rule ? [rule] : [], 1), buildView(message), { mailboxId: 1 });
  if (rule && matched.rule === null) throw new Error('the rule of this test does not match its message');
  return {
    message,
    classification: { class: 'human', evidence: [] },
    thread: unthreaded,
    rule: matched,
    claims: ruleClaims(matched),
    requester: { kind: 'known', id: 5, isAgent: false, reason: 'by address' },
    senderIsAgent: false,
    tickets: { thread: null, alert: null, supplier: null },
    alreadyIn: [],
    mailbox: {
      addresses: ['help@desk.example'],
      policy: { ...defaultMailboxSettings('', '').policy, ...mailbox },
    },
    ownAddresses: ['help@desk.example', 'sales@desk.example'],
    global: { ...defaultGlobalPolicy(), ...global },
    ...rest,
  };
}

export const openTicket = (id: number) => ({
  id,
  open: true,
  assigned: false,
  requesterId: 3,
  requesterAddress: 'anna@customer.example',
});
