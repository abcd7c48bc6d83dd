/** The Microsoft Graph source. */
import { fail } from '../../errors.ts';
import type { DiagnosisStep, Session, Source } from '../source.ts';
import { GraphClient } from './client.ts';
import { diagnoseGraph } from './diagnose.ts';
import { Gate } from './gate.ts';
import { GraphSession, mailboxEpoch } from './session.ts';
import {
  type AccessTokens,
  DEFAULT_GRAPH_OPTIONS,
  type GraphOptions,
  type GraphSettings,
} from './settings.ts';

/** One mailbox: everything that asks Graph about it goes through one gate. `options` changes times. */
export class GraphMailbox {
  readonly settings: GraphSettings;
  readonly #tokens: AccessTokens;
  readonly #options: GraphOptions;
  readonly #gate: Gate;

  constructor(settings: GraphSettings, tokens: AccessTokens, options: Partial<GraphOptions> = {}) {
    this.settings = settings;
    this.#tokens = tokens;
    this.#options = { ...DEFAULT_GRAPH_OPTIONS, ...options };
    this.#gate = new Gate(this.#options);
  }

  /** A client for a run of requests. Whoever asks for it closes it. */
  client(): GraphClient {
    return new GraphClient(this.settings, this.#tokens, this.#options, this.#gate);
  }

  /** As something to take mail from. */
  source(): Source {
    return {
      kind: 'graph',
      connect: (signal) => connectGraph(this.client(), signal),
      diagnose: (signal): Promise<DiagnosisStep[]> => diagnoseGraph(this.client(), this.#tokens, signal),
    };
  }
}

/**
 * Fails with `auth_failed`, `permission_denied`, `mailbox_missing`, `dns_failed`, `connect_failed`, `connect_timeout`,
 * `tls_failed`, `server_busy`, `stalled` or `connection_lost`.
 */
async function connectGraph(client: GraphClient, signal: AbortSignal): Promise<Session> {
  const abort = (): void => client.close();
  try {
    if (signal.aborted) throw fail('connection_lost', 'The attempt was ended before it began');
    signal.addEventListener('abort', abort, { once: true });
    return new GraphSession(client, await mailboxEpoch(client));
  } catch (error) {
    client.close();
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
