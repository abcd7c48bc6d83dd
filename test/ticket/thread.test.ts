import { describe, expect, it } from 'vitest';
import type { ParsedMessage } from '../../src/message/message.ts';
import type { GlobalPolicy } from '../../src/ticket/policy.ts';
import { makeReplyToken, replyMessageId } from '../../src/ticket/reply-token.ts';
import { findTicket, type ThreadFacts, threadQuery } from '../../src/ticket/thread.ts';
import { address, makeMessage } from '../rule/fixtures.ts';
import { KEY, makeContext, makeFacts, makeTicket } from './fixtures.ts';

const ANNA = 'anna@customer.example';
const token7 = makeReplyToken(KEY, 7, 1);
const find = (
  message: Partial<ParsedMessage>,
  facts: Partial<ThreadFacts>,
  policy: Partial<GlobalPolicy> = {},
) => {
  const { ticketId, by, possibleParents } = findTicket(
    makeMessage(message),
    makeFacts(facts),
    makeContext({ policy }),
  );
  return { ticketId, by, possibleParents };
};
const none = { ticketId: null, by: null, possibleParents: [] };
const tickets = [7, 8, 9].map((id) => makeTicket(id, { participants: id === 9 ? [] : [ANNA] }));

describe('the ladder of evidence', () => {
  it.each<[string, Partial<ParsedMessage>, Partial<ThreadFacts>, object]>([
    ['nothing', { subject: 'hello' }, { tickets }, none],
    [
      'a token in an address',
      { to: [address(`help+${token7}@desk.example`)] },
      { tickets },
      { ticketId: 7, by: 'token', possibleParents: [] },
    ],
    [
      'a token in In-Reply-To',
      { inReplyTo: [replyMessageId(token7, '1', 'desk.example')] },
      { tickets },
      { ticketId: 7, by: 'token', possibleParents: [] },
    ],
    ['a token of a ticket that is gone', { to: [address(`help+${token7}@desk.example`)] }, {}, none],
    [
      'In-Reply-To',
      { inReplyTo: ['a@x'] },
      { tickets, knownMessageIds: [{ messageId: 'a@x', ticketId: 7 }] },
      { ticketId: 7, by: 'in_reply_to', possibleParents: [] },
    ],
    [
      'References',
      { references: ['a@x', 'b@x'] },
      { tickets, knownMessageIds: [{ messageId: 'a@x', ticketId: 7 }] },
      { ticketId: 7, by: 'references', possibleParents: [] },
    ],
    [
      'the nearest of several references',
      { references: ['a@x', 'b@x', 'c@x'] },
      {
        tickets,
        knownMessageIds: [
          { messageId: 'a@x', ticketId: 7 },
          { messageId: 'b@x', ticketId: 8 },
        ],
      },
      { ticketId: 8, by: 'references', possibleParents: [7] },
    ],
    [
      'In-Reply-To before References',
      { inReplyTo: ['a@x'], references: ['a@x', 'b@x'] },
      {
        tickets,
        knownMessageIds: [
          { messageId: 'a@x', ticketId: 7 },
          { messageId: 'b@x', ticketId: 8 },
        ],
      },
      { ticketId: 7, by: 'in_reply_to', possibleParents: [8] },
    ],
    [
      'a token before everything',
      { to: [address(`help+${token7}@desk.example`)], inReplyTo: ['a@x'], subject: '[ID:8]' },
      { tickets, knownMessageIds: [{ messageId: 'a@x', ticketId: 9 }] },
      { ticketId: 7, by: 'token', possibleParents: [9, 8] },
    ],
    [
      'an id that is stored with two tickets',
      { inReplyTo: ['a@x'] },
      {
        tickets,
        knownMessageIds: [
          { messageId: 'a@x', ticketId: 7 },
          { messageId: 'a@x', ticketId: 8 },
        ],
      },
      { ticketId: null, by: null, possibleParents: [7, 8] },
    ],
    [
      'its own id, which some programs put there',
      { messageId: 'm1@x', inReplyTo: ['m1@x'], references: ['m1@x'] },
      { tickets, knownMessageIds: [{ messageId: 'm1@x', ticketId: 7 }] },
      none,
    ],
    [
      'a tag, by somebody who takes part',
      { subject: '[ID:7]' },
      { tickets },
      { ticketId: 7, by: 'subject_tag', possibleParents: [] },
    ],
    [
      'a tag, by somebody who takes part, in capitals',
      { subject: '[ID:7]', from: [address('ANNA@Customer.example')] },
      { tickets },
      { ticketId: 7, by: 'subject_tag', possibleParents: [] },
    ],
    [
      'a tag, by somebody who does not',
      { subject: '[ID:9]' },
      { tickets },
      { ...none, possibleParents: [9] },
    ],
    [
      'a tag, by an agent',
      { subject: '[ID:9]' },
      { tickets, senderIsAgent: true },
      { ticketId: 9, by: 'subject_tag', possibleParents: [] },
    ],
    [
      'a tag without a sender',
      { subject: '[ID:7]', from: [] },
      { tickets },
      { ...none, possibleParents: [7] },
    ],
    ['a tag of a ticket that is not there', { subject: '[ID:99]' }, { tickets }, none],
    [
      'two tags of which one counts',
      { subject: '[ID:9] [ID:7]' },
      { tickets },
      { ticketId: 7, by: 'subject_tag', possibleParents: [9] },
    ],
    ['two tags that count', { subject: '[ID:8] [ID:7]' }, { tickets }, { ...none, possibleParents: [8, 7] }],
    [
      'subject and sender, which is off',
      { subject: 'Printer' },
      { tickets, sameSubjectAndSender: [7] },
      none,
    ],
  ])('%s', (_, message, facts, expected) => {
    expect(find(message, facts)).toEqual(expected);
  });

  it('takes subject and sender when that is switched on, and only if one ticket fits', () => {
    const policy = { matchSubjectAndSender: true };
    const one = find({ subject: 'Re: Printer' }, { tickets, sameSubjectAndSender: [7] }, policy);
    expect(one).toEqual({ ticketId: 7, by: 'subject_and_sender', possibleParents: [] });
    const two = find({ subject: 'Re: Printer' }, { tickets, sameSubjectAndSender: [7, 8] }, policy);
    expect(two).toEqual({ ticketId: null, by: null, possibleParents: [7, 8] });
  });

  it('takes only tickets of the same mailbox when that is switched on', () => {
    const elsewhere = [makeTicket(7, { mailboxId: 2, participants: [ANNA] })];
    const policy = { onlySameMailbox: true, matchSubjectAndSender: true };
    const all: Partial<ParsedMessage>[] = [
      { subject: '[ID:7]' },
      { inReplyTo: ['a@x'] },
      { subject: 'Printer' },
    ];
    const facts = {
      tickets: elsewhere,
      knownMessageIds: [{ messageId: 'a@x', ticketId: 7 }],
      sameSubjectAndSender: [7],
    };
    for (const message of all)
      expect(find(message, facts, policy)).toEqual({ ...none, possibleParents: [7] });
    expect(find({ subject: '[ID:7]' }, facts).ticketId).toBe(7);
  });

  it('believes the database about tickets that were not asked for by number', () => {
    const facts = { knownMessageIds: [{ messageId: 'a@x', ticketId: 7 }], sameSubjectAndSender: [7] };
    const answer = { inReplyTo: ['a@x'] };
    expect(find(answer, facts).ticketId).toBe(7);
    expect(find(answer, facts, { onlySameMailbox: true }).ticketId).toBe(7);
    expect(find({ subject: 'Printer' }, facts, { matchSubjectAndSender: true }).ticketId).toBe(7);
    const policy = { matchSubjectAndSender: true, onlySameMailbox: true };
    expect(find({ subject: 'Printer' }, facts, policy)).toEqual({ ...none, possibleParents: [7] });
  });

  it('looks for a tag in the body when that is switched on, in its newest part', () => {
    const message = { subject: 'no tag', text: 'see [ID:7]\n> [ID:8]', newestText: 'see [ID:7]' };
    expect(find(message, { tickets })).toEqual(none);
    expect(find(message, { tickets }, { tagInBody: true })).toMatchObject({ ticketId: 7, by: 'subject_tag' });
  });

  it('follows a person who names the ticket, and nothing else', () => {
    const message = makeMessage({ subject: '[ID:8]' });
    const context = makeContext({ addToTicketId: 9 });
    expect(threadQuery(message, context)).toMatchObject({ ticketIds: [9], messageIds: [] });
    expect(findTicket(message, makeFacts({ tickets }), context)).toMatchObject({
      ticketId: 9,
      by: 'command',
    });
    expect(findTicket(message, makeFacts(), context)).toMatchObject({ ticketId: null, by: null });
  });
});

describe('what is kept as evidence', () => {
  it('is everything that pointed to a ticket, and why it did or did not count', () => {
    const message = makeMessage({
      subject: '[ID:9] [ID:99]',
      inReplyTo: ['a@x'],
      to: [address(`help+${token7}@x`)],
    });
    const facts = makeFacts({ tickets, knownMessageIds: [{ messageId: 'a@x', ticketId: 8 }] });
    expect(findTicket(message, facts, makeContext()).evidence).toEqual([
      { rung: 'token', value: 'r7-…', ticketId: 7, accepted: true, reason: 'made by us for this mailbox' },
      { rung: 'in_reply_to', value: 'a@x', ticketId: 8, accepted: true, reason: 'stored in this mailbox' },
      {
        rung: 'subject_tag',
        value: '[ID:9]',
        ticketId: 9,
        accepted: false,
        reason: 'the sender takes no part in the ticket',
      },
      { rung: 'subject_tag', value: '[ID:99]', ticketId: null, accepted: false, reason: 'no such ticket' },
    ]);
  });
});

describe('what has to be looked up', () => {
  it('is said once, with the newest first', () => {
    const message = makeMessage({
      messageId: 'm@x',
      subject: 'Re: Printer [ID:8]',
      inReplyTo: ['c@x'],
      references: ['a@x', 'b@x', 'c@x', 'm@x'],
      to: [address(`help+${token7}@desk.example`), address(`help+${makeReplyToken(KEY, 9, 2)}@desk.example`)],
    });
    expect(threadQuery(message, makeContext())).toEqual({
      messageIds: ['c@x', 'b@x', 'a@x'],
      ticketIds: [7, 8],
      ownMessageId: 'm@x',
      subjectAndSender: null,
    });
    expect(
      threadQuery(message, makeContext({ policy: { matchSubjectAndSender: true } })).subjectAndSender,
    ).toEqual({
      subject: 'printer [id:8]',
      address: ANNA,
    });
  });

  it('never is a subject without sender, or a sender without subject', () => {
    const context = makeContext({ policy: { matchSubjectAndSender: true } });
    expect(threadQuery(makeMessage({ subject: 'Re:' }), context).subjectAndSender).toBeNull();
    expect(threadQuery(makeMessage({ subject: 'Printer', from: [] }), context).subjectAndSender).toBeNull();
  });
});
