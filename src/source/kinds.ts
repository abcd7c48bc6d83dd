/** What the kinds of mailbox can do that this version polls: for settings, the command line and the API. */
import { fail, type PenstockError } from '../errors.ts';
import type { Disposition, SourceKind } from './source.ts';

export interface KindFacts {
  /** For people. */
  name: string;
  dispositions: readonly Disposition[];
  /** False: there is one folder, INBOX. */
  hasFolders: boolean;
  /** False: the server does not say when it received a message. */
  hasDates: boolean;
  /** Default ports with and without implicit TLS; null where the kind is reached otherwise. */
  ports: { implicit: number; plain: number } | null;
}

const KINDS: Partial<Record<SourceKind, KindFacts>> = {
  imap: {
    name: 'IMAP',
    dispositions: ['leave', 'seen', 'move', 'delete'],
    hasFolders: true,
    hasDates: true,
    ports: { implicit: 993, plain: 143 },
  },
  pop3: {
    name: 'POP3',
    dispositions: ['leave', 'delete'],
    hasFolders: false,
    hasDates: false,
    ports: { implicit: 995, plain: 110 },
  },
};

export const POLLED_KINDS = Object.keys(KINDS) as SourceKind[];

/** Fails with `unsupported` for a kind that this version cannot poll. */
export function factsOf(kind: SourceKind): KindFacts {
  const facts = KINDS[kind];
  if (facts) return facts;
  throw unsupportedKind(kind);
}

export function unsupportedKind(kind: SourceKind): PenstockError {
  return fail('unsupported', `Mailboxes of kind ${kind} cannot be polled by this version.`, { kind });
}

/** The port of a kind that is reached by host and port. */
export function defaultPort(kind: SourceKind, tls: 'implicit' | 'starttls' | 'none'): number {
  const { ports, name } = factsOf(kind);
  if (!ports) throw fail('unsupported', `${name} mailboxes have no port.`, { kind });
  return tls === 'implicit' ? ports.implicit : ports.plain;
}
