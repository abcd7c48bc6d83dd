/** The fields of Halo's Mailbox (halo-api.md section 4) and of our extension beside them. */
import Type, { type Static, type TSchema } from 'typebox';
import { LIMITS } from '../../limits.ts';
import { AZURE_AUTHENTICATION, AZURE_AUTHORITY, MAILBOX_TYPE, TLS_TYPE, UNMATCHED_USERS } from './enums.ts';
import { date, flag, int, secret, text, uuid } from './fields.ts';
import { SendingExtension } from './mailbox-sending.ts';

/** Fields that steer Penstock, or that it computes. */
const used = {
  id: int('Primary key; absent or 0 creates.'),
  name: text('Display name.', 255),
  type: int(`Connection type: ${MAILBOX_TYPE.allowed}.. 2 is not supported.`),
  enabled: flag('The mailbox is polled. Default false.'),
  server: text('Host name of the mail server; Graph and Gmail have a default.', 255),
  username: text('Login name; of Graph and Gmail the address, when no other field names it.', 320),
  popport: int('Port of the mail server, for IMAP too; 0 = the default of the protocol.'),
  usetls: flag('TLS. False = no TLS at all; when absent on create, TLS is used.'),
  tlstype: int(`TLS negotiation, with usetls: ${TLS_TYPE.allowed}.`),
  imapleavemailininbox: flag(
    'Leave processed mail where it is. False (the default) moves it to deleteditemsfolder, which POP3 cannot: there it stays.',
  ),
  harddeletereadmessages: flag('Delete processed mail for good instead of moving it. Default false.'),
  deleteditemsfolder: text('Folder processed mail is moved to; blank = the server’s deleted items.', 200),
  incomingfoldername: text('Folder to read instead of the inbox.', 500),
  imapdatecutoff: date('Ignore mail that the server received before this. POP3 servers do not tell that.'),
  dontimportbeforecreation: flag('Ignore mail that is older than the mailbox record. Default false.'),
  ignore_cc_emails: flag('Drop mail that reached the mailbox only by Cc. Default false.'),
  accept_auto_replies: flag('Process auto-replies. Default true.'),
  allow_email_hashtags: flag('Parse hashtag commands. Default true.'),
  unmatched_users: int(`What to do with unknown senders: ${UNMATCHED_USERS.allowed}.`),
  defaultuserid: int('User for unknown senders when unmatched_users is 1.'),
  newuser_default_site: int('Site of users that are made for unknown senders.'),
  use_emailaddress_for_new_users: flag('New users are named by their address.'),
  newuser_send_welcome_email: flag('Welcome users that were made.'),
  site_prefix_matching: flag('Find the site of a user that is made by the beginning of the address.'),
  site_wildcard_matching: flag('Find it by a wildcard for the domain.'),
  site_domain_matching: flag('Find it by the domain.'),
  site_tocc_matching: flag('Find it by the domains in To and Cc.'),
  newuser_send_ack: flag('Acknowledge the ticket of a user that was just made.'),
  stopnewticketsviaemail: flag('No new tickets from this mailbox, except by rule.'),
  dontprocesssentbysamemailbox: flag('Ignore mail that this mailbox sent itself.'),
  dontsendack: flag('Do not acknowledge tickets of this mailbox.'),
  tickettype_id: int('Ticket type of tickets from this mailbox; 0 = default.'),
  smtpaddress: text('Address mail is sent from.', 320),
  shared_mailbox_emailaddress: text('Address of a shared mailbox, which is read instead of azureemail.', 350),
  azureemail: text('Address of the authorised Microsoft 365 mailbox.', 350),
  google_email: text('Address of the authorised Google mailbox.', 350),
  inbound_method: int(
    'Graph and Gmail: 1 the provider is asked to tell of new mail (the default), 0 not. Polled in any case.',
  ),
  display_address: text('Computed: the address to show.'),
  changeseq: int(
    'Change counter. A save that carries an older one than stored, and would change something, is refused with 409.',
  ),
  guid: uuid('Computed: a second, global id.'),
  creationdate: date('Computed: when the mailbox was made.'),
  halointegrator_lastsync: date('Computed: end of the last complete listing.'),
  halointegrator_lasterror: text('Computed: text of the last failure; null after a success.'),
  errorcounter: int('Computed: failures in a row.'),
  _warning: text('Only in answers: what you should know about this save.'),
  _testonly: flag(
    'Test the connection with these settings and save nothing. When the provider replaces a posted refresh token, the ' +
      'answer has the new one in refreshtoken: save that.',
  ),
  _isglobalsmtp: flag('Always false: there is no such entry here.'),
  _exchangecodefortoken: flag('Exchange oauth_code, got for azureredirecturi, for a refresh token.'),
  _getgoogletoken: flag('Exchange google_code, got for google_redirect, for a refresh token.'),
  _webhookaction: int('Graph and Gmail: 1 subscribe, 2 renew, 3 unsubscribe.'),
  _confirmmanagedidentitysetup: flag('Not supported.'),
  _confirmclientcredentialssetup: flag('Not supported.'),
  _confirmropcssetup: flag('Not supported.'),
} satisfies Record<string, TSchema>;

/**
 * Secrets by Halo's name, with their name in the secret store. They go in and never come out; but a refresh token that a
 * provider gave for one that was posted to be tried goes back to whoever posted it.
 */
export const SECRET_FIELDS = {
  password: 'password',
  smtppassword: 'smtp_password',
  // A mailbox is of one provider, so one name is enough for its tokens.
  accesstoken: 'token',
  refreshtoken: 'refresh_token',
  new_client_secret: 'client_secret',
  new_azure_access_token: 'token',
  new_azure_refresh_token: 'refresh_token',
  new_google_access_token: 'token',
  new_google_refresh_token: 'refresh_token',
  new_azure_subscription_secret: 'azure_subscription_secret',
} as const;
export type SecretField = keyof typeof SECRET_FIELDS;

const secrets = Object.fromEntries(
  Object.keys(SECRET_FIELDS).map((name) => [
    name,
    secret('stored encrypted; null or an empty text keeps what is stored.'),
  ]),
) as Record<SecretField, ReturnType<typeof secret>>;

const technicians = Type.Optional(
  Type.Unsafe<unknown[] | null>({
    type: ['array', 'null'],
    description: 'Signatures by agent; kept. Null without includedetails.',
    maxItems: 1_000,
    items: {
      type: 'object',
      properties: {
        id: int(''),
        mailbox_id: int(''),
        agent_id: int(''),
        agent_name: text(''),
        signature: text('', 64_000),
        _warning: text(''),
      },
    },
  }),
);
const userMappings = Type.Optional(
  Type.Unsafe<unknown[] | null>({
    type: ['array', 'null'],
    description: 'Contact to user mapping; kept. Null without includedetails.',
    maxItems: 1_000,
    items: {
      type: 'object',
      properties: { id: int(''), fieldid: int(''), fieldname: text(''), value: text('') },
    },
  }),
);

/** Fields that Penstock keeps for Halo's clients and does not read, with their defaults. */
const kept: Record<string, [schema: TSchema, byDefault: unknown]> = {
  restriction_type: [int('0 none, 1 organisation, 2 department, 3 team.'), 0],
  restrictto_org_id: [int('Organisation this mailbox is restricted to.'), 1],
  restrictto_org_name: [text('Its name.'), null],
  restrictto_department_id: [int('Department this mailbox is restricted to.'), 0],
  restrictto_department_name: [text('Its name.'), null],
  restrictto_team_id: [int('Team this mailbox is restricted to.'), 0],
  restrictto_team_name: [text('Its name.'), null],
  exchangemailboxdisplayname: [text('Kept.'), null],
  exchangemailboxfqdn: [text('Kept.'), null],
  smtpserver: [
    text('Server to send by; blank: Graph and Gmail send through their API, others not at all.', 255),
    null,
  ],
  smtpusername: [text('Login there; blank = username.', 320), null],
  smtpport: [int('Port there; 0 = 587, or 465 with TLS from the beginning.'), 0],
  smtpusetls: [flag('TLS there. When never given, TLS is used; false = none at all.'), false],
  usesmtpforazuremailbox: [flag('Graph: send by smtpserver all the same.'), false],
  messagegroup_id: [int('Kept.'), 0],
  smtpdisplayname: [text('Name beside the address in From.', 255), null],
  syncaddressbook: [flag('Kept.'), false],
  defaultuser: [text('Kept.'), ''],
  defaultusersite: [text('Kept.'), null],
  newuser_default_site_name: [text('Kept.'), null],
  accesstokenexpirydate: [date('Graph, computed: when the access token ends.'), null],
  refreshtokenexpirydate: [date('Graph, computed: when the refresh token ends, if that is known.'), null],
  tokendestructiondate: [date('Kept.'), null],
  ewsusername: [text('Kept.'), null],
  azureappid: [text('Graph: id of the application in Microsoft Entra.'), null],
  azuretenant: [text('Graph: tenant of the application, an id or a domain.'), null],
  azureredirecturi: [text('Redirect address that oauth_code was got for.'), null],
  google_token_expiry: [date('Gmail, computed: when the access token ends.'), null],
  google_redirect: [text('Redirect address that google_code was got for.'), null],
  azure_authorized: [flag('Graph, computed: what tokens are got with is there.'), false],
  google_authorized: [flag('Gmail, computed: what tokens are got with is there.'), false],
  google_type: [int('Gmail: 0, 1 a person signed in, 2 service account.'), 0],
  graph_host: [text('Graph: host of the API; blank = that of azure_authority.'), null],
  azuredatecutoff: [date('Graph: ignore mail that was received before this.'), null],
  azureleavemailininbox: [flag('Graph: leave processed mail where it is.'), false],
  azure_subscription_id: [text('Graph, computed: the subscription to the first folder.'), ''],
  azure_subscription_expiry: [date('Graph, computed: when the first subscription ends.'), null],
  azure_subscribed: [flag('Graph, computed: all subscriptions are there.'), false],
  azure_authority: [int(`Graph: ${AZURE_AUTHORITY.allowed}.`), 0],
  azure_authentication_type: [int(`Graph: ${AZURE_AUTHENTICATION.allowed} (not supported).`), 0],
  safe_attachment_policy: [int('Kept.'), 0],
  safe_attachment_placeholder: [text('Kept.', 250), null],
  showinfromaddress: [flag('Offer it as a sender. Default true.'), true],
  stopnewticketsviaemailreplywithtemplate: [int('Kept.'), 0],
  halointegrator_outlook: [flag('Kept.'), false],
  halointegrator_outlook_lastsync: [date('Kept.'), null],
  halointegrator_outlook_lasterror: [text('Kept.'), null],
  labeltype: [
    text('Gmail: label that processed mail is moved to, when deleteditemsfolder is blank.'),
    'TRASH',
  ],
  senderrestrictiontype: [int('Kept.'), 0],
  signature_overrides: [technicians, null],
  mappings_user: [userMappings, null],
};

export const KEPT_DEFAULTS: ReadonlyMap<string, unknown> = new Map(
  Object.entries(kept).map(([name, [, byDefault]]) => [name, byDefault]),
);

export function choice<T extends string>(choices: readonly T[], description: string) {
  return Type.Optional(Type.Enum([...choices], { description }));
}

/** What access tokens are got with, beyond Halo's fields. */
export const oauthExtension = Type.Object({
  provider: choice(['microsoft', 'google'], 'Who gives the tokens.'),
  grant: choice(
    ['client_credentials', 'refresh_token', 'service_account', 'managed_identity'],
    'By what right they are asked for.',
  ),
  client: choice(['none', 'secret', 'certificate', 'federated'], 'How the application proves who it is.'),
  client_id: text('The application; of a service account its address.', 320),
  tenant: text('Microsoft: tenant, an id or a domain.', 255),
  cloud: choice(['global', 'us_government', 'us_dod', 'china'], 'Microsoft: national cloud.'),
  certificate: text('PEM of the certificate of the application.', 64_000),
  token_file: text('File with a federated token; set on the command line only.'),
  key_id: text('Id of the key of a service account.', 255),
  secret_expires: text('When the client secret ends.', 64),
  token_url: text('Another token endpoint than that of the provider; https.', 2_000),
  scope: text('Other scopes than those that mail needs.', 2_000),
});

/** Settings that Halo has no field for. All may be left out; null is not accepted where it means nothing. */
const extension = Type.Object({
  folders: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 500 }), {
      minItems: 1,
      maxItems: 50,
      description: 'Folders to read; the first has a live connection.',
    }),
  ),
  poll_seconds: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 86_400, description: 'Seconds between two polls. Default 60.' }),
  ),
  first_sync: choice(['all', 'now', 'since'], 'What the first sync takes. Default all.'),
  first_sync_since: date('With first_sync = since: from when.'),
  after: choice(['leave', 'seen', 'move', 'delete'], 'What becomes of processed mail on the server.'),
  after_folder: text('Folder for move.', 500),
  max_message_bytes: Type.Optional(
    Type.Integer({
      minimum: 1_024,
      maximum: LIMITS.messageBytesCeiling,
      description: 'Larger messages are recorded as oversized and left on the server.',
    }),
  ),
  dedup: choice(['content', 'none'], 'content: a byte-identical copy is recorded as a duplicate.'),
  addresses: Type.Optional(
    Type.Array(Type.String({ maxLength: 320 }), {
      maxItems: 200,
      description: "The mailbox's own addresses and aliases.",
    }),
  ),
  tls: choice(['implicit', 'starttls', 'none'], 'How the connection is secured; says the same as tlstype.'),
  tls_verify: Type.Optional(Type.Boolean({ description: 'False accepts any certificate.' })),
  tls_ca: text('PEM of an extra certificate authority.', 64_000),
  auth: choice(
    ['password', 'xoauth2', 'oauth'],
    'How to log in: a password, a token that is given, or tokens that are got by oauth.',
  ),
  token: secret('access token for xoauth2, stored encrypted.'),
  private_key: secret('PEM of the key of a certificate or a service account, stored encrypted.'),
  oauth: Type.Optional(
    Type.Unsafe<Static<typeof oauthExtension> | null>({
      ...oauthExtension,
      type: ['object', 'null'],
      description: 'What access tokens are got with. What is left out stays; an empty text clears.',
    }),
  ),
  sending: Type.Optional(
    Type.Unsafe<SendingExtension | null>({
      ...SendingExtension,
      type: ['object', 'null'],
      description: 'How the mailbox sends, beside the smtp fields. What is left out stays.',
    }),
  ),
  clear_secrets: Type.Optional(
    Type.Array(Type.String({ maxLength: 100 }), {
      maxItems: 20,
      writeOnly: true,
      description: 'Names of stored secrets to forget.',
    }),
  ),
  secrets: Type.Optional(
    Type.Array(Type.String(), { readOnly: true, description: 'Names of the secrets that are stored.' }),
  ),
  status: Type.Optional(
    Type.String({ readOnly: true, description: 'Health: ok, syncing, off, stale or blocked.' }),
  ),
  status_reason: Type.Optional(Type.String({ readOnly: true, description: 'The health in words.' })),
  phase: Type.Optional(Type.String({ readOnly: true, description: 'What the poller is doing.' })),
  phase_since: date('Computed: since when.'),
  next_attempt: date('Computed: when it goes on after a failure.'),
  last_error_code: text('Computed: code of the last failure.'),
  progress: Type.Optional(
    Type.Unsafe<object | null>({
      type: ['object', 'null'],
      readOnly: true,
      description: 'A sync that is running; null when there is none.',
      properties: {
        done: { type: 'integer' },
        total: { type: 'integer' },
        rate: { type: 'number', description: 'Messages a second.' },
        seconds_left: { type: ['integer', 'null'] },
      },
    }),
  ),
});

/** As a field of a mailbox: absent or null changes nothing. */
const extensionField = Type.Optional(
  Type.Unsafe<Static<typeof extension> | null>({
    ...extension,
    type: ['object', 'null'],
    description:
      'Settings of Penstock that Halo has no field for. Where both say something, what changed counts.',
  }),
);

const mapped = Type.Object({ ...used, ...secrets, penstock: extensionField });
export type MailboxItem = Static<typeof mapped> & Record<string, unknown>;
export type MailboxExtension = Static<typeof extension>;

export const HaloMailbox = Type.Unsafe<MailboxItem>(
  Type.Object(
    {
      ...used,
      ...secrets,
      ...Object.fromEntries(Object.entries(kept).map(([name, [schema]]) => [name, schema])),
      oauth_code: secret('authorization code, for _exchangecodefortoken; it is not kept.'),
      google_code: secret('authorization code, for _getgoogletoken; it is not kept.'),
      penstock: extensionField,
    },
    { title: 'Mailbox' },
  ),
);
