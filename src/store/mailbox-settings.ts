/** The settings of one mailbox, as stored and as every part reads them. Halo's names live at the API's edge. */
import { X509Certificate } from 'node:crypto';
import Type, { type Static } from 'typebox';
import Schema from 'typebox/schema';
import { fail } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { defaultPort, factsOf } from '../source/kinds.ts';
import type { SourceKind } from '../source/source.ts';
import { SendingSettings } from './sending-settings.ts';

const nullable = (maxLength: number) => Type.Union([Type.String({ minLength: 1, maxLength }), Type.Null()]);

/** What access tokens are got with. What is secret of it is in the secret store. */
export const OauthSettings = Type.Object({
  provider: Type.Enum(['microsoft', 'google']),
  /** By what right: as the application itself, for a person who signed in, as a service account, as this machine. */
  grant: Type.Enum(['client_credentials', 'refresh_token', 'service_account', 'managed_identity']),
  /** The application; of a service account its address; '' for the only identity of this machine. */
  clientId: Type.String({ maxLength: 320 }),
  /** How the application proves who it is, for the first two grants. */
  client: Type.Enum(['none', 'secret', 'certificate', 'federated']),
  /** Microsoft: where the application is registered, and in which national cloud. */
  tenant: nullable(255),
  cloud: Type.Enum(['global', 'us_government', 'us_dod', 'china']),
  /** PEM, with `client` certificate; the key is a secret. */
  certificate: nullable(64_000),
  /** With `client` federated: a file that the platform renews. */
  tokenFile: nullable(4_000),
  /** Of a service account's key. */
  keyId: nullable(255),
  /** When the client secret ends, as far as somebody wrote it down, or the certificate. */
  secretExpires: nullable(64),
  /** Null: the provider's own, and what mail needs. */
  tokenUrl: Type.Union([Type.String({ pattern: '^https://', maxLength: 2_000 }), Type.Null()]),
  scope: nullable(2_000),
});
export type OauthSettings = Static<typeof OauthSettings>;

export const MailboxSettings = Type.Object({
  /** How to reach the server or the API. Passwords and tokens are in the secret store, not here. */
  server: Type.Object({
    host: Type.String({ minLength: 1, maxLength: 255 }),
    port: Type.Integer({ minimum: 1, maximum: 65_535 }),
    tls: Type.Enum(['implicit', 'starttls', 'none']),
    tlsVerify: Type.Boolean(),
    tlsCa: Type.Union([Type.String(), Type.Null()]),
    user: Type.String({ minLength: 1, maxLength: 320 }),
    /** `xoauth2`: a token that was given; `oauth`: tokens that we get ourselves. */
    auth: Type.Enum(['password', 'xoauth2', 'oauth']),
  }),
  oauth: Type.Optional(Type.Union([OauthSettings, Type.Null()])),
  sending: Type.Optional(Type.Union([SendingSettings, Type.Null()])),
  folders: Type.Array(Type.String({ minLength: 1, maxLength: 500 }), { minItems: 1, maxItems: 50 }),
  /** False: the provider is not asked to tell of new mail. Polling goes on in any case. */
  push: Type.Optional(Type.Boolean()),
  pollSeconds: Type.Integer({ minimum: 1, maximum: 86_400 }),
  /** What the first sync takes: everything, nothing that is there already, or what came since a date. */
  firstSync: Type.Enum(['all', 'now', 'since']),
  firstSyncSince: Type.Union([Type.String(), Type.Null()]),
  /** Mail the server received before this is skipped at any time (Halo: imapdatecutoff). */
  dateCutoff: Type.Union([Type.String(), Type.Null()]),
  after: Type.Enum(['leave', 'seen', 'move', 'delete']),
  afterFolder: Type.Union([Type.String({ minLength: 1, maxLength: 500 }), Type.Null()]),
  maxMessageBytes: Type.Integer({ minimum: 1_024, maximum: LIMITS.messageBytesCeiling }),
  /** `content`: a byte-identical copy in this mailbox is recorded as a duplicate. `none`: each copy counts. */
  dedup: Type.Enum(['content', 'none']),
  /** The mailbox's own addresses and aliases: mail from them is never a requester's. */
  addresses: Type.Array(Type.String({ maxLength: 320 }), { maxItems: 200 }),
  policy: Type.Object({
    acceptAutoReplies: Type.Boolean(),
    ignoreCcEmails: Type.Boolean(),
    allowHashtags: Type.Boolean(),
    unmatchedUsers: Type.Enum(['create', 'default', 'park', 'drop']),
    defaultRequesterId: Type.Integer(),
    newRequesterSiteId: Type.Integer(),
    siteByPrefix: Type.Boolean(),
    siteByWildcard: Type.Boolean(),
    siteByDomain: Type.Boolean(),
    siteByRecipient: Type.Boolean(),
    newRequesterNamedByAddress: Type.Boolean(),
    newRequesterWelcome: Type.Boolean(),
    newRequesterAcknowledge: Type.Boolean(),
    stopNewTickets: Type.Boolean(),
    dontProcessSentBySameMailbox: Type.Boolean(),
    dontAcknowledge: Type.Boolean(),
    ticketTypeId: Type.Integer(),
  }),
});
export type MailboxSettings = Static<typeof MailboxSettings>;

/** How one credential of a mailbox logs in. */
export type CredentialSettings = { auth: MailboxSettings['server']['auth']; oauth: OauthSettings | null };

/** The settings as a mailbox's row has them: without its login, which is in the rows of its credentials. */
export type MailboxRowSettings = Omit<MailboxSettings, 'server' | 'oauth'> & {
  server: Omit<MailboxSettings['server'], 'auth'>;
};

/** Takes the login out of the settings of a mailbox. */
export function splitSettings({ oauth = null, server, ...rest }: MailboxSettings): {
  row: MailboxRowSettings;
  login: CredentialSettings;
} {
  const { auth, ...where } = server;
  return { row: { ...rest, server: where }, login: { auth, oauth } };
}

/** The settings of a mailbox as it is with this login. */
export function joinSettings(row: MailboxRowSettings, { auth, oauth }: CredentialSettings): MailboxSettings {
  return { ...row, server: { ...row.server, auth }, oauth };
}

/** Settings of a new mailbox, before anything is given. Defaults as in halo-api.md section 4. */
export function defaultMailboxSettings(
  host: string,
  user: string,
  kind: SourceKind = 'imap',
): MailboxSettings {
  const port = defaultPort(kind, 'implicit');
  const auth = factsOf(kind).api === null ? 'password' : 'oauth';
  return {
    server: { host, port, tls: 'implicit', tlsVerify: true, tlsCa: null, user, auth },
    oauth: null,
    folders: ['INBOX'],
    pollSeconds: 60,
    firstSync: 'all',
    firstSyncSince: null,
    dateCutoff: null,
    after: 'leave',
    afterFolder: null,
    maxMessageBytes: LIMITS.messageBytes,
    dedup: 'content',
    addresses: user.includes('@') ? [user.toLowerCase()] : [],
    policy: {
      acceptAutoReplies: true,
      ignoreCcEmails: false,
      allowHashtags: true,
      unmatchedUsers: 'create',
      defaultRequesterId: 0,
      newRequesterSiteId: 0,
      siteByPrefix: true,
      siteByWildcard: true,
      siteByDomain: true,
      siteByRecipient: true,
      newRequesterNamedByAddress: false,
      newRequesterWelcome: false,
      newRequesterAcknowledge: false,
      stopNewTickets: false,
      dontProcessSentBySameMailbox: false,
      dontAcknowledge: false,
      ticketTypeId: 0,
    },
  };
}

/** OAuth settings before anything is given. */
export function defaultOauthSettings(provider: OauthSettings['provider']): OauthSettings {
  return {
    provider,
    grant: 'refresh_token',
    clientId: '',
    client: 'secret',
    tenant: null,
    cloud: 'global',
    certificate: null,
    tokenFile: null,
    keyId: null,
    secretExpires: null,
    tokenUrl: null,
    scope: null,
  };
}

/** Fails with `validation_failed`, naming the first setting that is wrong, or that this kind of mailbox cannot have. */
export function checkMailboxSettings(settings: MailboxSettings, kind: SourceKind): void {
  const [valid, errors] = Schema.Errors(MailboxSettings, settings);
  if (!valid) {
    const first = errors[0];
    const field = first?.instancePath.slice(1).replaceAll('/', '.') || 'settings';
    throw fail('validation_failed', `${field} ${first?.message ?? 'is not valid'}.`, { field });
  }
  for (const field of ['firstSyncSince', 'dateCutoff'] as const) {
    const date = settings[field];
    if (date !== null && Number.isNaN(Date.parse(date))) {
      throw fail('validation_failed', `${field} must be a date, such as 2026-01-31.`, { field });
    }
  }
  if (settings.firstSync === 'since' && settings.firstSyncSince === null) {
    throw fail('validation_failed', 'firstSyncSince is needed when firstSync is since.', {
      field: 'firstSyncSince',
    });
  }
  if (settings.after === 'move' && settings.afterFolder === null) {
    throw fail('validation_failed', 'afterFolder is needed when mail is moved afterwards.', {
      field: 'afterFolder',
    });
  }
  if (settings.after === 'move' && settings.folders.includes(settings.afterFolder ?? '')) {
    const message =
      'afterFolder must not be one of the folders that are read: each message would come again.';
    throw fail('validation_failed', message, { field: 'afterFolder' });
  }
  checkKind(settings, kind);
  checkOauth(settings);
}

function checkKind(settings: MailboxSettings, kind: SourceKind): void {
  const { name, dispositions, hasFolders, hasDates, api } = factsOf(kind);
  const { tls, tlsVerify, auth } = settings.server;
  if (api !== null && auth === 'password') refuse('server.auth', `${name} takes tokens only, no password.`);
  if (api !== null && tls !== 'implicit') refuse('server.tls', `${name} is reached by implicit TLS only.`);
  if (kind === 'gmail' && !tlsVerify)
    refuse('server.tlsVerify', 'The certificate of Gmail is always checked.');
  if (!dispositions.includes(settings.after)) {
    refuse('after', `after cannot be ${settings.after}: ${name} can ${dispositions.join(' or ')} messages.`);
  }
  if (!hasFolders && (settings.folders.length !== 1 || settings.folders[0]?.toUpperCase() !== 'INBOX')) {
    refuse('folders', `folders must be INBOX alone: ${name} has no other folder.`);
  }
  if (hasDates) return;
  const why = `${name} does not tell when a message arrived, and the date in a message is its sender's word.`;
  if (settings.firstSync === 'since') refuse('firstSync', `firstSync must be all or now: ${why}`);
  if (settings.dateCutoff !== null) refuse('dateCutoff', `dateCutoff cannot be used: ${why}`);
}

/** When a certificate ends, as an ISO instant. Fails with `validation_failed` when it is none. */
export function certificateEnd(pem: string): string {
  try {
    return new X509Certificate(pem).validToDate.toISOString();
  } catch (error) {
    const field = 'oauth.certificate';
    throw fail('validation_failed', 'The certificate is not a PEM certificate.', { field }, error);
  }
}

/** What a grant needs. Whether the secrets are there shows when they are used: they may come later. */
function checkOauth({ server, oauth }: MailboxSettings): void {
  if (server.auth !== 'oauth') return;
  if (!oauth) throw fail('validation_failed', 'What tokens are got with is missing.', { field: 'oauth' });
  const { provider, grant, clientId, client, tenant, certificate, tokenFile, secretExpires } = oauth;
  const google = grant === 'service_account';
  const microsoft = grant === 'client_credentials' || grant === 'managed_identity' || client === 'federated';
  if ((google && provider !== 'google') || (!google && microsoft && provider !== 'microsoft')) {
    refuse(
      'oauth.grant',
      `${provider === 'google' ? 'Google' : 'Microsoft'} has no ${grant} with ${client}.`,
    );
  }
  if (grant === 'managed_identity') return;
  if (clientId === '') refuse('oauth.clientId', 'The id of the application is missing.');
  if (google) return;
  if (provider === 'microsoft' && tenant === null && oauth.tokenUrl === null) {
    refuse('oauth.tenant', 'The tenant is missing.');
  }
  if (grant === 'client_credentials' && client === 'none') {
    refuse(
      'oauth.client',
      'An application must prove who it is: by a secret, a certificate or a federated token.',
    );
  }
  if (client === 'certificate' && certificate === null)
    refuse('oauth.certificate', 'The certificate is missing.');
  if (client === 'federated' && tokenFile === null) refuse('oauth.tokenFile', 'The token file is missing.');
  if (secretExpires !== null && Number.isNaN(Date.parse(secretExpires))) {
    refuse('oauth.secretExpires', 'secretExpires must be a date, such as 2026-01-31.');
  }
}

function refuse(field: string, message: string): never {
  throw fail('validation_failed', message, { field });
}
