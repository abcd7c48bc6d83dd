import { invalid } from './problem.ts';

/**
 * Decodes base64 or base64url (RFC 4648), with or without padding and line breaks. Node itself decodes anything and
 * leaves out what it does not know, so damaged mail would be taken for whole.
 */
export function decodeBase64(text: string, field: string): Buffer {
  const clean = text.replace(/[\r\n]/g, '');
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(clean)) throw invalid(field, 'is not base64');
  const bytes = Buffer.from(clean, 'base64');
  const digits = clean.replace(/=+$/, '').length;
  if (digits < clean.length && clean.length % 4 !== 0) throw invalid(field, 'is not base64');
  if (bytes.length !== Math.floor((digits * 3) / 4) || digits % 4 === 1)
    throw invalid(field, 'is not base64');
  return bytes;
}
