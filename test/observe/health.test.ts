import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/limits.ts';
import {
  duration,
  type HealthFacts,
  healthAnswer,
  judgeHealth,
  judgeLiveness,
  judgeMailbox,
  type MailboxStatus,
  staleAfterSeconds,
} from '../../src/observe/health.ts';
import type { WatchedMailbox } from '../../src/store/watch.ts';

const NOW = new Date('2026-03-01T12:00:00Z');
const ago = (seconds: number): Date => new Date(NOW.getTime() - seconds * 1000);

const wellMailbox: WatchedMailbox = {
  id: 7,
  name: 'Support',
  kind: 'imap',
  enabled: true,
  pollSeconds: 60,
  createdAt: ago(86_400),
  phase: 'waiting',
  lastListedAt: ago(30),
  lastErrorCode: null,
  consecutiveErrors: 0,
  missingFolders: [],
  syncDone: 0,
  syncTotal: 0,
  syncProgressAt: null,
};

const wellFacts: HealthFacts = {
  database: { ok: true },
  queue: { ok: true },
  diskFreeBytes: 10 * LIMITS.diskFreeBytes,
  backlog: { waiting: 3, oldestSeconds: 1 },
  mailboxes: [wellMailbox],
  staleIntervals: 3,
  destinations: [],
};

interface MailboxCase {
  name: string;
  mailbox: Partial<WatchedMailbox>;
  status: MailboxStatus;
  reason: RegExp;
}

const mailboxCases: MailboxCase[] = [
  { name: 'listed a moment ago', mailbox: {}, status: 'ok', reason: /30 s ago/ },
  { name: 'listed just in time', mailbox: { lastListedAt: ago(180) }, status: 'ok', reason: /3 min ago/ },
  {
    name: 'too old, and no error anywhere',
    mailbox: { lastListedAt: ago(181) },
    status: 'stale',
    reason: /^Its last complete listing was 3 min ago.*waiting.*No error was seen: its poller hangs/,
  },
  {
    name: 'errors, but listed since',
    mailbox: { lastListedAt: ago(10), lastErrorCode: 'connection_lost', consecutiveErrors: 4 },
    status: 'ok',
    reason: /10 s ago/,
  },
  {
    name: 'old, and the reason is known',
    mailbox: { lastListedAt: ago(3_600), phase: 'backing_off', lastErrorCode: 'connect_timeout' },
    status: 'stale',
    reason: /60 min ago.*backing_off.*connect_timeout\. Check host, port and firewall\./,
  },
  {
    name: 'login refused',
    mailbox: { phase: 'auth_blocked', lastErrorCode: 'auth_failed' },
    status: 'blocked',
    reason: /auth_failed\. Check user name and password.*penstock mailbox test 7/,
  },
  {
    name: 'login refused a moment after a good listing',
    mailbox: { phase: 'auth_blocked', lastListedAt: ago(1), lastErrorCode: 'auth_failed' },
    status: 'blocked',
    reason: /waits for a person/,
  },
  {
    name: 'TLS does not fit, which waiting does not cure',
    mailbox: { phase: 'blocked', lastErrorCode: 'tls_failed' },
    status: 'blocked',
    reason: /waits for a person: tls_failed\. Check the TLS mode/,
  },
  {
    name: 'one of its folders is missing for three passes',
    mailbox: {
      phase: 'folder_missing',
      lastListedAt: ago(10),
      lastErrorCode: 'folder_missing',
      consecutiveErrors: 3,
      missingFolders: ['Nowhere'],
    },
    status: 'blocked',
    reason:
      /folder_missing \("Nowhere"\)\. Create the folder on the server, or.* Its other folders are read\./,
  },
  {
    name: 'all of its folders are missing',
    mailbox: {
      phase: 'blocked',
      lastErrorCode: 'folder_missing',
      missingFolders: ['a', 'b', 'c', 'd', 'e', 'f', 'g'],
    },
    status: 'blocked',
    reason:
      /\("a", "b", "c", "d", "e", 2 more\)\. Create the folder on the server, or take it out of the mailbox\. `/,
  },
  {
    name: 'a folder is missing for a moment',
    mailbox: {
      phase: 'folder_missing',
      lastErrorCode: 'folder_missing',
      consecutiveErrors: 2,
      missingFolders: ['Nowhere'],
    },
    status: 'ok',
    reason: /30 s ago/,
  },
  {
    name: 'an error code that this version does not know',
    mailbox: { phase: 'auth_blocked', lastErrorCode: 'constructor' },
    status: 'blocked',
    reason: /constructor/,
  },
  {
    name: 'switched off long ago',
    mailbox: { enabled: false, lastListedAt: ago(999_999), phase: 'auth_blocked' },
    status: 'off',
    reason: /switched off/,
  },
  {
    name: 'added a moment ago',
    mailbox: { lastListedAt: null, createdAt: ago(20), phase: 'connecting' },
    status: 'ok',
    reason: /new/,
  },
  {
    name: 'added long ago and never listed',
    mailbox: { lastListedAt: null, createdAt: ago(200), phase: 'idle' },
    status: 'stale',
    reason: /never listed completely since it was added 3 min ago/,
  },
  {
    name: 'a first sync that takes hours and stores messages',
    mailbox: {
      lastListedAt: null,
      createdAt: ago(7_200),
      phase: 'listing',
      syncDone: 4_000,
      syncTotal: 100_000,
      syncProgressAt: ago(5),
    },
    status: 'syncing',
    reason: /4000 of 100000/,
  },
  {
    name: 'a first sync that hangs',
    mailbox: {
      lastListedAt: null,
      createdAt: ago(7_200),
      phase: 'listing',
      syncDone: 4_000,
      syncTotal: 100_000,
      syncProgressAt: ago(181),
    },
    status: 'stale',
    reason: /never listed/,
  },
  {
    name: 'a sync that begins again and again and stores nothing',
    mailbox: {
      lastListedAt: ago(7_200),
      phase: 'listing',
      syncDone: 0,
      syncTotal: 500,
      syncProgressAt: null,
    },
    status: 'stale',
    reason: /listing/,
  },
  {
    name: 'progress of a sync that has ended does not count',
    mailbox: { lastListedAt: ago(7_200), syncDone: 500, syncTotal: 500, syncProgressAt: ago(1) },
    status: 'stale',
    reason: /2 h ago/,
  },
  {
    name: 'a clock that went back',
    mailbox: { lastListedAt: ago(-60) },
    status: 'ok',
    reason: /0 s ago/,
  },
];

describe('health of a mailbox', () => {
  it.each(mailboxCases)('$name: $status', ({ mailbox, status, reason }) => {
    const verdict = judgeMailbox({ ...wellMailbox, ...mailbox }, 3, NOW);
    expect(verdict).toMatchObject({ id: 7, status, healthy: !['stale', 'blocked'].includes(status) });
    expect(verdict.reason).toMatch(reason);
  });

  it('leaves time for a listing to a mailbox that polls every second', () => {
    expect(staleAfterSeconds(1, 3)).toBe(LIMITS.staleSecondsLeast);
    expect(staleAfterSeconds(60, 3)).toBe(180);
    expect(staleAfterSeconds(600, 2)).toBe(1_200);
  });
});

interface ProcessCase {
  name: string;
  facts: Partial<HealthFacts>;
  ready: boolean;
  status: 'ok' | 'degraded' | 'failing';
  checks: string[];
  text?: RegExp;
}

const processCases: ProcessCase[] = [
  { name: 'all is well', facts: {}, ready: true, status: 'ok', checks: [] },
  { name: 'no mailbox yet', facts: { mailboxes: [] }, ready: true, status: 'ok', checks: [] },
  {
    name: 'database away',
    facts: { database: { ok: false, error: 'ECONNREFUSED' }, backlog: null, mailboxes: [] },
    ready: false,
    status: 'failing',
    checks: ['database'],
    text: /ECONNREFUSED.*Check that PostgreSQL is running/,
  },
  {
    name: 'queue away',
    facts: { queue: { ok: false, error: 'no answer within 3 s' } },
    ready: false,
    status: 'failing',
    checks: ['queue'],
    text: /no answer within 3 s.*Check that Redis is running/,
  },
  {
    name: 'disk just full enough',
    facts: { diskFreeBytes: LIMITS.diskFreeBytes },
    ready: true,
    status: 'ok',
    checks: [],
  },
  {
    name: 'disk below the watermark',
    facts: { diskFreeBytes: LIMITS.diskFreeBytes - 1 },
    ready: false,
    status: 'failing',
    checks: ['disk'],
    text: /511 MiB are free and 512 MiB are needed/,
  },
  {
    name: 'disk that cannot be read',
    facts: { diskFreeBytes: null },
    ready: false,
    status: 'failing',
    checks: ['disk'],
  },
  {
    name: 'old mail waits',
    facts: { backlog: { waiting: 1_200, oldestSeconds: LIMITS.unprocessedSeconds + 60 } },
    ready: true,
    status: 'degraded',
    checks: ['backlog'],
    text: /1200 messages wait.*16 min/,
  },
  {
    name: 'much mail waits, but not for long',
    facts: { backlog: { waiting: 40_000, oldestSeconds: 60 } },
    ready: true,
    status: 'ok',
    checks: [],
  },
  {
    name: 'one of two mailboxes is stale; one that is off does not count',
    facts: {
      mailboxes: [
        wellMailbox,
        { ...wellMailbox, id: 8, lastListedAt: ago(9_000) },
        { ...wellMailbox, id: 9, enabled: false },
      ],
    },
    ready: true,
    status: 'degraded',
    checks: ['mailboxes'],
    text: /1 of 2 mailboxes/,
  },
  {
    name: 'everything at once',
    facts: {
      database: { ok: false, error: 'x' },
      queue: { ok: false, error: 'x' },
      diskFreeBytes: 0,
      backlog: { waiting: 1, oldestSeconds: 99_999 },
      mailboxes: [{ ...wellMailbox, phase: 'auth_blocked' }],
    },
    ready: false,
    status: 'failing',
    checks: ['database', 'queue', 'disk', 'backlog', 'mailboxes'],
  },
];

describe('health of the process', () => {
  it.each(processCases)('$name: ready $ready', ({ facts, ready, status, checks, text }) => {
    const health = judgeHealth({ ...wellFacts, ...facts }, NOW);
    expect(health).toMatchObject({ ready, status });
    expect(health.reasons.map((reason) => reason.check)).toEqual(checks);
    if (text !== undefined) expect(health.reasons[0]?.text).toMatch(text);
  });

  it('answers with the sick mailboxes first, and never with all of thousands', () => {
    const mailboxes = Array.from({ length: LIMITS.healthMailboxes + 500 }, (_, index) => ({
      ...wellMailbox,
      id: index + 1,
      lastListedAt: index === 1_400 ? ago(9_000) : ago(1),
    }));
    const health = judgeHealth({ ...wellFacts, mailboxes }, NOW);
    const answer = healthAnswer(health);
    expect(answer).toMatchObject({ status: 'degraded', reasons: health.reasons });
    expect(answer.mailboxes).toHaveLength(LIMITS.healthMailboxes);
    expect(answer.mailboxes.slice(0, 2).map(({ id }) => id)).toEqual([1_401, 1]);
  });

  it('is alive as long as its event loop runs', () => {
    expect(judgeLiveness(50)).toMatchObject({ live: true });
    expect(judgeLiveness(LIMITS.eventLoopLagMs)).toEqual({
      live: false,
      reason: expect.stringMatching(/10 s/),
    });
  });
});

describe('spans of time', () => {
  it.each([
    [0.4, '0 s'],
    [119, '119 s'],
    [120, '2 min'],
    [7_199, '120 min'],
    [7_200, '2 h'],
    [172_800, '2 d'],
  ])('%s seconds are %s', (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });
});
