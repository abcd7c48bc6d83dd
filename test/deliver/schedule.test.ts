import { describe, expect, it } from 'vitest';
import { incidentKey, onCallAction, wants } from '../../src/deliver/destination.ts';
import { EVENT_TYPES, type EventType, type OutcomeEvent } from '../../src/deliver/event.ts';
import { retryAfterSeconds } from '../../src/deliver/http.ts';
import { openSeconds, retryAfterFailure } from '../../src/deliver/schedule.ts';
import { judgeStatus, judgeStrictly } from '../../src/deliver/verdict.ts';
import { outcome } from '../support/outbox.ts';

describe('the next attempt', () => {
  it('follows the schedule of Standard Webhooks', () => {
    let age = 0;
    const ages = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((attempts) => {
      age += retryAfterFailure(attempts, age, 0.5)!;
      return Math.round(age);
    });
    expect(ages).toEqual([5, 305, 2_105, 9_305, 27_305, 63_305, 113_705, 185_705, 272_105]);
    expect(retryAfterFailure(10, age, 0.5)).toBeNull();
  });

  it('is spread by a tenth', () => {
    expect(retryAfterFailure(2, 0, 0)).toBe(270);
    expect(retryAfterFailure(2, 0, 1)).toBeCloseTo(330);
  });

  it.each([
    [10, 3_600, false],
    [200, 86_400, false],
    [3, 3_000_000, false],
    [10, 272_105, true],
    [11, 300_000, true],
  ])('after %i attempts in %i seconds, given up: %s', (attempts, age, givenUp) => {
    expect(retryAfterFailure(attempts, age, 0.5) === null).toBe(givenUp);
  });
});

it('the breaker opens after five failures in a row, longer each time, never for more than a quarter of an hour', () => {
  expect([0, 1, 4, 5, 6, 7, 9, 10, 500].map((failures) => openSeconds(failures, 0.5))).toEqual([
    0, 0, 0, 30, 60, 120, 480, 900, 900,
  ]);
});

it.each([
  [200, 'delivered', 'delivered'],
  [204, 'delivered', 'delivered'],
  [301, 'retry', 'retry'],
  [400, 'retry', 'dead'],
  [401, 'retry', 'retry'],
  [404, 'retry', 'retry'],
  [410, 'gone', 'gone'],
  [413, 'retry', 'dead'],
  [422, 'retry', 'dead'],
  [429, 'retry', 'retry'],
  [500, 'retry', 'retry'],
  [503, 'retry', 'retry'],
] as const)(
  'an answer %i means %s, and to those who tell bad content by it %s',
  (status, loosely, strictly) => {
    const answer = { status, retryAfterSeconds: null, text: 'why' };
    expect(judgeStatus(answer, 'h').kind).toBe(loosely);
    expect(judgeStrictly(answer, 'h').kind).toBe(strictly);
  },
);

it.each([
  ['30', 30],
  ['0', 0],
  [undefined, null],
  ['soon', null],
  ['Sun, 01 Mar 2026 12:01:00 GMT', 60],
  ['Sun, 01 Mar 2026 11:00:00 GMT', 0],
])('Retry-After %s is %s', (value, seconds) => {
  expect(retryAfterSeconds(value, Date.parse('2026-03-01T12:00:00Z'))).toBe(seconds);
});

it('nobody can put us off for ever', () => {
  expect(judgeStatus({ status: 429, retryAfterSeconds: 1e9, text: '' }, 'h')).toMatchObject({
    waitSeconds: 86_400,
  });
});

describe('who is told', () => {
  const settings = { events: [...EVENT_TYPES], mailboxIds: [], ruleIds: [] };

  it.each([
    [{ events: ['ticket.created' as EventType] }, true],
    [{ events: ['ticket.closed' as EventType] }, false],
    [{ mailboxIds: [1, 2] }, true],
    [{ mailboxIds: [2] }, false],
    [{ ruleIds: [7] }, true],
    [{ ruleIds: [8] }, false],
  ])('a webhook with %j: %s', (changes, told) => {
    const event = outcome(1, 'ticket.created', { ruleId: 7 });
    expect(wants({ id: 1, kind: 'webhook', settings: { ...settings, ...changes } }, event)).toBe(told);
  });

  const alertKey = {
    alertKey: 'disk/1',
    id: 1,
    subject: 's',
    typeId: 0,
    open: true,
    supplierReference: null,
  };
  it.each<[EventType, Partial<OutcomeEvent>, string | null, boolean]>([
    ['alert.opened', {}, 'trigger', true],
    ['alert.opened', { ticket: { ...alertKey, open: false } }, null, false],
    ['alert.updated', {}, 'trigger', true],
    ['alert.closed', {}, 'resolve', true],
    ['ticket.updated', { ticket: alertKey }, null, false],
    ['ticket.updated', { ticket: alertKey, byAgent: true }, 'acknowledge', true],
    ['ticket.updated', { byAgent: true }, 'acknowledge', false],
    ['ticket.updated', { ticket: alertKey, reopened: true }, 'trigger', true],
    ['ticket.closed', { ticket: alertKey }, 'resolve', true],
    ['ticket.closed', {}, 'resolve', false],
    ['message.quarantined', { ticket: null }, 'trigger', true],
    ['service.reported', { ticket: null }, null, false],
  ])('%s %j is a %s to those on call, who are told: %s', (type, changes, action, told) => {
    const event = outcome(1, type, changes);
    expect(onCallAction(event)).toBe(action);
    const events = EVENT_TYPES.filter((one) => one !== 'ticket.created');
    expect(wants({ id: 1, kind: 'pagerduty', settings: { ...settings, events } }, event)).toBe(told);
  });

  it('a problem is known by its alert key, however long', () => {
    const digest = (text: string): string => `digest of ${text.length}`;
    const key = (alertKey: string | null) =>
      incidentKey(
        outcome(1, 'alert.opened', { ticket: { ...outcome(1).ticket!, alertKey } }),
        'here',
        digest,
      );
    expect([key('disk/1'), key('x'.repeat(255)).length, key('x'.repeat(256)), key(null)]).toEqual([
      'disk/1',
      255,
      'digest of 256',
      'penstock-here-ticket-1',
    ]);
  });
});
