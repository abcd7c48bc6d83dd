/** The secret that Graph's notifications carry (`clientState`). Only its digest is kept: nobody needs it again. */
import { createHash, randomBytes } from 'node:crypto';

/** A secret for the notifications of one subscription; at most 128 characters are allowed. */
export function newClientState(): string {
  return randomBytes(32).toString('base64url');
}

/** SHA-256. Nothing slower is needed for a secret that is random and this long. */
export function secretDigest(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
