/** What Node reports when a connection does not come about or breaks, and what servers say when they are busy. */
import { type ErrorFields, fail, type PenstockError } from '../errors.ts';

/** What was going on: the same network error means different things before and after the login. */
export type Stage = 'connecting' | 'connected';

const DNS_CODES = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
  'EAI_NODATA',
  'EAI_NONAME',
  'ENODATA',
  'ESERVFAIL',
]);
const REFUSED_CODES = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'EACCES',
  'EHOSTDOWN',
]);

/** What servers say when they want to be left alone for a while. */
const BUSY_TEXTS = [
  'throttled',
  'too many',
  'maximum number of connections',
  'rate limit',
  'try again later',
  'server busy',
  'server is busy',
  'temporarily unavailable',
  'temporary failure',
];

/** Reasons of failed TLS that a person can act on. */
const TLS_REASONS = new Map<string, string>([
  ['CERT_HAS_EXPIRED', 'the certificate has expired'],
  ['CERT_NOT_YET_VALID', 'the certificate is not valid yet'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'the certificate is self-signed'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'a self-signed certificate is in the chain'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'the issuer of the certificate is not known here'],
  ['UNABLE_TO_GET_ISSUER_CERT', 'the issuer of the certificate is not known here'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'the issuer of the certificate is not known here'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'the certificate is for another host name'],
  [
    'STARTTLS_INJECTION',
    'the server sent data between STARTTLS and the handshake, which points to an attack',
  ],
  ['EPROTO', 'the server does not speak TLS on this port'],
]);

const TEXT_LENGTH = 300;

/** The error for a Node error code about names and connections; null for other codes. */
export function networkError(
  code: string,
  stage: Stage,
  fields: ErrorFields,
  cause: unknown,
): PenstockError | null {
  if (DNS_CODES.has(code)) return fail('dns_failed', 'The host name could not be resolved', fields, cause);
  if (REFUSED_CODES.has(code)) {
    return fail('connect_failed', `No connection to the server: ${code}`, fields, cause);
  }
  if (code === 'CONNECT_TIMEOUT' || (code === 'ETIMEDOUT' && stage === 'connecting')) {
    return fail('connect_timeout', 'The server could not be reached in time', fields, cause);
  }
  return null;
}

/** Whether a Node error code is about TLS or its certificates. */
export function isTlsCode(code: string): boolean {
  return TLS_REASONS.has(code) || code.startsWith('ERR_SSL') || code.startsWith('ERR_TLS');
}

/** What a TLS error code means, in words; null when it is not one that we know. */
export function tlsReason(code: string): string | null {
  if (code.startsWith('ERR_SSL'))
    return 'the server does not speak TLS on this port, or no version that is accepted';
  return TLS_REASONS.get(code) ?? null;
}

/** Whether a server's words mean that it wants to be left alone for a while. */
export function soundsBusy(said: string): boolean {
  const lower = said.toLowerCase();
  return BUSY_TEXTS.some((known) => lower.includes(known));
}

/** What a server said, shortened and without control characters. Never more: it may quote mail. */
export function tidyServerText(said: string): string {
  return said
    .slice(0, TEXT_LENGTH)
    .replace(/\p{Cc}/gu, ' ')
    .trim();
}
