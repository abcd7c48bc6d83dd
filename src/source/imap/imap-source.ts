/** The IMAP source. */
import type { DiagnosisStep, ServerSettings, Session, Source } from '../source.ts';
import { connectImap } from './connect.ts';
import { diagnoseImap } from './diagnose.ts';
import { DEFAULT_IMAP_OPTIONS, type ImapOptions } from './options.ts';
import { ImapSession } from './session.ts';

/** A source for one account. `options` changes times; see {@link ImapOptions}. */
export function imapSource(settings: ServerSettings, options: Partial<ImapOptions> = {}): Source {
  const all = { ...DEFAULT_IMAP_OPTIONS, ...options };
  return {
    kind: 'imap',
    async connect(signal: AbortSignal): Promise<Session> {
      return new ImapSession(await connectImap(settings, all, signal), all);
    },
    async diagnose(signal: AbortSignal): Promise<DiagnosisStep[]> {
      return diagnoseImap(settings, all, signal);
    },
  };
}
