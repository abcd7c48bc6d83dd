/** How Halo's fields for port and TLS (halo-api.md 4.5) become a way to connect. */
import type { ServerSettings } from '../../source/source.ts';
import { TLS_TYPE } from './enums.ts';

type Tls = ServerSettings['tls'];

/** Where processed mail goes when `deleteditemsfolder` is blank: whatever the server calls that folder (RFC 6154). */
export const DELETED_ITEMS = '\\Trash';

const IMAP_PORT = 143;
const IMAPS_PORT = 993;

export interface WrittenServer {
  usetls: boolean;
  tlstype: number;
  popport: number;
}

/** Null for a number that means nothing. `stricter`: what was asked for is not offered, and something safer is. */
export function tlsOf({ usetls, tlstype, popport }: WrittenServer): { tls: Tls; stricter: boolean } | null {
  if (!usetls) return { tls: 'none', stricter: false };
  switch (TLS_TYPE.word(tlstype)) {
    case 'automatic':
      return { tls: popport === IMAP_PORT ? 'starttls' : 'implicit', stricter: false };
    case 'implicit':
      return { tls: 'implicit', stricter: false };
    case 'starttls':
      return { tls: 'starttls', stricter: false };
    // Whoever sits between could take the offer away and read the password.
    case 'starttls_if_offered':
      return { tls: 'starttls', stricter: true };
    case null:
      return null;
  }
}

export function portOf(written: number, tls: Tls): number {
  if (written !== 0) return written;
  return tls === 'implicit' ? IMAPS_PORT : IMAP_PORT;
}
