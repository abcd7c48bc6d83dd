/** Where tokens come from, and the scopes that mail needs, for each provider and national cloud. */
import { fail } from '../../errors.ts';
import type { ManagedIdentityEndpoint } from './credential.ts';

export type MicrosoftCloud = 'global' | 'us_government' | 'us_dod' | 'china';

export interface Endpoints {
  token: string;
  authorize: string;
  deviceCode: string;
}

/** What the token is for. */
export type MailUse = 'graph' | 'imap' | 'pop3' | 'smtp';

/** Login, Graph and Exchange hosts (learn.microsoft.com/graph/deployments). A scope's host must be of the same cloud. */
export const MICROSOFT_CLOUDS: Readonly<
  Record<MicrosoftCloud, { login: string; graph: string; outlook: string }>
> = {
  global: {
    login: 'login.microsoftonline.com',
    graph: 'graph.microsoft.com',
    outlook: 'outlook.office365.com',
  },
  us_government: {
    login: 'login.microsoftonline.us',
    graph: 'graph.microsoft.us',
    outlook: 'outlook.office365.us',
  },
  us_dod: {
    login: 'login.microsoftonline.us',
    graph: 'dod-graph.microsoft.us',
    outlook: 'outlook-dod.office365.us',
  },
  china: {
    login: 'login.chinacloudapi.cn',
    graph: 'microsoftgraph.chinacloudapi.cn',
    outlook: 'partner.outlook.cn',
  },
};

const TENANT = /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$/;

/** `tenant` is an id, a domain, or `organizations`. Fails with `validation_failed` when it cannot be one. */
export function microsoftEndpoints(cloud: MicrosoftCloud, tenant: string): Endpoints {
  if (!TENANT.test(tenant)) {
    throw fail('validation_failed', 'The tenant is not an id or a domain name.', { tenant });
  }
  const base = `https://${MICROSOFT_CLOUDS[cloud].login}/${tenant}/oauth2/v2.0`;
  return { token: `${base}/token`, authorize: `${base}/authorize`, deviceCode: `${base}/devicecode` };
}

export const GOOGLE_ENDPOINTS: Readonly<Endpoints> = {
  token: 'https://oauth2.googleapis.com/token',
  authorize: 'https://accounts.google.com/o/oauth2/v2/auth',
  deviceCode: 'https://oauth2.googleapis.com/device/code',
};

/** The scope of an application's own token: everything that was granted to it for that service. */
export function microsoftAppScope(cloud: MicrosoftCloud, use: MailUse): string {
  const { graph, outlook } = MICROSOFT_CLOUDS[cloud];
  return `https://${use === 'graph' ? graph : outlook}/.default`;
}

const DELEGATED: Readonly<Record<MailUse, string>> = {
  graph: 'Mail.ReadWrite',
  imap: 'IMAP.AccessAsUser.All',
  pop3: 'POP.AccessAsUser.All',
  smtp: 'SMTP.Send',
};

const DELEGATED_SENDING: Readonly<Record<MailUse, string>> = {
  graph: 'Mail.Send',
  imap: DELEGATED.smtp,
  pop3: DELEGATED.smtp,
  smtp: DELEGATED.smtp,
};

/**
 * Scopes for a person's token. Tokens for Graph and for Exchange protocols have different audiences. `sends`: also what
 * is needed to send, for a sign-in. A renewal does without: the token has every permission that the person gave for
 * that audience, and one who gave none for sending must not lose reading.
 */
export function microsoftUserScope(cloud: MicrosoftCloud, use: MailUse, sends = false): string {
  const { graph, outlook } = MICROSOFT_CLOUDS[cloud];
  // Exchange Online knows its protocols under this name, whatever the host that serves them.
  const exchange = cloud === 'global' ? 'outlook.office.com' : outlook;
  const host = use === 'graph' ? graph : exchange;
  const names = [DELEGATED[use], ...(sends ? [DELEGATED_SENDING[use]] : [])];
  return `${names.map((name) => `https://${host}/${name}`).join(' ')} offline_access`;
}

/** Reading, labelling, archiving and trashing by the API; deleting for good is not used. */
export const GMAIL_API_SCOPE = 'https://www.googleapis.com/auth/gmail.modify';
/** IMAP, POP3 and SMTP know this one only. */
export const GMAIL_PROTOCOL_SCOPE = 'https://mail.google.com/';

/** The instance metadata service of Azure, the same address on every machine there. */
const INSTANCE_METADATA = 'http://169.254.169.254';
const METADATA_PATH = '/metadata/identity/oauth2/token';

/**
 * Where this machine gets its identity from: App Service and its kin say so in the environment, virtual machines have
 * the metadata service. `AZURE_POD_IDENTITY_AUTHORITY_HOST` puts another in its place, as for Azure's own libraries.
 * `resource` is the scope without `/.default`; `identity` names one of several, or null.
 */
export function managedIdentityEndpoint(
  env: Readonly<Record<string, string | undefined>>,
  resource: string,
  identity: string | null,
): ManagedIdentityEndpoint {
  const { IDENTITY_ENDPOINT: own, IDENTITY_HEADER: header } = env;
  const machine = env.AZURE_POD_IDENTITY_AUTHORITY_HOST ?? INSTANCE_METADATA;
  const isAppService = own !== undefined && header !== undefined;
  const url = new URL(isAppService ? own : METADATA_PATH, isAppService ? undefined : machine);
  url.searchParams.set('api-version', isAppService ? '2019-08-01' : '2018-02-01');
  url.searchParams.set('resource', resource);
  if (identity !== null) url.searchParams.set('client_id', identity);
  return { url: url.href, headers: isAppService ? { 'x-identity-header': header } : { metadata: 'true' } };
}
