/** What the kinds of mailbox can do: for settings, the command line and the API. */
import type { Disposition, SourceKind } from './source.ts';

export interface KindFacts {
  /** For people. */
  name: string;
  dispositions: readonly Disposition[];
  /** False: there is one folder, INBOX. */
  hasFolders: boolean;
  /** False: the server does not say when it received a message. */
  hasDates: boolean;
  /** Default ports with and without implicit TLS. */
  ports: { implicit: number; plain: number };
  /** Where everybody's mailboxes are; null where each has a server of its own. Such an API is spoken over HTTPS only. */
  api: string | null;
}

const KINDS: Record<SourceKind, KindFacts> = {
  imap: {
    name: 'IMAP',
    dispositions: ['leave', 'seen', 'move', 'delete'],
    hasFolders: true,
    hasDates: true,
    ports: { implicit: 993, plain: 143 },
    api: null,
  },
  pop3: {
    name: 'POP3',
    dispositions: ['leave', 'delete'],
    hasFolders: false,
    hasDates: false,
    ports: { implicit: 995, plain: 110 },
    api: null,
  },
  graph: {
    name: 'Microsoft Graph',
    dispositions: ['leave', 'seen', 'move', 'delete'],
    hasFolders: true,
    hasDates: true,
    ports: { implicit: 443, plain: 443 },
    api: 'graph.microsoft.com',
  },
  gmail: {
    name: 'Gmail',
    dispositions: ['leave', 'seen', 'move', 'delete'],
    hasFolders: true,
    hasDates: true,
    ports: { implicit: 443, plain: 443 },
    api: 'gmail.googleapis.com',
  },
};

export const POLLED_KINDS = Object.keys(KINDS) as SourceKind[];

export const factsOf = (kind: SourceKind): KindFacts => KINDS[kind];

export function defaultPort(kind: SourceKind, tls: 'implicit' | 'starttls' | 'none'): number {
  const { ports } = factsOf(kind);
  return tls === 'implicit' ? ports.implicit : ports.plain;
}
