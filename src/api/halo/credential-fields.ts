/** The fields of Halo's MailboxCredential (halo-api.md 3.6; their names are not public) and of our extension. */
import Type, { type Static, type TSchema } from 'typebox';
import { AZURE_AUTHENTICATION, AZURE_AUTHORITY, CREDENTIAL_TYPE } from './enums.ts';
import { date, flag, int, secret, text, uuid } from './fields.ts';
import { choice, oauthExtension } from './mailbox-fields.ts';

/** Fields that say where the mailbox is. A credential only says how to log in there, so they must be the mailbox's. */
const placed = {
  server: text('Host of the mailbox; must be that of the mailbox.', 500),
  emailaddress: text('Address of the mailbox; must be that of the mailbox.', 350),
  username: text('Login name; must be that of the mailbox.', 350),
  usetls: flag('As the mailbox has it.'),
  port: int('As the mailbox has it.'),
} satisfies Record<string, TSchema>;

const used = {
  id: int('Primary key; absent or 0 creates.'),
  guid: uuid('Computed: a second, global id.'),
  mailbox_id: int('The mailbox; needed to create, and stays.'),
  instance_id: int('Must be 0: this server.'),
  ...placed,
  azure_authentication_type: int(`Microsoft: ${AZURE_AUTHENTICATION.allowed} (not supported).`),
  azure_authority: int(`Microsoft: ${AZURE_AUTHORITY.allowed}.`),
  tenant: text('Microsoft: tenant of the application, an id or a domain.', 250),
  client_id: text('Id of the application; of a service account its address.', 320),
  credential_type: int(`How the application proves who it is: ${CREDENTIAL_TYPE.allowed}.`),
  token_expiry: date('Computed: when the access token ends; it is renewed before.'),
  authorized: flag('Computed: everything that it logs in with is there.'),
  inbound_method: int('Computed: that of the mailbox.'),
  subscription_id: text('Computed: that of the mailbox.'),
  subscription_expiry: date('Computed: that of the mailbox.'),
  subscribed: flag('Computed: notifications of the mailbox are on.'),
  _warning: text('Only in answers: what you should know about this save.'),
} satisfies Record<string, TSchema>;

/** Secrets by Halo's name, with their name in the secret store. They go in and never come out. */
export const CREDENTIAL_SECRETS = {
  password: 'password',
  new_password: 'password',
  new_client_secret: 'client_secret',
  new_access_token: 'token',
  new_refresh_token: 'refresh_token',
  smtppassword: 'smtp_password',
  new_subscription_secret: 'subscription_secret',
} as const;

const KEEPS = 'stored encrypted; null or an empty text keeps what is stored.';
const secrets = Object.fromEntries(
  Object.keys(CREDENTIAL_SECRETS).map((name) => [name, secret(KEEPS)]),
) as Record<keyof typeof CREDENTIAL_SECRETS, ReturnType<typeof secret>>;

/** Fields that Penstock keeps for Halo's clients and does not read, with their defaults. */
const kept: Record<string, [schema: TSchema, byDefault: unknown]> = {
  new_method: [flag('Kept.'), false],
  overrideusesmtp: [flag('Kept.'), false],
  smtpserver: [text('Kept.'), null],
  smtpaddress: [text('Kept.'), null],
  smtpdisplayname: [text('Kept.'), null],
  smtpusername: [text('Kept.'), null],
  smtpusetls: [flag('Kept.'), false],
  smtpport: [int('Kept.'), 0],
  shared_mailbox_emailaddress: [text('Kept.', 350), null],
  redirect_uri: [text('Kept.', 1_000), null],
  certificate_id: [int('Kept.'), 0],
  federated_credential_agent_id: [text('Kept.', 100), null],
};

export const KEPT_CREDENTIAL_DEFAULTS: ReadonlyMap<string, unknown> = new Map(
  Object.entries(kept).map(([name, [, byDefault]]) => [name, byDefault]),
);

const extension = Type.Object({
  sequence: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 10_000,
      description: 'Lower ones are tried first, of equal ones the older. New ones come last.',
    }),
  ),
  auth: choice(
    ['password', 'xoauth2', 'oauth'],
    'How to log in: a password, a token that is given, or tokens that are got by oauth.',
  ),
  oauth: Type.Optional(
    Type.Unsafe<Static<typeof oauthExtension> | null>({
      ...oauthExtension,
      type: ['object', 'null'],
      description: 'What access tokens are got with. What is left out stays; an empty text clears.',
    }),
  ),
  private_key: secret('PEM of the key of a certificate or a service account, stored encrypted.'),
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
  state: Type.Optional(
    Type.String({
      readOnly: true,
      description:
        'in_use; standby: an earlier one works, or none was tried yet; failing: it is tried again by itself; refused: somebody must act; incomplete: something is missing.',
    }),
  ),
  state_reason: Type.Optional(Type.String({ readOnly: true, description: 'The state in words.' })),
  in_use_since: date('Computed: since when it is the one in use.'),
  error_code: text('Computed: code of its last failure; null after a success.'),
  error_at: date('Computed: when that was.'),
  hint: text('Computed: what to do about it.'),
});

const extensionField = Type.Optional(
  Type.Unsafe<Static<typeof extension> | null>({
    ...extension,
    type: ['object', 'null'],
    description: 'What Halo has no field for.',
  }),
);

const mapped = Type.Object({ ...used, ...secrets, penstock: extensionField });
export type CredentialItem = Static<typeof mapped> & Record<string, unknown>;

export const HaloMailboxCredential = Type.Unsafe<CredentialItem>(
  Type.Object(
    {
      ...used,
      ...secrets,
      ...Object.fromEntries(Object.entries(kept).map(([name, [schema]]) => [name, schema])),
      penstock: extensionField,
    },
    { title: 'MailboxCredential' },
  ),
);
