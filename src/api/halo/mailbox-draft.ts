/**
 * What a posted mailbox asks for. An update is partial, and clients often post back everything they read, so a field
 * counts only where it differs from what they were shown. Otherwise Halo's few fields would overwrite what only our
 * extension can say, and the other way round.
 */
import { isDeepStrictEqual } from 'node:util';
import { fail, PenstockError } from '../../errors.ts';
import { factsOf } from '../../source/kinds.ts';
import {
  checkMailboxSettings,
  defaultMailboxSettings,
  type MailboxSettings,
} from '../../store/mailbox-settings.ts';
import type { Mailbox } from '../../store/mailboxes.ts';
import { invalid } from '../http/problem.ts';
import { MAILBOX_TYPE, UNMATCHED_USERS } from './enums.ts';
import { printDate } from './fields.ts';
import {
  KEPT_DEFAULTS,
  type MailboxExtension,
  type MailboxItem,
  SECRET_FIELDS,
  type SecretField,
} from './mailbox-fields.ts';
import { readAccount, readOauthExtension, steers, userOf, viewOauth } from './mailbox-oauth.ts';
import { readSending } from './mailbox-sending.ts';
import { DELETED_ITEMS, portOf, tlsOf } from './mailbox-server.ts';
import { tells, viewSettings } from './mailbox-view.ts';

const CANNOT_MOVE =
  'POP3 cannot move messages: processed mail stays on the server; harddeletereadmessages deletes it.';

export interface MailboxDraft {
  mailbox: Mailbox;
  /** Secrets to store, by their name in the secret store. */
  secrets: Map<string, string>;
  clearSecrets: string[];
  /** What the client should know. */
  warnings: string[];
}

/**
 * Applies a posted item to a mailbox, or to a new one when `current` is null; `now` becomes its creation date.
 * Fails with `validation_failed` or `unsupported`, naming the field.
 */
export function draftMailbox(item: MailboxItem, current: Mailbox | null, now: Date): MailboxDraft {
  refuseCommands(item);
  const mailbox = current === null ? newMailbox(item, now) : structuredClone(current);
  const drafting = new Drafting(item, mailbox, current === null ? null : viewSettings(current));
  drafting.run();
  const { secrets, clearSecrets } = readSecrets(item);
  const given = item.penstock ?? {};
  if (current === null && secrets.has('token') && !secrets.has('password') && given.auth === undefined) {
    if (factsOf(mailbox.kind).api === null) mailbox.settings.server.auth = 'xoauth2';
  }
  naming(mailbox.kind, () => {
    readOauthExtension(mailbox, changedOauth(given, current), secrets, current === null);
    checkMailboxSettings(mailbox.settings, mailbox.kind);
  });
  return { mailbox, secrets, clearSecrets, warnings: drafting.warnings };
}

/** Commands of Halo that need what this version does not have. */
function refuseCommands(item: MailboxItem): void {
  const commands = [
    '_confirmmanagedidentitysetup',
    '_confirmclientcredentialssetup',
    '_confirmropcssetup',
  ] as const;
  for (const field of commands) {
    if (item[field]) throw fail('unsupported', `${field} is not supported by this version.`, { field });
  }
}

function newMailbox(item: MailboxItem, now: Date): Mailbox {
  if (item.type === undefined || item.type === null) {
    throw invalid('type', `is missing; it is one of ${MAILBOX_TYPE.allowed}`);
  }
  const kind = kindOf(item.type);
  const value = <T>(field: string, byDefault: T): T => (item[field] ?? byDefault) as T;
  const { api } = factsOf(kind);
  const host = value('server', '').trim() || api;
  const user = userOf(kind, value);
  if (host === null) throw invalid('server', 'is missing');
  if (user === '')
    throw invalid(api === null ? 'username' : `${kind === 'graph' ? 'azure' : 'google_'}email`, 'is missing');
  return {
    id: 0,
    guid: '',
    name: '',
    kind,
    enabled: false,
    settings: { ...defaultMailboxSettings(host, user, kind), addresses: [] },
    halo: {},
    changeSeq: 0,
    createdAt: now,
  };
}

function kindOf(type: number): Mailbox['kind'] {
  const kind = MAILBOX_TYPE.word(type);
  if (kind === null) throw invalid('type', `must be one of ${MAILBOX_TYPE.allowed}`);
  if (kind === 'exchange') {
    const message = `type ${type} (Exchange Web Services) is not supported; 3 is Microsoft Graph.`;
    throw fail('unsupported', message, { field: 'type' });
  }
  return kind;
}

/** Reads the secrets of an item. Null and an empty text keep what is stored: clients post back what they read. */
export function readSecrets(item: MailboxItem): { secrets: Map<string, string>; clearSecrets: string[] } {
  const secrets = new Map<string, string>();
  for (const [field, name] of Object.entries(SECRET_FIELDS) as [SecretField, string][]) {
    const value = item[field];
    if (value) secrets.set(name, value);
  }
  for (const name of ['token', 'private_key'] as const) {
    const value = item.penstock?.[name];
    if (value) secrets.set(name, value);
  }
  return { secrets, clearSecrets: item.penstock?.clear_secrets ?? [] };
}

/** What is asked of `penstock.oauth`: clients post back what they were shown. */
function changedOauth(given: MailboxExtension, current: Mailbox | null): MailboxExtension {
  if (!given.oauth || current === null) return given;
  const shown = viewOauth(current) ?? {};
  const changed = Object.entries(given.oauth).filter(([field, value]) => value !== shown[field]);
  return { ...given, oauth: changed.length === 0 ? null : Object.fromEntries(changed) };
}

class Drafting {
  readonly warnings: string[] = [];
  readonly #item: MailboxItem;
  readonly #mailbox: Mailbox;
  /** What the client was shown; null for a new mailbox. */
  readonly #shown: Record<string, unknown> | null;

  constructor(item: MailboxItem, mailbox: Mailbox, shown: Record<string, unknown> | null) {
    this.#item = item;
    this.#mailbox = mailbox;
    this.#shown = shown;
  }

  run(): void {
    this.#basics();
    this.#server();
    readAccount(
      { asks: (field) => this.#asks(field), value: (field, other) => this.#value(field, other) },
      this.#mailbox,
    );
    this.#disposition();
    this.#intake();
    this.#push();
    this.#policy();
    const addressesFollow = this.#addressesFollow();
    this.#keep();
    this.#extension();
    readSending(
      { asks: (field) => this.#asks(field), value: (field, other) => this.#value(field, other) },
      this.#mailbox,
      this.#item.penstock?.sending ?? undefined,
    );
    if (addressesFollow && this.#item.penstock?.addresses === undefined) {
      this.#mailbox.settings.addresses = ownAddresses(this.#mailbox);
    }
  }

  /** True when the item gives this field, and not just what was shown. */
  #asks(field: string): boolean {
    const value = this.#item[field];
    if (value === undefined) return false;
    return this.#shown === null || !isDeepStrictEqual(value, this.#shown[field]);
  }

  /** The value of a field after this save; null clears it to `byDefault`. */
  #value<T>(field: string, byDefault: T): T {
    const value = this.#item[field] !== undefined ? this.#item[field] : this.#shown?.[field];
    return (value ?? byDefault) as T;
  }

  #basics(): void {
    const mailbox = this.#mailbox;
    if (this.#asks('type')) mailbox.kind = kindOf(this.#value('type', -1));
    mailbox.name = this.#value('name', '');
    mailbox.enabled = this.#value('enabled', false);
    for (const [field, key] of [
      ['server', 'host'],
      ['username', 'user'],
    ] as const) {
      if (!this.#asks(field)) continue;
      const value = this.#value(field, '').trim();
      // What names an API and its mailbox is more than these: see readAccount.
      if (value === '' && factsOf(mailbox.kind).api !== null) continue;
      if (value === '') throw invalid(field, 'must not be empty');
      mailbox.settings.server[key] = value;
    }
  }

  #server(): void {
    // Another kind has other default ports.
    const asked = ['usetls', 'tlstype', 'popport', 'type'].some((field) => this.#asks(field));
    if (!asked && this.#shown !== null) return;
    const written = {
      usetls: this.#value('usetls', true),
      tlstype: this.#value('tlstype', 0),
      popport: this.#value('popport', 0),
    };
    const { kind } = this.#mailbox;
    const meant = tlsOf(written, kind);
    if (meant === null) throw invalid('tlstype', 'must be a number from 0 to 4');
    if (meant.stricter) this.warnings.push('STARTTLS is required: STARTTLS if offered is not safe.');
    const { server } = this.#mailbox.settings;
    server.tls = meant.tls;
    server.port = portOf(written.popport, meant.tls, kind);
    Object.assign(this.#mailbox.halo, { tlstype: written.tlstype, popport: written.popport });
  }

  #disposition(): void {
    const { kind } = this.#mailbox;
    const ofAzure =
      kind === 'graph' && (this.#asks('azureleavemailininbox') || !this.#asks('imapleavemailininbox'));
    const leave = ofAzure ? 'azureleavemailininbox' : 'imapleavemailininbox';
    const label = kind === 'gmail' ? ['labeltype'] : [];
    const fields = [leave, 'harddeletereadmessages', 'deleteditemsfolder', ...label];
    if (this.#shown !== null && !fields.some((field) => this.#asks(field))) return;
    const { settings, halo } = this.#mailbox;
    const folder = this.#value('deleteditemsfolder', '');
    halo.deleteditemsfolder = folder;
    if (this.#value(leave, false)) {
      if (settings.after !== 'seen') settings.after = 'leave';
    } else if (this.#value('harddeletereadmessages', false)) {
      settings.after = 'delete';
    } else if (!factsOf(this.#mailbox.kind).dispositions.includes('move')) {
      // Halo's default is to move. Where that cannot be, the mail stays: nobody asked for it to be deleted.
      settings.after = 'leave';
      if (folder !== '') throw invalid('deleteditemsfolder', CANNOT_MOVE);
      if (this.#item.penstock?.after === undefined) this.warnings.push(CANNOT_MOVE);
    } else {
      settings.after = 'move';
      const byLabel = kind === 'gmail' ? this.#value('labeltype', 'TRASH') : 'TRASH';
      settings.afterFolder = folder || (byLabel === 'TRASH' ? DELETED_ITEMS : byLabel);
    }
  }

  #intake(): void {
    const { settings, createdAt } = this.#mailbox;
    if (this.#asks('incomingfoldername')) {
      settings.folders = [this.#value('incomingfoldername', '').trim() || 'INBOX'];
    }
    if (this.#asks('imapdatecutoff'))
      settings.dateCutoff = this.#value<string | null>('imapdatecutoff', null);
    if (this.#asks('dontimportbeforecreation')) {
      const since = this.#value('dontimportbeforecreation', false);
      // Without times of arrival, what is there at the first listing is what came before.
      const { hasDates } = factsOf(this.#mailbox.kind);
      settings.firstSync = since ? (hasDates ? 'since' : 'now') : 'all';
      settings.firstSyncSince = since && hasDates ? printDate(createdAt) : null;
    }
  }

  /** `_webhookaction`: 1 subscribe, 2 renew, 3 unsubscribe; it says the same as inbound_method, and wins. */
  #push(): void {
    const { kind, settings } = this.#mailbox;
    const action: number = this.#item._webhookaction ?? 0;
    if (![0, 1, 2, 3].includes(action)) throw invalid('_webhookaction', 'must be a number from 0 to 3');
    const method = this.#asks('inbound_method') ? this.#value<number>('inbound_method', 0) : null;
    if (method !== null && method !== 0 && method !== 1) throw invalid('inbound_method', 'must be 0 or 1');
    if (!tells(kind) && (action !== 0 || method === 1)) {
      const field = action === 0 ? 'inbound_method' : '_webhookaction';
      throw fail('unsupported', `${field} must be 0: IMAP and POP3 mailboxes are polled.`, { field });
    }
    if (!tells(kind)) return;
    if (method !== null) settings.push = method === 1;
    if (action === 1 || action === 2) settings.push = true;
    if (action === 3) settings.push = false;
  }

  #policy(): void {
    const { policy } = this.#mailbox.settings;
    for (const [field, key, byDefault] of POLICY_FLAGS) {
      if (this.#asks(field)) policy[key] = this.#value(field, byDefault);
    }
    for (const [field, key] of POLICY_NUMBERS) {
      if (this.#asks(field)) policy[key] = this.#value(field, 0);
    }
    if (this.#asks('unmatched_users')) {
      const word = UNMATCHED_USERS.word(this.#value('unmatched_users', 0));
      if (word === null) throw invalid('unmatched_users', `must be one of ${UNMATCHED_USERS.allowed}`);
      policy.unmatchedUsers = word;
    }
  }

  /** The list of own addresses follows the account until somebody writes it by hand. */
  #addressesFollow(): boolean {
    const { settings } = this.#mailbox;
    if (this.#shown === null) return true;
    const before = { ...this.#mailbox, settings: { ...settings, server: { ...settings.server } } };
    before.settings.server.user = String(this.#shown.username);
    return isDeepStrictEqual(settings.addresses, ownAddresses(before));
  }

  #keep(): void {
    const { halo } = this.#mailbox;
    for (const field of [...KEPT_DEFAULTS.keys(), ...ADDRESS_FIELDS]) {
      if (!this.#asks(field) || steers(this.#mailbox.kind, field)) continue;
      const value = this.#item[field];
      if (value === null || value === undefined) delete halo[field];
      else halo[field] = value;
    }
  }

  #extension(): void {
    const { settings } = this.#mailbox;
    const given = this.#item.penstock ?? {};
    const before = (this.#shown?.penstock ?? {}) as MailboxExtension;
    const asks = (field: keyof MailboxExtension): boolean =>
      given[field] !== undefined && (this.#shown === null || !isDeepStrictEqual(given[field], before[field]));

    if (asks('folders')) settings.folders = given.folders!;
    if (asks('poll_seconds')) settings.pollSeconds = given.poll_seconds!;
    if (asks('first_sync')) settings.firstSync = given.first_sync!;
    if (asks('first_sync_since')) settings.firstSyncSince = given.first_sync_since ?? null;
    if (asks('max_message_bytes')) settings.maxMessageBytes = given.max_message_bytes!;
    if (asks('dedup')) settings.dedup = given.dedup!;
    if (asks('addresses')) settings.addresses = given.addresses!.map((address) => address.toLowerCase());
    if (asks('after')) settings.after = given.after!;
    if (asks('after_folder')) settings.afterFolder = given.after_folder || null;
    // A folder that was only the default of a move must not be asked for where nothing moves.
    if (settings.after !== 'move' && !asks('after_folder')) settings.afterFolder = null;
    if (settings.after === 'move') settings.afterFolder ??= DELETED_ITEMS;
    this.#secureness(given, asks);
  }

  #secureness(given: MailboxExtension, asks: (field: keyof MailboxExtension) => boolean): void {
    const { server } = this.#mailbox.settings;
    if (asks('tls')) {
      server.tls = given.tls!;
      server.port = portOf(Number(this.#mailbox.halo.popport ?? 0), server.tls, this.#mailbox.kind);
    }
    if (asks('tls_verify')) server.tlsVerify = given.tls_verify!;
    if (asks('tls_ca')) server.tlsCa = given.tls_ca || null;
    if (asks('auth')) server.auth = given.auth!;
  }
}

type Policy = MailboxSettings['policy'];
type KeysOf<T> = { [K in keyof Policy]: Policy[K] extends T ? K : never }[keyof Policy];

const POLICY_FLAGS: readonly (readonly [field: string, key: KeysOf<boolean>, byDefault: boolean])[] = [
  ['ignore_cc_emails', 'ignoreCcEmails', false],
  ['accept_auto_replies', 'acceptAutoReplies', true],
  ['allow_email_hashtags', 'allowHashtags', true],
  ['use_emailaddress_for_new_users', 'newRequesterNamedByAddress', false],
  ['newuser_send_welcome_email', 'newRequesterWelcome', false],
  ['site_prefix_matching', 'siteByPrefix', true],
  ['site_wildcard_matching', 'siteByWildcard', true],
  ['site_domain_matching', 'siteByDomain', true],
  ['site_tocc_matching', 'siteByRecipient', true],
  ['newuser_send_ack', 'newRequesterAcknowledge', false],
  ['stopnewticketsviaemail', 'stopNewTickets', false],
  ['dontprocesssentbysamemailbox', 'dontProcessSentBySameMailbox', false],
  ['dontsendack', 'dontAcknowledge', false],
];

const POLICY_NUMBERS: readonly (readonly [field: string, key: KeysOf<number>])[] = [
  ['defaultuserid', 'defaultRequesterId'],
  ['newuser_default_site', 'newRequesterSiteId'],
  ['tickettype_id', 'ticketTypeId'],
];

const ADDRESS_FIELDS = ['smtpaddress', 'shared_mailbox_emailaddress', 'azureemail', 'google_email'] as const;

function ownAddresses({ settings, halo }: Mailbox): string[] {
  const written = [settings.server.user, ...ADDRESS_FIELDS.map((field) => String(halo[field] ?? ''))];
  return [...new Set(written.filter((text) => text.includes('@')).map((text) => text.toLowerCase()))];
}

/** Where a setting is found in a posted mailbox. */
const FIELD_OF: Record<string, string> = {
  'server.host': 'server',
  'server.port': 'popport',
  'server.user': 'username',
  'server.tls': 'tlstype',
  afterFolder: 'deleteditemsfolder',
  after: 'penstock.after',
  folders: 'penstock.folders',
  firstSync: 'penstock.first_sync',
  firstSyncSince: 'penstock.first_sync_since',
  dateCutoff: 'imapdatecutoff',
};

/** The same for a Graph mailbox. */
const AZURE_FIELD_OF: Record<string, string> = {
  'server.user': 'azureemail',
  'oauth.clientId': 'azureappid',
  'oauth.tenant': 'azuretenant',
};

/** Names the field of the posted item where a setting is not valid. */
export function naming(kind: Mailbox['kind'], run: () => void): void {
  try {
    run();
  } catch (thrown) {
    if (!(thrown instanceof PenstockError)) throw thrown;
    const setting = String(thrown.fields.field ?? '');
    const ours = `penstock.${setting.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`;
    const azure = kind === 'graph' ? AZURE_FIELD_OF[setting] : undefined;
    throw invalid(azure ?? FIELD_OF[setting] ?? ours, `is not valid: ${thrown.message}`);
  }
}
