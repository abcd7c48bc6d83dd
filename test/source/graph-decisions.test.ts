/** What the Graph source decides without asking anybody, as tables. */
import { describe, expect, it } from 'vitest';
import { type ErrorCode, fail } from '../../src/errors.ts';
import { formatCursor, idDigest, isDeltaLink, isPinned, parseCursor } from '../../src/source/graph/cursor.ts';
import { networkError, refusalError, retryAfterMs } from '../../src/source/graph/errors.ts';
import { listedOf } from '../../src/source/graph/listed.ts';
import { type Failure, retryInMs } from '../../src/source/graph/retry.ts';
import { graphOrigin } from '../../src/source/graph/settings.ts';
import { tokenFault } from '../../src/source/graph/token-faults.ts';

describe('errors', () => {
  const cases: [number, string, ErrorCode][] = [
    [401, 'InvalidAuthenticationToken', 'auth_failed'],
    [401, '', 'auth_failed'],
    [403, 'ErrorAccessDenied', 'permission_denied'],
    [403, 'Authorization_RequestDenied', 'permission_denied'],
    [404, 'ErrorInvalidUser', 'mailbox_missing'],
    [404, 'MailboxNotEnabledForRESTAPI', 'mailbox_missing'],
    [404, 'ErrorNonExistentMailbox', 'mailbox_missing'],
    [404, 'ErrorFolderNotFound', 'folder_missing'],
    [404, 'ErrorItemNotFound', 'message_gone'],
    [400, 'ErrorInvalidIdMalformed', 'message_gone'],
    [410, 'syncStateNotFound', 'folder_changed'],
    [404, 'SyncStateNotFound', 'folder_changed'],
    [400, 'SyncStateInvalid', 'folder_changed'],
    [410, '', 'folder_changed'],
    [429, 'ApplicationThrottled', 'server_busy'],
    [429, '', 'server_busy'],
    [503, '', 'server_busy'],
    [504, 'UnknownError', 'server_busy'],
    [500, 'ErrorMailboxStoreUnavailable', 'server_busy'],
    [409, 'ErrorMailboxMoveInProgress', 'server_busy'],
    [500, 'ErrorContentConversionFailed', 'server_protocol'],
    [502, '', 'server_protocol'],
    [302, '', 'server_protocol'],
    [404, '', 'server_protocol'],
  ];
  for (const [status, code, expected] of cases) {
    it(`${status} ${code || 'without a code'} is ${expected}`, () => {
      const error = refusalError({ status, code, message: 'Said.', retryAfterMs: 7_000 }, 'test');
      expect(error).toMatchObject({ code: expected, fields: { request: 'test', status } });
      expect(error.fields.backoffMs).toBe(expected === 'server_busy' ? 7_000 : undefined);
    });
  }

  it('quotes the server in part, and without control characters', () => {
    const { message } = refusalError(
      { status: 500, code: 'x', message: `a\u001b[2J\r\n${'b'.repeat(999)}`, retryAfterMs: null },
      'test',
    );
    expect(message).not.toMatch(/\p{Cc}/u);
    expect(message.length).toBeLessThan(400);
  });

  const network: [object, ErrorCode][] = [
    [{ code: 'ENOTFOUND' }, 'dns_failed'],
    [{ code: 'ECONNREFUSED' }, 'connect_failed'],
    [{ code: 'ETIMEDOUT' }, 'connect_timeout'],
    [{ errors: [{ code: 'ECONNREFUSED' }] }, 'connect_failed'],
    [{ code: 'CERT_HAS_EXPIRED' }, 'tls_failed'],
    [{ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }, 'tls_failed'],
    [{ code: 'ERR_TLS_CERT_ALTNAME_INVALID' }, 'tls_failed'],
    [{ code: 'ECONNRESET' }, 'connection_lost'],
    [new Error('aborted'), 'connection_lost'],
    [fail('stalled', 'ours'), 'stalled'],
  ];
  for (const [thrown, expected] of network) {
    it(`${JSON.stringify(thrown)} is ${expected}`, () => {
      expect(networkError(thrown, 'test').code).toBe(expected);
    });
  }

  it('reads Retry-After as seconds, and as a date by the clock of the server', () => {
    const date = 'Wed, 21 Oct 2026 07:28:00 GMT';
    expect(retryAfterMs(null, date, 0)).toBe(null);
    expect(retryAfterMs('30', null, 0)).toBe(30_000);
    expect(retryAfterMs('Wed, 21 Oct 2026 07:28:30 GMT', date, 0)).toBe(30_000);
    expect(retryAfterMs('Wed, 21 Oct 2026 07:27:30 GMT', date, 0)).toBe(0);
    expect(retryAfterMs('Wed, 21 Oct 2026 07:28:30 GMT', null, Date.parse(date))).toBe(30_000);
    expect(retryAfterMs('soon', date, 0)).toBe(null);
    expect(retryAfterMs('999999999', date, 0)).toBe(3_600_000);
  });

  it('knows what is wrong when Entra gives no token', () => {
    expect(tokenFault('invalid_client: AADSTS7000222: The provided keys are expired')?.found).toMatch(
      /expired/,
    );
    expect(tokenFault('AADSTS90002: Tenant x not found')?.found).toMatch(/tenant/);
    expect(tokenFault('AADSTS7000215: Invalid client secret provided')?.advice).toMatch(
      /value of the secret/,
    );
    expect(tokenFault('AADSTS99999999: new')).toBe(null);
    expect(tokenFault('no number')).toBe(null);
  });
});

describe('retries', () => {
  const limits = { patienceMs: 120_000, retryMs: 2_000 };
  const busy = (status: number, backoffMs: number | null) =>
    fail('server_busy', 'busy', { status, backoffMs });
  const cases: [string, Omit<Failure, 'waitedMs'> & { waitedMs?: number }, number | null][] = [
    ['429 waits as long as asked', { error: busy(429, 30_000), attempt: 1, repeatable: true }, 30_000],
    [
      '429 for a POST too: it was not done',
      { error: busy(429, 30_000), attempt: 1, repeatable: false },
      30_000,
    ],
    [
      '429 that asks for more than patience',
      { error: busy(429, 121_000), attempt: 1, repeatable: true },
      null,
    ],
    [
      '429 that asks for it again and again',
      { error: busy(429, 30_000), attempt: 3, waitedMs: 91_000, repeatable: true },
      null,
    ],
    ['without Retry-After the waits double', { error: busy(503, null), attempt: 3, repeatable: true }, 8_000],
    ['no fifth attempt', { error: busy(503, null), attempt: 4, repeatable: true }, null],
    ['504 for a POST may have been done', { error: busy(504, null), attempt: 1, repeatable: false }, null],
    ['503 for a POST too', { error: busy(503, 5_000), attempt: 1, repeatable: false }, null],
    ['a lost connection, once', { error: fail('connection_lost', ''), attempt: 1, repeatable: true }, 0],
    ['not twice', { error: fail('connection_lost', ''), attempt: 2, repeatable: true }, null],
    ['not a POST', { error: fail('connection_lost', ''), attempt: 1, repeatable: false }, null],
    ['no other error', { error: fail('server_protocol', ''), attempt: 1, repeatable: true }, null],
  ];
  for (const [name, failure, expected] of cases) {
    it(name, () => {
      expect(retryInMs({ waitedMs: 0, ...failure }, limits, 0)).toBe(expected);
      const latest = retryInMs({ waitedMs: 0, ...failure }, limits, 0.999);
      expect(latest === null || latest >= expected!).toBe(true);
    });
  }
});

describe('the cursor', () => {
  const origin = 'https://graph.microsoft.com';
  const link = `${origin}/v1.0/users('u')/mailFolders('f')/messages/delta?$deltatoken=x`;
  const cursor = { folder: 'f', link, round: null, pin: null, at: '2026-01-01T00:00:00.000Z' };

  it('comes back as it was', () => {
    for (const one of [
      cursor,
      { ...cursor, link: null },
      { ...cursor, round: { link } },
      { ...cursor, round: { link: null } },
      { ...cursor, link: null, pin: { before: null, known: [] } },
      { ...cursor, pin: { before: '2026-01-01T00:00:00.000Z', known: ['a'] } },
    ]) {
      expect(parseCursor(formatCursor(one), 'f', origin)).toEqual(one);
    }
  });

  const bad: [string, string][] = [
    ['no JSON', 'nonsense'],
    ['null', 'null'],
    ['an empty object', '{}'],
    ['that of IMAP', '{"uidValidity":"1","lastUid":7}'],
    ['another folder', JSON.stringify({ ...cursor, folder: 'g' })],
    ['a number for a link', JSON.stringify({ ...cursor, link: 7 })],
    ['a round that is none', JSON.stringify({ ...cursor, round: 'x' })],
    [
      'a round that leads elsewhere',
      JSON.stringify({ ...cursor, round: { link: 'https://a.example/v1.0/delta' } }),
    ],
    ['a pin that is none', JSON.stringify({ ...cursor, pin: { before: 1, known: [] } })],
  ];
  for (const [name, text] of bad)
    it(`is refused: ${name}`, () => expect(parseCursor(text, 'f', origin)).toBe(null));

  const links: [string, boolean][] = [
    [link, true],
    [`${origin}/v1.0/users/u/mailFolders/f/messages/microsoft.graph.delta()?$skiptoken=x`, true],
    [link.replace('https:', 'http:'), false],
    [link.replace('graph.microsoft.com', 'graph.microsoft.com.example.net'), false],
    [link.replace('graph.microsoft.com', 'graph.microsoft.com:444'), false],
    [link.replace('https://', 'https://me:secret@'), false],
    [link.replace('/v1.0/', '/beta/'), false],
    [link.replace('/delta', ''), false],
    ['/v1.0/users/u/delta', false],
  ];
  for (const [given, expected] of links) {
    it(`${expected ? 'follows' : 'does not follow'} ${given}`, () =>
      expect(isDeltaLink(given, origin)).toBe(expected));
  }

  it('a pin knows by time what is older, and by id what came around that moment', () => {
    const pin = { before: '2026-01-01T12:00:00.000Z', known: [idDigest('a')] };
    expect(isPinned(pin, 'z', '2026-01-01T11:59:59Z')).toBe(true);
    expect(isPinned(pin, 'z', '2026-01-01T12:00:00Z')).toBe(false);
    expect(isPinned(pin, 'a', '2026-01-01T12:00:00Z')).toBe(true);
    expect(isPinned(pin, 'a', undefined)).toBe(true);
    expect(isPinned(pin, 'z', undefined)).toBe(false);
    expect(isPinned({ before: null, known: [] }, 'z', '2020-01-01T00:00:00Z')).toBe(false);
  });
});

describe('sizes', () => {
  const sized = (value: string) => ({
    id: 'x',
    singleValueExtendedProperties: [{ id: 'Integer 0xe08', value }],
  });
  const cases: [string, number][] = [
    ['500', 500],
    ['1500', 1000],
    ['2000', 1000],
    ['2001', 2001],
    ['-5', 0],
    ['many', 0],
  ];
  for (const [value, expected] of cases) {
    it(`${value} in the store, with a limit of 1000, is listed as ${expected}`, () => {
      expect(listedOf(sized(value), 1000)?.size).toBe(expected);
    });
  }
  it('none is 0, and a message without an id is none', () => {
    expect(listedOf({ id: 'x' }, 1000)).toEqual({ key: 'x', size: 0, internalDate: null });
    expect(listedOf({}, 1000)).toBe(null);
  });
});

it('takes a host, and nothing else, for the host of Graph', () => {
  expect(graphOrigin('graph.microsoft.us')).toBe('https://graph.microsoft.us');
  expect(graphOrigin('localhost:4243')).toBe('https://localhost:4243');
  for (const wrong of ['', 'a b', 'host/path', 'me@host', 'host?x', 'https://host', 'host#x']) {
    expect(() => graphOrigin(wrong), wrong).toThrow(/host/);
  }
});
