/** Turns an error of DNS, TCP, TLS or HTTP of Node into one of ours. */
import { type ErrorFields, fail, type PenstockError } from '../../errors.ts';

const DNS_CODES = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_NODATA', 'EAI_NONAME']);
const REFUSED_CODES = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL', 'EHOSTDOWN']);
const TLS_CODES = /^(?:ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|EPROTO$|HOSTNAME_MISMATCH)/;

/** `host` is where the request went. What is not known as something else is a broken connection. */
export function networkError(thrown: unknown, host: string, fields: ErrorFields = {}): PenstockError {
  const code = codeOf(thrown);
  const all = { ...fields, host, detail: code };
  const said = thrown instanceof Error && thrown.message !== '' ? thrown.message.slice(0, 300) : code;
  if (DNS_CODES.has(code)) return fail('dns_failed', `The host name ${host} is not known`, all, thrown);
  if (REFUSED_CODES.has(code))
    return fail('connect_failed', `No connection to ${host}: ${code}`, all, thrown);
  if (code === 'ETIMEDOUT')
    return fail('connect_timeout', `${host} could not be reached in time`, all, thrown);
  if (code === 'TimeoutError') return fail('stalled', `${host} did not answer in time`, all, thrown);
  if (TLS_CODES.test(code)) return fail('tls_failed', `TLS with ${host} failed: ${said}`, all, thrown);
  return fail('connection_lost', `The connection to ${host} broke: ${said}`, all, thrown);
}

/** Libraries wrap the error that has the code; several addresses make an AggregateError of several. */
function codeOf(thrown: unknown): string {
  let error = thrown;
  for (let depth = 0; depth < 5 && error instanceof Error; depth += 1) {
    if (error.name === 'TimeoutError') return error.name;
    const { code, errors } = error as { code?: unknown; errors?: unknown[] };
    if (typeof code === 'string' && code !== 'AbortError') return code;
    error = Array.isArray(errors) ? errors[0] : error.cause;
  }
  return '';
}
