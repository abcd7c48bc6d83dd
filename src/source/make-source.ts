/** Makes the source of a mailbox kind: the one place that knows which kinds this version can poll. */
import { fail } from '../errors.ts';
import { imapSource } from './imap/imap-source.ts';
import type { ServerSettings, Source, SourceKind } from './source.ts';

/** Fails with `unsupported` for a kind that this version cannot poll. */
export function makeSource(kind: SourceKind, settings: ServerSettings): Source {
  if (kind === 'imap') return imapSource(settings);
  throw fail('unsupported', `Mailboxes of kind ${kind} cannot be polled by this version.`, { kind });
}
