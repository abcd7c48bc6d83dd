import { describe, expect, it } from 'vitest';
import {
  makeReplyToken,
  replyAddress,
  replyMessageId,
  tokenCandidates,
  verifyReplyToken,
} from '../../src/ticket/reply-token.ts';
import { address, makeMessage } from '../rule/fixtures.ts';
import { KEY, OTHER_KEY } from './fixtures.ts';

describe('a reply token', () => {
  const token = makeReplyToken(KEY, 4711, 1);

  it('names its ticket, in lower-case letters that any mail program leaves alone', () => {
    expect(token).toMatch(/^r3mv-[a-z2-7]{26}$/);
    expect(verifyReplyToken([KEY], token, 1)).toBe(4711);
    expect(verifyReplyToken([OTHER_KEY, KEY], token, 1)).toBe(4711);
  });

  it('works for the largest ticket number', () => {
    const largest = makeReplyToken(KEY, Number.MAX_SAFE_INTEGER, 2_147_483_647);
    expect(verifyReplyToken([KEY], largest, 2_147_483_647)).toBe(Number.MAX_SAFE_INTEGER);
  });

  it.each([
    ['another mailbox', token, 2],
    ['another ticket, with the same proof', token.replace('r3mv', 'r3mw'), 1],
    ['a changed proof', `${token.slice(0, -1)}${token.endsWith('a') ? 'b' : 'a'}`, 1],
    ['a short proof', token.slice(0, -1), 1],
    ['a second spelling', token.replace('r3mv', 'r03mv'), 1],
    ['a number beyond all numbers', token.replace('r3mv', 'rzzzzzzzzzzz'), 1],
    ['nothing', '', 1],
  ])('is refused for %s', (_, text, mailboxId) => {
    expect(verifyReplyToken([KEY], text, mailboxId)).toBeNull();
  });

  it('is refused under another key, and without any', () => {
    expect(verifyReplyToken([OTHER_KEY], token, 1)).toBeNull();
    expect(verifyReplyToken([], token, 1)).toBeNull();
  });

  it('goes into an address unless that gets too long', () => {
    expect(replyAddress('help@desk.example', token)).toBe(`help+${token}@desk.example`);
    expect(replyAddress(`${'x'.repeat(40)}@desk.example`, token)).toBeNull();
    expect(replyAddress('no address', token)).toBeNull();
  });

  it('is found wherever an answer brings it back', () => {
    const id = replyMessageId(token, '20261120.1', 'desk.example');
    const other = makeReplyToken(KEY, 1, 1);
    const all = (changes: Parameters<typeof makeMessage>[0]) => tokenCandidates(makeMessage(changes));
    expect(all({ to: [address(`HELP+${token.toUpperCase()}@desk.example`)] })).toEqual([token]);
    expect(all({ cc: [address(`team+help+${token}@desk.example`)] })).toEqual([token]);
    expect(all({ inReplyTo: [id] })).toEqual([token]);
    expect(all({ references: [`${other}.1@x`, 'else@x', id] })).toEqual([token, other]);
    expect(all({ deliveryStatus: { recipients: [], originalMessageId: id } })).toEqual([token]);
    expect(all({ to: [address(`${token}@desk.example`)], references: [`x${token}@x`, '.@', ''] })).toEqual(
      [],
    );
  });

  it('is looked for a bounded number of times', () => {
    const references = Array.from({ length: 5_000 }, (_, n) => `${makeReplyToken(KEY, n + 1, 1)}.1@x`);
    expect(tokenCandidates(makeMessage({ references }))).toHaveLength(50);
  });
});
