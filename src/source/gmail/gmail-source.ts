/** The Gmail source. */
import { fail } from '../../errors.ts';
import type { DiagnosisStep, Session, Source } from '../source.ts';
import type { Subscriptions } from '../subscriptions.ts';
import { GmailApi } from './api.ts';
import { diagnoseGmail } from './diagnose.ts';
import { GmailSession } from './session.ts';
import { DEFAULT_GMAIL_OPTIONS, type GmailOptions, type GmailSettings } from './settings.ts';
import { gmailWatch } from './watch.ts';

/**
 * A source for one mailbox. Keep it between sessions: it knows how much of the quota is used. `options` changes times
 * and limits.
 */
export function gmailSource(settings: GmailSettings, options: Partial<GmailOptions> = {}): Source {
  const api = new GmailApi(settings, { ...DEFAULT_GMAIL_OPTIONS, ...options });
  return {
    kind: 'gmail',
    async connect(signal: AbortSignal): Promise<Session> {
      if (signal.aborted) throw fail('connection_lost', 'The attempt was ended', { closed: true });
      // Nothing stays connected; this shows that the token is good for this mailbox.
      await api.profile(signal);
      return new GmailSession(api);
    },
    async diagnose(signal: AbortSignal): Promise<DiagnosisStep[]> {
      return await diagnoseGmail(api, signal);
    },
  };
}

/** The watch of the mailbox. Each call opens a connection of its own: there are days between them. */
export function gmailSubscriptions(settings: GmailSettings): Subscriptions {
  return gmailWatch(() => new GmailApi(settings, DEFAULT_GMAIL_OPTIONS));
}

/** All calls of the API, for who needs more of a mailbox than its mail. The same at each call. */
export function gmailCalls(settings: GmailSettings): () => GmailApi {
  let made: GmailApi | null = null;
  return () => {
    made ??= new GmailApi(settings, DEFAULT_GMAIL_OPTIONS);
    return made;
  };
}
