/** What a mailbox gets its access tokens with: its settings and its secrets put together. Pure, but for the environment. */
import { fail } from './errors.ts';
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
import type { MailboxSettings, OauthSettings } from './store/mailbox-settings.ts';
import { credentialId } from './store/oauth-tokens.ts';

/** Names of what a mailbox logs in with, in the secret store. */
export const LOGIN_SECRETS = [
  'password',
  'token',
  'client_secret',
  'refresh_token',
  'private_key',
  'smtp_password',
] as const;
export type LoginSecrets = Partial<Record<(typeof LOGIN_SECRETS)[number], string>>;

/** Fails with `validation_failed` when a setting or a secret that the grant needs is missing. */
export function credentialOf(
  mailbox: { id: number; kind: SourceKind; settings: MailboxSettings },
  secrets: LoginSecrets,
): Credential {
  const { server, oauth } = mailbox.settings;
  if (!oauth) throw missing('credential for OAuth', 'oauth');
  const scope = oauth.scope ?? scopeOf(mailbox.kind, oauth);
  return {
    id: credentialId(mailbox.id),
    provider: oauth.provider,
    tokenUrl: tokenUrlOf(oauth),
    clientId: oauth.clientId,
    scope,
    grant: grantOf(oauth, server.user, scope, secrets),
    tlsCa: server.tlsCa,
  };
}

/**
 * The application with which a person signs in, and where a sign-in by device code begins. Fails with `unsupported` where
 * that cannot be: Google gives no mail scopes to devices.
 */
export function deviceApplication(
  { kind, settings }: { kind: SourceKind; settings: MailboxSettings },
  secrets: LoginSecrets,
): { application: Application; deviceCodeUrl: string; scope: string } {
  const { server, oauth } = settings;
  if (server.auth !== 'oauth' || oauth?.grant !== 'refresh_token') {
    throw fail('unsupported', 'Nobody signs in for this mailbox: its grant is another one.', {
      field: 'grant',
    });
  }
  if (oauth.provider !== 'microsoft') {
    throw fail('unsupported', 'Google does not let devices read mail; get a refresh token in a browser.');
  }
  const { provider, clientId } = oauth;
  const tokenUrl = tokenUrlOf(oauth);
  const application = { provider, clientId, client: clientOf(oauth, secrets), tokenUrl, tlsCa: server.tlsCa };
  const deviceCodeUrl = tokenUrl.replace(/\/token$/, '/devicecode');
  return { application, deviceCodeUrl, scope: oauth.scope ?? scopeOf(kind, oauth) };
}

function scopeOf(kind: SourceKind, { provider, grant, cloud }: OauthSettings): string {
  if (provider === 'google') return kind === 'gmail' ? GMAIL_API_SCOPE : GMAIL_PROTOCOL_SCOPE;
  const use = kind === 'imap' || kind === 'pop3' ? kind : 'graph';
  return grant === 'refresh_token' ? microsoftUserScope(cloud, use) : microsoftAppScope(cloud, use);
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
    return credentialOf(mailbox, secrets);
  if (!oauth || oauth.grant === 'refresh_token') {
    const message = "A person's sign-in for Graph is not good for SMTP; send through Graph.";
    throw fail('unsupported', message, { field: 'sending.by' });
  }
  const scope = microsoftAppScope(oauth.cloud, 'smtp');
  const known = credentialOf({ ...mailbox, settings: { ...settings, oauth: { ...oauth, scope } } }, secrets);
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
