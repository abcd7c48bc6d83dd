/** What a posted MailboxCredential asks for. Pure. A field counts only where it differs from what the client was shown. */
import { isDeepStrictEqual } from 'node:util';
import type { MailboxCredential } from '../../store/credentials.ts';
import {
  checkMailboxSettings,
  defaultOauthSettings,
  joinSettings,
  type OauthSettings,
  splitSettings,
} from '../../store/mailbox-settings.ts';
import type { Mailbox } from '../../store/mailboxes.ts';
import { invalid } from '../http/problem.ts';
import { CREDENTIAL_SECRETS, type CredentialItem, KEPT_CREDENTIAL_DEFAULTS } from './credential-fields.ts';
import { viewCredentialSettings } from './credential-view.ts';
import { CREDENTIAL_TYPE } from './enums.ts';
import { naming } from './mailbox-draft.ts';
import { readOauthExtension } from './mailbox-oauth.ts';
import { cloudOf, grantOf } from './microsoft-fields.ts';

export interface CredentialDraft {
  sequence: number | null;
  settings: MailboxCredential['settings'];
  halo: Record<string, unknown>;
  secrets: Map<string, string>;
  clearSecrets: string[];
}

/**
 * Applies a posted item to a credential, or to a new one when `current` is null: then what the item leaves out is as with
 * `model`, the first of the mailbox. Fails with `validation_failed` or `unsupported`, naming the field.
 */
export function draftCredential(
  item: CredentialItem,
  mailbox: Mailbox,
  current: MailboxCredential | null,
  model: MailboxCredential['settings'],
): CredentialDraft {
  const shown = current === null ? null : viewCredentialSettings(current, mailbox);
  const asks = (field: string): boolean =>
    item[field] !== undefined && !(shown !== null && isDeepStrictEqual(item[field], shown[field]));
  checkPlace(item, mailbox);
  const secrets = readSecrets(item);
  const { login } = splitSettings(
    joinSettings(mailbox.settings, structuredClone(current?.settings ?? model)),
  );
  const given = changedExtension(item, shown);
  login.auth = authOf(item, given.auth, secrets, login.auth, current === null, asks);
  if (login.auth === 'oauth') {
    login.oauth ??= defaultOauthSettings(
      given.oauth?.provider ?? (mailbox.kind === 'gmail' ? 'google' : 'microsoft'),
    );
    readFields(item, login.oauth, asks);
  }
  const pretended: Mailbox = { ...mailbox, settings: joinSettings(mailbox.settings, login) };
  naming(mailbox.kind, () => {
    readOauthExtension(pretended, given, secrets, false);
    checkMailboxSettings(pretended.settings, mailbox.kind);
  });
  const halo = { ...current?.halo };
  for (const field of KEPT_CREDENTIAL_DEFAULTS.keys()) {
    if (!asks(field)) continue;
    if (item[field] === null) delete halo[field];
    else halo[field] = item[field];
  }
  return {
    sequence: item.penstock?.sequence ?? current?.sequence ?? null,
    settings: splitSettings(pretended.settings).login,
    halo,
    secrets,
    clearSecrets: item.penstock?.clear_secrets ?? [],
  };
}

/** Two credentials of a mailbox that lead to two accounts would mix up their mail: each message would come twice. */
function checkPlace(item: CredentialItem, { settings: { server } }: Mailbox): void {
  const places = [
    ['server', server.host],
    ['emailaddress', server.user],
    ['username', server.user],
    ['port', server.port],
    ['usetls', server.tls !== 'none'],
  ] as const;
  for (const [field, own] of places) {
    const value = item[field];
    const isSame =
      typeof value === 'string' && typeof own === 'string'
        ? value.trim() === '' || value.trim().toLowerCase() === own.toLowerCase()
        : value === own || value === 0;
    if (value === undefined || value === null || isSame) continue;
    throw invalid(
      field,
      `must be ${own} as in the mailbox: a credential says how to log in, the mailbox where; change the mailbox, or make another one`,
    );
  }
  if ((item.instance_id ?? 0) !== 0) throw invalid('instance_id', 'must be 0: there is one server');
}

function readSecrets(item: CredentialItem): Map<string, string> {
  const secrets = new Map<string, string>();
  for (const [field, name] of Object.entries(CREDENTIAL_SECRETS)) {
    const value = item[field];
    if (typeof value === 'string' && value !== '') secrets.set(name, value);
  }
  const key = item.penstock?.private_key;
  if (key) secrets.set('private_key', key);
  return secrets;
}

const OAUTH_FIELDS = [
  'azure_authentication_type',
  'azure_authority',
  'tenant',
  'client_id',
  'credential_type',
];

/** How to log in: what is said, or else what the posted fields and secrets are for. */
function authOf(
  item: CredentialItem,
  said: MailboxCredential['settings']['auth'] | undefined,
  secrets: ReadonlyMap<string, string>,
  before: MailboxCredential['settings']['auth'],
  isNew: boolean,
  asks: (field: string) => boolean,
): MailboxCredential['settings']['auth'] {
  if (said !== undefined) return said;
  if (!isNew) return before;
  const isOauth = item.penstock?.oauth || OAUTH_FIELDS.some((field) => asks(field) && item[field] !== null);
  if (isOauth || secrets.has('client_secret') || secrets.has('refresh_token')) return 'oauth';
  if (secrets.has('password')) return 'password';
  return secrets.has('token') ? 'xoauth2' : before;
}

/** Without what the client was shown and posts back. */
function changedExtension(
  item: CredentialItem,
  shown: Record<string, unknown> | null,
): NonNullable<CredentialItem['penstock']> {
  const given = { ...item.penstock };
  const before = (shown?.penstock ?? {}) as NonNullable<CredentialItem['penstock']>;
  if (given.auth === before.auth) delete given.auth;
  if (given.oauth) {
    const known = (before.oauth ?? {}) as Record<string, unknown>;
    const changed = Object.entries(given.oauth).filter(([field, value]) => value !== known[field]);
    given.oauth = changed.length === 0 ? null : Object.fromEntries(changed);
  }
  return given;
}

function readFields(item: CredentialItem, oauth: OauthSettings, asks: (field: string) => boolean): void {
  if (asks('azure_authentication_type')) oauth.grant = grantOf(item.azure_authentication_type ?? 0);
  if (asks('azure_authority')) oauth.cloud = cloudOf(item.azure_authority ?? 0);
  if (asks('credential_type')) {
    const client = CREDENTIAL_TYPE.word(item.credential_type ?? 0);
    if (client === null) throw invalid('credential_type', `must be one of ${CREDENTIAL_TYPE.allowed}`);
    oauth.client = client;
  }
  if (asks('tenant')) oauth.tenant = item.tenant?.trim() || null;
  if (asks('client_id')) oauth.clientId = item.client_id?.trim() ?? '';
}
