/**
 * Makes the source for an account: the one place that knows which code speaks for which kind. That code, and the library
 * it stands on, is loaded with the first mailbox of its kind: a command starts sooner, and a daemon without it is smaller.
 */
import { fail } from '../errors.ts';
import type { GmailApi } from './gmail/api.ts';
import type { GraphMailbox } from './graph/graph-source.ts';
import type { AccessTokens as GraphTokens } from './graph/settings.ts';
import type { AccessTokens } from './oauth/access-tokens.ts';
import type { ServerSettings, Source, SourceKind } from './source.ts';
import type { Subscriptions } from './subscriptions.ts';
import { tokenSource } from './token-source.ts';

/** A mailbox on its server with all that is needed to log in. */
export interface Account {
  kind: SourceKind;
  server: Omit<ServerSettings, 'auth'>;
  login: { kind: 'password'; password: string } | { kind: 'tokens'; tokens: AccessTokens };
}

/** `graph` and `gmail` are there for mailboxes that can do more than deliver mail; `subscriptions` where a provider tells of mail. */
export interface MadeSource {
  source: Source;
  graph: GraphMailbox | null;
  gmail: (() => GmailApi) | null;
  subscriptions: Subscriptions | null;
}

/** Keep what it makes as long as the mailbox is the same: it knows how much of a quota is used. */
export async function makeSource({ kind, server, login }: Account): Promise<MadeSource> {
  if (kind === 'imap' || kind === 'pop3') {
    const make =
      kind === 'imap'
        ? (await import('./imap/imap-source.ts')).imapSource
        : (await import('./pop3/pop3-source.ts')).pop3Source;
    const source =
      login.kind === 'password' ? make({ ...server, auth: login }) : tokenSource(server, login.tokens, make);
    return { source, graph: null, gmail: null, subscriptions: null };
  }
  if (login.kind === 'password') throw fail('validation_failed', 'This kind of mailbox takes tokens only.');
  const { tokens } = login;
  const { host, port, user, tlsCa, tlsVerify, folders, maxMessageBytes } = server;
  const authority = port === 443 ? host : `${host}:${port}`;
  if (kind === 'gmail') {
    const { gmailCalls, gmailSource, gmailSubscriptions } = await import('./gmail/gmail-source.ts');
    const rootUrl = `https://${authority}/`;
    const settings = { user, tokens, folders, maxMessageBytes, rootUrl, tlsCa };
    const subscriptions = gmailSubscriptions(settings);
    return { source: gmailSource(settings), graph: null, gmail: gmailCalls(settings), subscriptions };
  }
  const [{ GraphMailbox }, { graphSubscriptions }] = await Promise.all([
    import('./graph/graph-source.ts'),
    import('./graph/subscription.ts'),
  ]);
  const settings = { mailbox: user, graphHost: authority, tlsCa, tlsVerify, folders, maxMessageBytes };
  const graph = new GraphMailbox(settings, forGraph(tokens));
  return { source: graph.source(), graph, gmail: null, subscriptions: graphSubscriptions(graph) };
}

const forGraph = ({ get, rejected }: AccessTokens): GraphTokens => ({
  async get(refused) {
    if (refused !== undefined) await rejected(refused);
    return await get();
  },
});
