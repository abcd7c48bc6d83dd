import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/limits.ts';
import { decideOutcome } from '../../src/ticket/outcome.ts';
import { makeReplyToken, replyMessageId } from '../../src/ticket/reply-token.ts';
import { findTicket, threadQuery } from '../../src/ticket/thread.ts';
import { address, makeMessage } from '../rule/fixtures.ts';
import {
  KEY,
  makeContext,
  makeFacts,
  makeInput,
  makeTicket,
  OTHER_KEY,
  openTicket,
} from '../ticket/fixtures.ts';

const victim = makeTicket(42, { participants: ['anna@customer.example'] });

describe('a message in the wrong ticket', () => {
  it('T13.1 a forged tag from a stranger makes a new record, which names the possible parent', () => {
    const message = makeMessage({ from: [address('mallory@evil.example')], subject: 'Re: Invoice [ID:42]' });
    const thread = findTicket(message, makeFacts({ tickets: [victim] }), makeContext());
    expect(thread).toMatchObject({ ticketId: null, possibleParents: [42] });
    const outcome = decideOutcome(
      makeInput({ message, thread, tickets: { thread: null, alert: null, supplier: null } }),
    );
    expect(outcome).toMatchObject({ kind: 'create', ticket: { possibleParents: [42] } });
  });

  it('T13.1 neither a display name nor a second From address nor Reply-To makes a stranger a participant', () => {
    const facts = makeFacts({ tickets: [victim] });
    for (const changes of [
      { from: [{ name: 'anna@customer.example', address: 'mallory@evil.example' }] },
      { from: [address('mallory@evil.example'), address('anna@customer.example')] },
      { from: [address('mallory@evil.example')], replyTo: [address('anna@customer.example')] },
      { from: [address('mallory@evil.example')], sender: address('anna@customer.example') },
      { from: [address('anna@customer.example.evil.example')] },
      { from: [] },
    ]) {
      const message = makeMessage({ subject: '[ID:42]', ...changes });
      expect(findTicket(message, facts, makeContext()).ticketId).toBeNull();
    }
  });

  it('T13.1 a forged token is no token, however near it is', () => {
    const real = makeReplyToken(KEY, 42, 1);
    const proof = real.slice(real.indexOf('-'));
    const facts = makeFacts({ tickets: [victim, makeTicket(43)] });
    const lastChanged = `${real.slice(0, -1)}${real.endsWith('a') ? 'b' : 'a'}`;
    // The proof of ticket 42 under the number of ticket 43; a damaged proof; the proof of another installation.
    const forged = [`r${(43).toString(36)}${proof}`, lastChanged, makeReplyToken(OTHER_KEY, 42, 1)];
    for (const token of forged) {
      const message = makeMessage({
        from: [address('mallory@evil.example')],
        to: [address(`help+${token}@desk.example`)],
        inReplyTo: [replyMessageId(token, '1', 'desk.example')],
      });
      expect(threadQuery(message, makeContext()).ticketIds).toEqual([]);
      expect(findTicket(message, facts, makeContext()).ticketId).toBeNull();
    }
  });

  it('T13.2 of two candidates the nearest ancestor is taken, always the same, and the evidence names both', () => {
    const message = makeMessage({ references: ['first@x', 'second@x'] });
    const known = [
      { messageId: 'first@x', ticketId: 1 },
      { messageId: 'second@x', ticketId: 2 },
    ];
    const tickets = [makeTicket(1), makeTicket(2)];
    const forward = findTicket(message, makeFacts({ knownMessageIds: known, tickets }), makeContext());
    const backward = findTicket(
      message,
      makeFacts({ knownMessageIds: known.toReversed(), tickets: tickets.toReversed() }),
      makeContext(),
    );
    expect(forward).toEqual(backward);
    expect(forward).toMatchObject({ ticketId: 2, by: 'references', possibleParents: [1] });
    expect(forward.evidence.map(({ value, accepted }) => [value, accepted])).toEqual([
      ['second@x', true],
      ['first@x', false],
    ]);
  });

  it('T13.2 two candidates of the same weight are no evidence at all', () => {
    const message = makeMessage({ inReplyTo: ['a@x', 'b@x'] });
    const knownMessageIds = [
      { messageId: 'a@x', ticketId: 1 },
      { messageId: 'b@x', ticketId: 2 },
    ];
    const facts = makeFacts({ knownMessageIds, tickets: [makeTicket(1), makeTicket(2)] });
    const result = findTicket(message, facts, makeContext());
    expect(result).toMatchObject({ ticketId: null, by: null, possibleParents: [1, 2] });
    expect(result.evidence.every(({ accepted, reason }) => !accepted && reason.endsWith('ambiguous'))).toBe(
      true,
    );
  });

  it('T13.3 an answer to all into two mailboxes joins in each the ticket of that mailbox', () => {
    const message = makeMessage({
      to: [address('help@desk.example'), address('sales@desk.example')],
      references: ['question@customer.example'],
    });
    const tickets = [makeTicket(1, { mailboxId: 1 }), makeTicket(2, { mailboxId: 2 })];
    const inMailbox = (mailboxId: number, ticketId: number) =>
      findTicket(
        message,
        makeFacts({ tickets, knownMessageIds: [{ messageId: 'question@customer.example', ticketId }] }),
        makeContext({ mailboxId }),
      ).ticketId;
    expect(inMailbox(1, 1)).toBe(1);
    expect(inMailbox(2, 2)).toBe(2);
  });

  it('T13.3 a second copy by way of another mailbox does not change the same ticket twice', () => {
    const message = makeMessage({ subject: '[ID:42]' });
    const thread = findTicket(message, makeFacts({ tickets: [victim] }), makeContext({ mailboxId: 2 }));
    const input = makeInput({
      message,
      thread,
      alreadyIn: [42],
      tickets: { thread: openTicket(42), alert: null, supplier: null },
    });
    expect(decideOutcome(input)).toMatchObject({ kind: 'ignore', reason: 'already_in_ticket', ticketId: 42 });
    expect(decideOutcome({ ...input, alreadyIn: [41] })).toMatchObject({ kind: 'update', ticketId: 42 });
  });

  it('T13.4 a token of another mailbox or installation is rejected', () => {
    const facts = makeFacts({ tickets: [victim] });
    const sent = (token: string) => makeMessage({ to: [address(`help+${token}@desk.example`)] });
    const ticketOf = (token: string, mailboxId: number) =>
      findTicket(sent(token), facts, makeContext({ mailboxId })).ticketId;
    expect(ticketOf(makeReplyToken(KEY, 42, 1), 1)).toBe(42);
    expect(ticketOf(makeReplyToken(KEY, 42, 1), 2)).toBeNull();
    expect(ticketOf(makeReplyToken(OTHER_KEY, 42, 1), 1)).toBeNull();
  });

  it('T13.5 fifty thousand references cost no more than the limit', () => {
    const references = Array.from({ length: 50_000 }, (_, n) => `id-${n}@x`);
    const message = makeMessage({ references, inReplyTo: references });
    const query = threadQuery(message, makeContext());
    expect(query.messageIds.length).toBeLessThanOrEqual(LIMITS.referencesCount + 10);
    // The newest are kept: they are the ones that lead somewhere.
    expect(query.messageIds).toContain('id-49999@x');
    const knownMessageIds = query.messageIds.map((messageId, n) => ({ messageId, ticketId: n + 1 }));
    const tickets = knownMessageIds.map(({ ticketId }) => makeTicket(ticketId));
    const { evidence } = findTicket(message, makeFacts({ knownMessageIds, tickets }), makeContext());
    expect(evidence.length).toBeLessThanOrEqual(50);
  });
});
