import type { MessageClass } from '../message/message.ts';
import type { Rule } from '../rule/rule.ts';
import type { MailboxPolicy } from './policy.ts';
import type { RequesterDecision } from './requester.ts';

/** Whether a new ticket is acknowledged to its sender, and every reason against it. */
export interface Acknowledgement {
  send: boolean;
  reasons: AcknowledgementObstacle[];
}

export type AcknowledgementObstacle =
  /** Answering machines is how mail storms begin (failures, section 6). */
  | 'sender_is_no_person'
  | 'sender_is_ours'
  | 'no_sender'
  | 'not_a_new_ticket'
  | 'alert'
  | 'mailbox_setting'
  | 'rule_setting'
  | 'requester_is_new';

export interface AcknowledgementInput {
  messageClass: MessageClass;
  sender: string;
  senderIsOwn: boolean;
  newTicket: boolean;
  rule: Rule | null;
  requester: RequesterDecision;
  policy: MailboxPolicy;
}

/** Decides about the acknowledgement. How many one sender may get in a time is for the part that sends it. */
export function decideAcknowledgement(input: AcknowledgementInput): Acknowledgement {
  const { rule, requester, policy } = input;
  const reasons: AcknowledgementObstacle[] = [];
  if (!mayBeAnswered(input)) {
    if (input.sender === '') reasons.push('no_sender');
    if (input.senderIsOwn || input.messageClass === 'own') reasons.push('sender_is_ours');
    else if (input.messageClass !== 'human') reasons.push('sender_is_no_person');
  }
  if (!input.newTicket) reasons.push('not_a_new_ticket');
  if (rule?.type === 'alert') reasons.push('alert');
  if (policy.dontAcknowledge) reasons.push('mailbox_setting');
  if (rule?.dontSendAcknowledgement === true) reasons.push('rule_setting');
  if (requester.kind === 'create' && !policy.newRequesterAcknowledge) reasons.push('requester_is_new');
  return { send: reasons.length === 0, reasons };
}

/** Nothing is ever sent by itself to anybody but a person who is not us. */
export function mayBeAnswered(
  input: Pick<AcknowledgementInput, 'messageClass' | 'sender' | 'senderIsOwn'>,
): boolean {
  return input.messageClass === 'human' && input.sender !== '' && !input.senderIsOwn;
}
