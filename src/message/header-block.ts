/** Finds the header block of a message: everything up to and with the first empty line (RFC 5322 section 2.1). */
import { hash } from 'node:crypto';

/** Length of the header block in bytes, or -1 when there is no empty line in `bytes`. */
export function headerBlockLength(bytes: Buffer): number {
  const crlf = bytes.indexOf('\r\n\r\n');
  const lf = bytes.indexOf('\n\n');
  if (crlf === -1 && lf === -1) return -1;
  if (crlf === -1 || (lf !== -1 && lf < crlf)) return lf + 2;
  return crlf + 4;
}

/** SHA-256 of the header block, as servers send it for BODY[HEADER] (RFC 9051 section 6.4.5). */
export function headerDigest(bytes: Buffer): Buffer {
  const length = headerBlockLength(bytes);
  return hash('sha256', length === -1 ? bytes : bytes.subarray(0, length), 'buffer');
}
