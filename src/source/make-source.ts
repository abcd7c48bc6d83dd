/**
 * Makes the source for an account: the one place that knows which code speaks for which kind. That code, and the library
 * it stands on, is loaded with the first mailbox of its kind: a command starts sooner, and a daemon without it is smaller.
 */
import type { GmailApi } from './gmail/api.ts';
import type { GraphMailbox } from './graph/graph-source.ts';
import type { AccessTokens as GraphTokens } from './graph/settings.ts';
import { loginSource, requestSource } from './login-source.ts';
import type { Logins } from './logins.ts';
import { type AccessTokens, accessTokens } from './oauth/access-tokens.ts';
import type { ServerSettings, Source, SourceKind } from './source.ts';
import type { Subscriptions } from './subscriptions.ts';

/** A mailbox on its server with all that is needed to log in. */
export interface Account {
  kind: SourceKind;
  server: Omit<ServerSettings, 'auth'>;
  logins: Logins;
}

/** `graph` and `gmail` are there for mailboxes that can do more than deliver mail; `subscriptions` where a provider tells of mail. */
export interface MadeSource {
  source: Source;
  graph: GraphMailbox | null;
  gmail: (() => GmailApi) | null;
  subscriptions: Subscriptions | null;
}

/** Keep what it makes as long as the mailbox is the same: it knows how much of a quota is used. */
export async function makeSource({ kind, server, logins }: Account): Promise<MadeSource> {
  if (kind === 'imap' || kind === 'pop3') {
    const make =
      kind === 'imap'
        ? (await import('./imap/imap-source.ts')).imapSource
        : (await import('./pop3/pop3-source.ts')).pop3Source;
    const source = loginSource(server, logins, make);
    return { source, graph: null, gmail: null, subscriptions: null };
  }
  const tokens = accessTokens(logins);
  const { host, port, user, tlsCa, tlsVerify, folders, maxMessageBytes } = server;
  const authority = port === 443 ? host : `${host}:${port}`;
  if (kind === 'gmail') {
    const { gmailCalls, gmailSource, gmailSubscriptions } = await import('./gmail/gmail-source.ts');
    const rootUrl = `https://${authority}/`;
    const settings = { user, tokens, folders, maxMessageBytes, rootUrl, tlsCa };
    const source = requestSource(gmailSource(settings), logins);
    return { source, graph: null, gmail: gmailCalls(settings), subscriptions: gmailSubscriptions(settings) };
  }
  const [{ GraphMailbox }, { graphSubscriptions }] = await Promise.all([
    import('./graph/graph-source.ts'),
    import('./graph/subscription.ts'),
  ]);
  const settings = { mailbox: user, graphHost: authority, tlsCa, tlsVerify, folders, maxMessageBytes };
  const graph = new GraphMailbox(settings, forGraph(tokens));
  const source = requestSource(graph.source(), logins);
  return { source, graph, gmail: null, subscriptions: graphSubscriptions(graph) };
}

const forGraph = ({ get, rejected }: AccessTokens): GraphTokens => ({
  async get(refused) {
    if (refused !== undefined) await rejected(refused);
    return await get();
  },
});
