/** What a mailbox gets its access tokens with: its settings and its secrets put together. Pure, but for the environment. */
import { asPenstockError, fail } from './errors.ts';
import type { LoginOption } from './source/logins.ts';
import {
  GMAIL_API_SCOPE,
  GMAIL_PROTOCOL_SCOPE,
  GOOGLE_ENDPOINTS,
  managedIdentityEndpoint,
  microsoftAppScope,
  microsoftEndpoints,
  microsoftUserScope,
} from './source/oauth/authority.ts';
import type { Application } from './source/oauth/authorization-code.ts';
import type { ClientAuth, Credential, Grant } from './source/oauth/credential.ts';
import type { SourceKind } from './source/source.ts';
import { LOGIN_SECRETS } from './store/credentials.ts';
import type { MailboxSettings, OauthSettings } from './store/mailbox-settings.ts';
import { credentialId } from './store/oauth-tokens.ts';
import { sendingOf } from './store/sending-settings.ts';

export { LOGIN_SECRETS };
/** What a mailbox logs in with; `smtp_password` is the mailbox's own, for sending. */
export type LoginSecrets = Partial<Record<(typeof LOGIN_SECRETS)[number] | 'smtp_password', string>>;

type Reached = { kind: SourceKind; settings: MailboxSettings };

/**
 * What to log in with by these settings; `name` is that of the credential. Never fails: what is missing is told when it is
 * needed, and other credentials may serve until then.
 */
export function loginOption(
  name: string,
  mailbox: Reached,
  secrets: LoginSecrets,
  refused: boolean,
): LoginOption {
  try {
    return { name, with: loginWith(name, mailbox, secrets), refused };
  } catch (thrown) {
    return { name, with: { kind: 'nothing', error: asPenstockError(thrown) }, refused };
  }
}

function loginWith(name: string, mailbox: Reached, secrets: LoginSecrets): LoginOption['with'] {
  const { auth } = mailbox.settings.server;
  if (auth === 'oauth') return { kind: 'oauth', credential: credentialOf(name, mailbox, secrets) };
  const { password, token } = secrets;
  if (auth === 'password' && password !== undefined) return { kind: 'password', password };
  if (auth === 'xoauth2' && token !== undefined) return { kind: 'xoauth2', token };
  throw fail('validation_failed', `The mailbox has no ${auth === 'password' ? 'password' : 'token'}.`, {
    auth,
  });
}

/** Fails with `validation_failed` when a setting or a secret that the grant needs is missing. */
export function credentialOf(name: string, mailbox: Reached, secrets: LoginSecrets): Credential {
  const { server, oauth } = mailbox.settings;
  if (!oauth) throw missing('credential for OAuth', 'oauth');
  const scope = oauth.scope ?? scopeOf(mailbox.kind, oauth);
  return {
    id: name,
    provider: oauth.provider,
    tokenUrl: tokenUrlOf(oauth),
    clientId: oauth.clientId,
    scope,
    grant: grantOf(oauth, server.user, scope, secrets),
    tlsCa: server.tlsCa,
  };
}

/** How a person signs in for a mailbox. */
export interface SignInTarget {
  application: Application;
  authorizeUrl: string;
  /** Null where a sign-in on another device cannot be: Google gives no mail scopes to devices. */
  deviceCodeUrl: string | null;
  scope: string;
}

/** Fails with `unsupported` where nobody signs in, with `validation_failed` when something else is missing. */
export function signInTarget({ kind, settings }: Reached, secrets: LoginSecrets): SignInTarget {
  const { server, oauth } = settings;
  if (server.auth !== 'oauth' || oauth?.grant !== 'refresh_token') {
    throw fail('unsupported', 'Nobody signs in for this mailbox: its grant is another one.', {
      field: 'grant',
    });
  }
  const { provider, clientId } = oauth;
  const tokenUrl = tokenUrlOf(oauth);
  const application = { provider, clientId, client: clientOf(oauth, secrets), tokenUrl, tlsCa: server.tlsCa };
  const sending = sendingOf({ kind, settings });
  const sends = kind === 'graph' ? sending?.by === 'api' : sending?.smtp?.auth === 'oauth';
  const scope = oauth.scope ?? scopeOf(kind, oauth, sends);
  if (provider === 'google') {
    const own = new URL('/o/oauth2/v2/auth', tokenUrl).href;
    const authorizeUrl = tokenUrl === GOOGLE_ENDPOINTS.token ? GOOGLE_ENDPOINTS.authorize : own;
    return { application, authorizeUrl, deviceCodeUrl: null, scope };
  }
  const beside = (name: string): string => tokenUrl.replace(/\/token$/, `/${name}`);
  return { application, authorizeUrl: beside('authorize'), deviceCodeUrl: beside('devicecode'), scope };
}

function scopeOf(kind: SourceKind, { provider, grant, cloud }: OauthSettings, sends = false): string {
  if (provider === 'google') return kind === 'gmail' ? GMAIL_API_SCOPE : GMAIL_PROTOCOL_SCOPE;
  const use = kind === 'imap' || kind === 'pop3' ? kind : 'graph';
  return grant === 'refresh_token' ? microsoftUserScope(cloud, use, sends) : microsoftAppScope(cloud, use);
}

/**
 * What a mailbox gets tokens for SMTP with. The token it is read with is good for that too where the audience is the
 * same; of a Graph mailbox, whose audience is another one, the application can have a token for Exchange beside it.
 */
export function smtpCredentialOf(
  mailbox: { id: number; kind: SourceKind; settings: MailboxSettings },
  secrets: LoginSecrets,
): Credential {
  const { kind, settings } = mailbox;
  const { oauth } = settings;
  if (kind === 'imap' || kind === 'pop3' || oauth?.provider === 'google')
    return credentialOf(credentialId(mailbox.id), mailbox, secrets);
  if (!oauth || oauth.grant === 'refresh_token') {
    const message = "A person's sign-in for Graph is not good for SMTP; send through Graph.";
    throw fail('unsupported', message, { field: 'sending.by' });
  }
  const scope = microsoftAppScope(oauth.cloud, 'smtp');
  const own = { kind, settings: { ...settings, oauth: { ...oauth, scope } } };
  const known = credentialOf(credentialId(mailbox.id), own, secrets);
  return { ...known, id: `${known.id}:smtp` };
}

function tokenUrlOf({ provider, grant, tokenUrl, cloud, tenant }: OauthSettings): string {
  if (tokenUrl !== null) return tokenUrl;
  if (provider === 'google') return GOOGLE_ENDPOINTS.token;
  // Not asked: the machine has an address of its own for that.
  if (grant === 'managed_identity') return microsoftEndpoints(cloud, 'organizations').token;
  if (tenant === null) throw missing('tenant', 'oauth.tenant');
  return microsoftEndpoints(cloud, tenant).token;
}

function grantOf(oauth: OauthSettings, subject: string, scope: string, secrets: LoginSecrets): Grant {
  switch (oauth.grant) {
    case 'client_credentials':
      return { kind: 'client_credentials', client: clientOf(oauth, secrets) };
    case 'refresh_token': {
      const refreshToken = secrets.refresh_token;
      if (refreshToken === undefined) {
        throw fail('sign_in_needed', 'Nobody has signed in for this mailbox yet.', {
          secret: 'refresh_token',
        });
      }
      return { kind: 'refresh_token', client: clientOf(oauth, secrets), refreshToken };
    }
    case 'service_account': {
      const privateKey = secrets.private_key;
      if (privateKey === undefined) throw missing('private key', 'private_key');
      const { clientId: email, keyId: privateKeyId } = oauth;
      return { kind: 'service_account', email, privateKey, privateKeyId, subject };
    }
    case 'managed_identity': {
      const resource = scope.replace(/\/\.default$/, '');
      const endpoint = managedIdentityEndpoint(process.env, resource, oauth.clientId || null);
      return { kind: 'managed_identity', endpoint };
    }
  }
}

function clientOf(
  { client, certificate, tokenFile, secretExpires: expiresAt }: OauthSettings,
  secrets: LoginSecrets,
): ClientAuth {
  switch (client) {
    case 'none':
      return { kind: 'none' };
    case 'secret': {
      const secret = secrets.client_secret;
      if (secret === undefined) throw missing('client secret', 'client_secret');
      return { kind: 'secret', secret, expiresAt };
    }
    case 'certificate': {
      const privateKey = secrets.private_key;
      if (privateKey === undefined) throw missing('private key', 'private_key');
      return { kind: 'certificate', privateKey, certificate: certificate ?? '' };
    }
    case 'federated':
      return { kind: 'federated', tokenFile: tokenFile ?? '' };
  }
}

function missing(what: string, field: string): Error {
  return fail('validation_failed', `The mailbox has no ${what}.`, { field });
}
