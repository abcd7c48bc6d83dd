/** How Halo's fields for Microsoft 365 and Google accounts, and ours for OAuth, become a credential (halo-api.md 4). */
import { fail } from '../../errors.ts';
import { factsOf } from '../../source/kinds.ts';
import { missingSecret } from '../../store/credential-standing.ts';
import {
  certificateEnd,
  defaultOauthSettings,
  type OauthSettings,
  splitSettings,
} from '../../store/mailbox-settings.ts';
import type { Mailbox } from '../../store/mailboxes.ts';
import { invalid } from '../http/problem.ts';
import { AZURE_AUTHENTICATION, AZURE_AUTHORITY } from './enums.ts';
import type { MailboxExtension } from './mailbox-fields.ts';
import { cloudOf, grantOf } from './microsoft-fields.ts';

/** What a posted item asks for, against what the client was shown. */
export interface Asked {
  asks(field: string): boolean;
  value<T>(field: string, byDefault: T): T;
}

/** Hosts of Graph by national cloud (learn.microsoft.com/graph/deployments). */
const GRAPH_HOSTS = {
  global: 'graph.microsoft.com',
  us_government: 'graph.microsoft.us',
  us_dod: 'dod-graph.microsoft.us',
  china: 'microsoftgraph.chinacloudapi.cn',
} as const satisfies Record<OauthSettings['cloud'], string>;

/** Fields that steer a mailbox of this kind, or that are computed for it: elsewhere they are only kept. */
const STEERING: Partial<Record<Mailbox['kind'], readonly string[]>> = {
  graph: [
    'azureappid',
    'azuretenant',
    'azure_authority',
    'azure_authentication_type',
    'azure_authorized',
    'azuredatecutoff',
    'azureleavemailininbox',
    'graph_host',
    'azure_subscription_id',
    'azure_subscription_expiry',
    'azure_subscribed',
    'accesstokenexpirydate',
    'refreshtokenexpirydate',
  ],
  gmail: ['google_type', 'google_authorized', 'google_token_expiry'],
};
export const steers = (kind: Mailbox['kind'], field: string): boolean =>
  STEERING[kind]?.includes(field) === true;

/** Whose mail is read: the most special address that is given. */
const USER_FIELDS: Partial<Record<Mailbox['kind'], readonly string[]>> = {
  graph: ['shared_mailbox_emailaddress', 'azureemail', 'username'],
  gmail: ['google_email', 'username'],
};

/** The user that an item names; '' when it names none. */
export function userOf(kind: Mailbox['kind'], value: Asked['value']): string {
  const fields = USER_FIELDS[kind] ?? ['username'];
  return fields.map((field) => value(field, '').trim()).find((text) => text !== '') ?? '';
}

/** Applies the fields of a Graph or Gmail mailbox. */
export function readAccount({ asks, value }: Asked, mailbox: Mailbox): void {
  const { kind, settings } = mailbox;
  const { api } = factsOf(kind);
  if (api === null) return;
  const { server } = settings;
  if (asks('type') && !asks('server')) server.host = api;
  if (server.auth === 'password') server.auth = 'oauth';
  const addresses = USER_FIELDS[kind] ?? [];
  if (addresses.some(asks)) {
    server.user = userOf(kind, value);
    if (server.user === '') throw invalid(addresses[0]!, 'is missing');
  }
  settings.oauth ??= defaultOauthSettings(kind === 'graph' ? 'microsoft' : 'google');
  if (kind === 'gmail') {
    if (asks('google_type')) readGoogleType(value('google_type', 0), settings.oauth);
    return;
  }
  readMicrosoft({ asks, value }, settings.oauth);
  if (asks('graph_host') || asks('azure_authority')) {
    const written = value('graph_host', '').trim() || GRAPH_HOSTS[settings.oauth.cloud];
    const url = URL.canParse(`https://${written}`) ? new URL(`https://${written}`) : null;
    if (url === null || url.href !== `${url.origin}/`) throw invalid('graph_host', 'must be a host name');
    server.host = url.hostname;
    server.port = Number(url.port || 443);
  }
  if (asks('azuredatecutoff')) settings.dateCutoff = value<string | null>('azuredatecutoff', null);
}

function readMicrosoft({ asks, value }: Asked, oauth: OauthSettings): void {
  if (asks('azure_authentication_type')) oauth.grant = grantOf(value('azure_authentication_type', 0));
  if (asks('azure_authority')) oauth.cloud = cloudOf(value('azure_authority', 0));
  if (asks('azureappid')) oauth.clientId = value('azureappid', '').trim();
  if (asks('azuretenant')) oauth.tenant = value('azuretenant', '').trim() || null;
}

/** 0 own application, 1 application of a vendor, 2 service account. */
function readGoogleType(type: number, oauth: OauthSettings): void {
  if (![0, 1, 2].includes(type)) throw invalid('google_type', 'must be a number from 0 to 2');
  oauth.grant = type === 2 ? 'service_account' : 'refresh_token';
}

/** Applies `penstock.oauth` and what the secrets imply. `isNew`: nothing was shown before. */
export function readOauthExtension(
  mailbox: Mailbox,
  given: MailboxExtension,
  secrets: ReadonlyMap<string, string>,
  isNew: boolean,
): void {
  const { settings, kind } = mailbox;
  const { server } = settings;
  const asked = given.oauth ?? null;
  // Whoever may write mailboxes must not be able to send any file of this machine to an address of his own.
  if (asked?.token_file) {
    const field = 'oauth.tokenFile';
    throw fail('validation_failed', 'tokenFile can be set on the command line only.', { field });
  }
  if (asked !== null) {
    const provider =
      asked.provider ?? (kind === 'gmail' || asked.grant === 'service_account' ? 'google' : 'microsoft');
    settings.oauth ??= defaultOauthSettings(provider);
    for (const [field, key] of OAUTH_FIELDS) {
      const text = asked[field];
      if (text !== undefined)
        Object.assign(settings.oauth, { [key]: text || (key === 'clientId' ? '' : null) });
    }
    if (asked.certificate) settings.oauth.secretExpires = certificateEnd(asked.certificate);
    // A password that is in use stays in use, until somebody says otherwise.
    if (isNew && given.auth === undefined) server.auth = 'oauth';
  }
  const { oauth } = settings;
  if (!oauth || asked?.client !== undefined) return;
  if (secrets.has('client_secret')) oauth.client = 'secret';
  else if (isNew && oauth.grant === 'refresh_token') oauth.client = 'none';
  if (isNew && factsOf(kind).api !== null && given.auth === undefined) {
    const onlyToken = secrets.has('token') && !secrets.has('refresh_token') && oauth.clientId === '';
    if (onlyToken) server.auth = 'xoauth2';
  }
}

const OAUTH_FIELDS = [
  ['provider', 'provider'],
  ['grant', 'grant'],
  ['client', 'client'],
  ['client_id', 'clientId'],
  ['tenant', 'tenant'],
  ['cloud', 'cloud'],
  ['certificate', 'certificate'],
  ['token_file', 'tokenFile'],
  ['key_id', 'keyId'],
  ['secret_expires', 'secretExpires'],
  ['token_url', 'tokenUrl'],
  ['scope', 'scope'],
] as const;

/** Halo's fields of a Graph or Gmail mailbox. */
export function viewAccount({ kind, settings }: Mailbox): Record<string, unknown> {
  const { server, oauth } = settings;
  const grant = oauth?.grant ?? 'refresh_token';
  if (kind === 'gmail') return { google_type: grant === 'service_account' ? 2 : 0, google_authorized: false };
  if (kind !== 'graph') return {};
  const cloud = oauth?.cloud ?? 'global';
  const host = server.port === 443 ? server.host : `${server.host}:${server.port}`;
  return {
    azureappid: oauth?.clientId || null,
    azuretenant: oauth?.tenant ?? null,
    azure_authority: AZURE_AUTHORITY.code(cloud === 'us_dod' ? 'us_government' : cloud),
    azure_authentication_type: AZURE_AUTHENTICATION.code(
      grant === 'service_account' ? 'refresh_token' : grant,
    ),
    azure_authorized: false,
    azuredatecutoff: settings.dateCutoff,
    azureleavemailininbox: settings.after === 'leave' || settings.after === 'seen',
    graph_host: host === GRAPH_HOSTS[cloud] ? null : host,
  };
}

/** Our own view of it; null when the mailbox has none. */
export function viewOauth({ settings }: Mailbox): Record<string, unknown> | null {
  const { oauth } = settings;
  if (!oauth) return null;
  return Object.fromEntries(OAUTH_FIELDS.map(([field, key]) => [field, oauth[key]]));
}

/** `azure_authorized`, `google_authorized`: what tokens are got with is there. Whether it is taken, the state tells. */
export function viewAuthorized(
  { kind, settings }: Mailbox,
  secrets: readonly string[],
): Record<string, boolean> {
  if (factsOf(kind).api === null) return {};
  const login = { settings: splitSettings(settings).login };
  const authorized = missingSecret(login, secrets) === null;
  return { [kind === 'graph' ? 'azure_authorized' : 'google_authorized']: authorized };
}
