/** The settings of one mailbox, as stored and as every part reads them. Halo's names live at the API's edge. */
import Type, { type Static } from 'typebox';
import Schema from 'typebox/schema';
import { fail } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { defaultPort, factsOf } from '../source/kinds.ts';
import type { SourceKind } from '../source/source.ts';

export const MailboxSettings = Type.Object({
  /** How to reach the server. Passwords and tokens are in the secret store, not here. */
  server: Type.Object({
    host: Type.String({ minLength: 1, maxLength: 255 }),
    port: Type.Integer({ minimum: 1, maximum: 65_535 }),
    tls: Type.Enum(['implicit', 'starttls', 'none']),
    tlsVerify: Type.Boolean(),
    tlsCa: Type.Union([Type.String(), Type.Null()]),
    user: Type.String({ minLength: 1, maxLength: 320 }),
    auth: Type.Enum(['password', 'xoauth2']),
  }),
  folders: Type.Array(Type.String({ minLength: 1, maxLength: 500 }), { minItems: 1, maxItems: 50 }),
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

/** Settings of a new mailbox, before anything is given. Defaults as in halo-api.md section 4. */
export function defaultMailboxSettings(
  host: string,
  user: string,
  kind: SourceKind = 'imap',
): MailboxSettings {
  const port = defaultPort(kind, 'implicit');
  return {
    server: { host, port, tls: 'implicit', tlsVerify: true, tlsCa: null, user, auth: 'password' },
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
}

function checkKind(settings: MailboxSettings, kind: SourceKind): void {
  const { name, dispositions, hasFolders, hasDates } = factsOf(kind);
  const refuse = (field: string, message: string): never => {
    throw fail('validation_failed', message, { field });
  };
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
