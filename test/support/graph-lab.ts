/** A lab Graph over TLS with one mailbox, and sources and sessions on it: for tests of single faults. */
import { onTestFinished } from 'vitest';
import { type Certificate, makeCertificate } from '../../src/lab/certificate.ts';
import { type LabGraphOptions, LabGraphServer } from '../../src/lab/graph/server.ts';
import { GraphMailbox } from '../../src/source/graph/graph-source.ts';
import type { AccessTokens, GraphOptions, GraphSettings } from '../../src/source/graph/settings.ts';
import type { Session } from '../../src/source/source.ts';
import { simpleMessage } from './messages.ts';

export const ANN = 'ann@example.org';
export const GOOD_TOKEN = 'good-token';

let made: Certificate | undefined;

/** One certificate for all: making keys takes a while. */
export function labCertificate(): Certificate {
  made ??= makeCertificate({ names: ['127.0.0.1', 'localhost'] });
  return made;
}

/**
 * Short waits between attempts, and a budget that no test reaches. Deadlines stay as they are: what is meant to succeed
 * has to succeed on a busy machine too.
 */
export const QUICK: Partial<GraphOptions> = {
  retryMs: 20,
  patienceMs: 10_000,
  requestsPerMinute: 100_000,
  burst: 50_000,
};

/** Tokens that are given out in turn, the last one again and again. `asked` has what was refused before each. */
export function tokensOf(...values: string[]): AccessTokens & { asked: (string | undefined)[] } {
  let given = 0;
  const asked: (string | undefined)[] = [];
  return {
    asked,
    async get(refused) {
      asked.push(refused);
      if (refused !== undefined && given < values.length - 1) given += 1;
      return values[given]!;
    },
  };
}

export interface GraphLab {
  server: LabGraphServer;
  settings(changes?: Partial<GraphSettings>): GraphSettings;
  mailbox(
    changes?: Partial<GraphSettings>,
    options?: Partial<GraphOptions>,
    tokens?: AccessTokens,
  ): GraphMailbox;
  /** A session with the inbox open. It ends with the test. */
  session(options?: Partial<GraphOptions>, tokens?: AccessTokens): Promise<Session>;
  /** Delivers plain messages with these subjects and returns their keys. */
  deliver(...subjects: string[]): string[];
}

/** Everything ends with the test. */
export async function startGraphLab(options: Partial<LabGraphOptions> = {}): Promise<GraphLab> {
  const server = new LabGraphServer({ certificate: labCertificate(), ...options });
  await server.start();
  server.addMailbox(ANN);
  server.grant(GOOD_TOKEN);
  const sessions: Session[] = [];
  onTestFinished(async () => {
    server.faults.clear();
    for (const session of sessions) await session.close();
    await server.stop();
  });
  const settings: GraphLab['settings'] = (changes) => graphSettings(server.host, changes);
  const mailbox: GraphLab['mailbox'] = (changes, graphOptions, tokens = tokensOf(GOOD_TOKEN)) =>
    new GraphMailbox(settings(changes), tokens, { ...QUICK, ...graphOptions });
  return {
    server,
    settings,
    mailbox,
    async session(graphOptions, tokens) {
      const session = await mailbox({}, graphOptions, tokens).source().connect(new AbortController().signal);
      sessions.push(session);
      await session.open('INBOX');
      return session;
    },
    deliver: (...subjects) =>
      subjects.map((subject) => server.deliver(ANN, simpleMessage(subject)).immutableId),
  };
}

export function graphSettings(graphHost: string, changes: Partial<GraphSettings> = {}): GraphSettings {
  return {
    mailbox: ANN,
    graphHost,
    tlsCa: labCertificate().cert,
    tlsVerify: true,
    folders: ['INBOX'],
    maxMessageBytes: 50 * 1024 * 1024,
    ...changes,
  };
}
