import { describe, expect, it } from 'vitest';
import { type ErrorCode, fail } from '../../src/errors.ts';
import { classifyImapError } from '../../src/source/imap/errors.ts';
import type { Stage } from '../../src/source/trouble.ts';

/** Errors as imapflow 2.10.2 and Node make them. */
const CASES: [name: string, error: object, stage: Stage, code: ErrorCode][] = [
  ['name not found', { code: 'ENOTFOUND' }, 'connecting', 'dns_failed'],
  ['DNS out of order', { code: 'EAI_AGAIN' }, 'connecting', 'dns_failed'],
  ['port closed', { code: 'ECONNREFUSED' }, 'connecting', 'connect_failed'],
  ['no route', { code: 'EHOSTUNREACH' }, 'connecting', 'connect_failed'],
  ['connect deadline', { code: 'CONNECT_TIMEOUT' }, 'connecting', 'connect_timeout'],
  ['kernel gave up connecting', { code: 'ETIMEDOUT' }, 'connecting', 'connect_timeout'],
  ['kernel gave up later', { code: 'ETIMEDOUT' }, 'connected', 'connection_lost'],
  ['reset', { code: 'ECONNRESET' }, 'connected', 'connection_lost'],
  ['no greeting', { code: 'GREETING_TIMEOUT' }, 'connecting', 'greeting_failed'],
  ['closed before login', { code: 'ClosedAfterConnectText' }, 'connecting', 'connection_lost'],
  ['socket timeout', { code: 'ETIMEOUT' }, 'connected', 'stalled'],
  ['TLS upgrade deadline', { code: 'UPGRADE_TIMEOUT' }, 'connecting', 'stalled'],
  ['connection gone', { code: 'NoConnection' }, 'connected', 'connection_lost'],
  ['expired certificate', { code: 'CERT_HAS_EXPIRED' }, 'connecting', 'tls_failed'],
  [
    'self-signed after STARTTLS',
    { code: 'DEPTH_ZERO_SELF_SIGNED_CERT', tlsFailed: true },
    'connecting',
    'tls_failed',
  ],
  ['wrong name', { code: 'ERR_TLS_CERT_ALTNAME_INVALID' }, 'connecting', 'tls_failed'],
  ['plain port', { code: 'ERR_SSL_WRONG_VERSION_NUMBER' }, 'connecting', 'tls_failed'],
  [
    'no STARTTLS',
    { message: 'Server does not support STARTTLS', tlsFailed: true },
    'connecting',
    'starttls_missing',
  ],
  [
    'bad password',
    { authenticationFailed: true, responseStatus: 'NO', responseText: 'Invalid credentials' },
    'connecting',
    'auth_failed',
  ],
  [
    'no mechanism for a token',
    { message: 'Unsupported authentication mechanism' },
    'connecting',
    'auth_failed',
  ],
  [
    'login while the server is busy',
    { authenticationFailed: true, responseStatus: 'NO', serverResponseCode: 'UNAVAILABLE' },
    'connecting',
    'server_busy',
  ],
  ['throttled', { code: 'ETHROTTLE', responseStatus: 'BAD', throttleReset: 5 }, 'connected', 'server_busy'],
  [
    'limit in a parsed answer',
    { responseStatus: 'NO', response: { attributes: [{ section: [{ value: 'LIMIT' }] }] } },
    'connected',
    'server_busy',
  ],
  ['folder missing', { responseStatus: 'NO', mailboxMissing: true }, 'connected', 'folder_missing'],
  [
    'target missing',
    { responseStatus: 'NO', serverResponseCode: 'TRYCREATE' },
    'connected',
    'folder_missing',
  ],
  ['status of a missing folder', { code: 'NotFound' }, 'connected', 'folder_missing'],
  [
    'refused command',
    { responseStatus: 'BAD', responseText: 'Unknown command' },
    'connected',
    'server_protocol',
  ],
  ['literal too large', { code: 'LiteralTooLarge' }, 'connected', 'server_protocol'],
  ['unparsable', { code: 'ParserError11', message: 'x' }, 'connected', 'server_protocol'],
];

describe('classifyImapError', () => {
  for (const [name, error, stage, code] of CASES) {
    it(`${name} is ${code}`, () => {
      expect(classifyImapError(error, stage, 'X').code).toBe(code);
    });
  }

  it('passes our own errors unchanged', () => {
    const own = fail('lease_lost', 'x');
    expect(classifyImapError(own, 'connected', 'X')).toBe(own);
  });

  it('takes anything that can be thrown', () => {
    for (const thrown of [null, undefined, 'text', 7, [], {}]) {
      expect(classifyImapError(thrown, 'connected', 'X')).toMatchObject({ code: 'server_protocol' });
    }
  });

  it('names the real cause of a TLS failure', () => {
    const error = { code: 'CERT_HAS_EXPIRED', message: 'certificate has expired', tlsFailed: true };
    const classified = classifyImapError(error, 'connecting', 'connect');
    expect(classified.message).toBe('TLS failed: the certificate has expired');
    expect(classified.fields).toMatchObject({
      detail: 'CERT_HAS_EXPIRED',
      reason: 'certificate has expired',
    });
  });

  it('hands on how long the server wants to be left alone', () => {
    const said = {
      responseStatus: 'BAD',
      responseText: 'Request is throttled. Suggested Backoff Time: 92415 milliseconds',
    };
    expect(classifyImapError(said, 'connected', 'X').fields.backoffMs).toBe(92_415);
    expect(
      classifyImapError({ code: 'ETHROTTLE', throttleReset: 7 }, 'connected', 'X').fields.backoffMs,
    ).toBe(7);
  });

  it('repeats what the server said without control characters, and not all of it', () => {
    const said = { responseStatus: 'NO', responseText: `a\r\nb\u001b[31m${'x'.repeat(10_000)}` };
    const { message } = classifyImapError(said, 'connected', 'X');
    expect(message).toMatch(/a {2}b \[31mx/);
    expect(message.length).toBeLessThan(400);
  });
});
