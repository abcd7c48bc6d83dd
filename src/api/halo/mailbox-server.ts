/** How Halo's fields for port and TLS (halo-api.md 4.5) become a way to connect. */
import { defaultPort, factsOf } from '../../source/kinds.ts';
import type { ServerSettings, SourceKind } from '../../source/source.ts';
import { TLS_TYPE } from './enums.ts';

type Tls = ServerSettings['tls'];

/** Where processed mail goes when `deleteditemsfolder` is blank: whatever the server calls that folder (RFC 6154). */
export const DELETED_ITEMS = '\\Trash';

export interface WrittenServer {
  usetls: boolean;
  tlstype: number;
  popport: number;
}

/** Null for a number that means nothing. `stricter`: what was asked for is not offered, and something safer is. */
export function tlsOf(
  { usetls, tlstype, popport }: WrittenServer,
  kind: SourceKind,
): { tls: Tls; stricter: boolean } | null {
  // An API is reached by HTTPS, whatever is written.
  if (factsOf(kind).api !== null) return { tls: 'implicit', stricter: false };
  if (!usetls) return { tls: 'none', stricter: false };
  switch (TLS_TYPE.word(tlstype)) {
    case 'automatic':
      return { tls: popport === defaultPort(kind, 'starttls') ? 'starttls' : 'implicit', stricter: false };
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

export function portOf(written: number, tls: Tls, kind: SourceKind): number {
  return written === 0 ? defaultPort(kind, tls) : written;
}
