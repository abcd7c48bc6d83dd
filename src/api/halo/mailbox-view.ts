/** A mailbox as Halo's clients see it. */
import { judgeMailbox } from '../../observe/health.ts';
import type { MailboxProgress } from '../../store/mailbox-progress.ts';
import type { Mailbox } from '../../store/mailboxes.ts';
import type { TokenStanding } from '../../store/oauth-tokens.ts';
import type { SubscriptionStanding } from '../../store/subscriptions.ts';
import { MAILBOX_TYPE, TLS_TYPE, UNMATCHED_USERS } from './enums.ts';
import { printDate } from './fields.ts';
import { KEPT_DEFAULTS, SECRET_FIELDS } from './mailbox-fields.ts';
import { viewAccount, viewAuthorized, viewOauth } from './mailbox-oauth.ts';
import { viewSending } from './mailbox-sending.ts';
import { DELETED_ITEMS, portOf, tlsOf } from './mailbox-server.ts';

/** What is shown of a mailbox beside its settings. */
export interface MailboxCircumstances {
  progress: MailboxProgress | null;
  /** Names of the secrets that are stored. */
  secrets: string[];
  /** Notifications that the provider was asked for. */
  subscription: SubscriptionStanding | null;
  /** The access token of its first credential. */
  token: TokenStanding | null;
  /** Poll intervals without a complete listing until a mailbox is stale. */
  staleIntervals: number;
}

/** All fields of a mailbox as they are stored. `details` adds what only a whole view has. */
export function viewMailbox(mailbox: Mailbox, circumstances: MailboxCircumstances, details: boolean): object {
  const view = viewSettings(mailbox);
  const { progress, secrets } = circumstances;
  const extension = view.penstock as Record<string, unknown>;
  return {
    ...view,
    ...(details ? {} : { signature_overrides: null, mappings_user: null }),
    display_address: displayAddress(view),
    changeseq: mailbox.changeSeq,
    guid: mailbox.guid || null,
    creationdate: printDate(mailbox.createdAt),
    halointegrator_lastsync: printDate(progress?.lastListedAt),
    halointegrator_lasterror: progress?.lastError ?? null,
    errorcounter: progress?.consecutiveErrors ?? 0,
    ...viewAuthorized(mailbox, secrets),
    ...viewPush(mailbox, circumstances),
    ...viewExpiry(mailbox, circumstances),
    _isglobalsmtp: false,
    _warning: null,
    penstock: { ...extension, secrets, ...viewProgress(mailbox, progress, circumstances.staleIntervals) },
  };
}

/** The part of the view that a client may change: what a posted item is compared with. */
export function viewSettings(mailbox: Mailbox): Record<string, unknown> {
  const { settings, halo } = mailbox;
  const { policy, server, after } = settings;
  const view: Record<string, unknown> = {
    id: mailbox.id,
    name: mailbox.name,
    type: MAILBOX_TYPE.code(mailbox.kind),
    enabled: mailbox.enabled,
    server: server.host,
    username: server.user,
    ...viewServer(mailbox),
    imapleavemailininbox: after === 'leave' || after === 'seen',
    harddeletereadmessages: after === 'delete',
    deleteditemsfolder: viewDeletedItems(mailbox),
    incomingfoldername: settings.folders[0] === 'INBOX' ? '' : settings.folders[0],
    imapdatecutoff: settings.dateCutoff,
    dontimportbeforecreation:
      settings.firstSync === 'now' ||
      (settings.firstSync === 'since' && settings.firstSyncSince === printDate(mailbox.createdAt)),
    ignore_cc_emails: policy.ignoreCcEmails,
    accept_auto_replies: policy.acceptAutoReplies,
    allow_email_hashtags: policy.allowHashtags,
    unmatched_users: UNMATCHED_USERS.code(policy.unmatchedUsers),
    defaultuserid: policy.defaultRequesterId,
    newuser_default_site: policy.newRequesterSiteId,
    use_emailaddress_for_new_users: policy.newRequesterNamedByAddress,
    newuser_send_welcome_email: policy.newRequesterWelcome,
    site_prefix_matching: policy.siteByPrefix,
    site_wildcard_matching: policy.siteByWildcard,
    site_domain_matching: policy.siteByDomain,
    site_tocc_matching: policy.siteByRecipient,
    newuser_send_ack: policy.newRequesterAcknowledge,
    stopnewticketsviaemail: policy.stopNewTickets,
    dontprocesssentbysamemailbox: policy.dontProcessSentBySameMailbox,
    dontsendack: policy.dontAcknowledge,
    tickettype_id: policy.ticketTypeId,
    smtpaddress: halo.smtpaddress ?? '',
    shared_mailbox_emailaddress: halo.shared_mailbox_emailaddress ?? '',
    azureemail: halo.azureemail ?? null,
    google_email: halo.google_email ?? null,
    inbound_method: tells(mailbox.kind) && settings.push !== false ? 1 : 0,
  };
  for (const name of Object.keys(SECRET_FIELDS)) view[name] = null;
  for (const [name, byDefault] of KEPT_DEFAULTS) view[name] = halo[name] ?? byDefault;
  Object.assign(view, viewAccount(mailbox));
  view.penstock = {
    folders: settings.folders,
    poll_seconds: settings.pollSeconds,
    first_sync: settings.firstSync,
    first_sync_since: settings.firstSyncSince,
    after,
    after_folder: settings.afterFolder,
    max_message_bytes: settings.maxMessageBytes,
    dedup: settings.dedup,
    addresses: settings.addresses,
    tls: server.tls,
    tls_verify: server.tlsVerify,
    tls_ca: server.tlsCa,
    auth: server.auth,
    oauth: viewOauth(mailbox),
    sending: viewSending(mailbox),
  };
  return view;
}

/** Providers that tell of new mail. */
export const tells = (kind: Mailbox['kind']): boolean => kind === 'graph' || kind === 'gmail';

/** As the client once wrote it, as long as that still means what is stored; else in our own way. */
function viewServer({ kind, settings, halo }: Mailbox): Record<string, unknown> {
  const { tls, port } = settings.server;
  const written = {
    usetls: tls !== 'none',
    tlstype: Number(halo.tlstype ?? 0),
    popport: Number(halo.popport ?? 0),
  };
  if (tlsOf(written, kind)?.tls === tls && portOf(written.popport, tls, kind) === port) return written;
  return { usetls: tls !== 'none', tlstype: tls === 'none' ? 0 : TLS_TYPE.code(tls), popport: port };
}

function viewDeletedItems({ settings, halo }: Mailbox): unknown {
  if (settings.after !== 'move') return halo.deleteditemsfolder ?? '';
  const isDefault = settings.afterFolder === DELETED_ITEMS && (halo.deleteditemsfolder ?? '') === '';
  return isDefault ? '' : settings.afterFolder;
}

/** What providers were asked to tell; elsewhere the fields are only kept. */
function viewPush({ kind }: Mailbox, { subscription }: MailboxCircumstances): object {
  if (kind !== 'graph') return {};
  return {
    azure_subscription_id: subscription?.providerId ?? '',
    azure_subscription_expiry: printDate(subscription?.expiresAt),
    azure_subscribed: subscription?.live ?? false,
  };
}

/** When the tokens of Graph and Gmail mailboxes end, as far as that is known. They are renewed before. */
function viewExpiry({ kind }: Mailbox, { token }: MailboxCircumstances): object {
  const access = printDate(token?.expiresAt);
  if (kind === 'gmail') return { google_token_expiry: access };
  if (kind !== 'graph') return {};
  return { accesstokenexpirydate: access, refreshtokenexpirydate: printDate(token?.refreshExpiresAt) };
}

function displayAddress(view: Record<string, unknown>): string {
  const names = ['shared_mailbox_emailaddress', 'azureemail', 'google_email', 'smtpaddress', 'username'];
  return String(names.map((name) => view[name]).find((address) => address) ?? '');
}

function viewProgress(mailbox: Mailbox, progress: MailboxProgress | null, staleIntervals: number): object {
  if (progress === null) return {};
  const watched = {
    id: mailbox.id,
    name: mailbox.name,
    kind: mailbox.kind,
    enabled: mailbox.enabled,
    pollSeconds: mailbox.settings.pollSeconds,
    createdAt: mailbox.createdAt,
    ...progress,
  };
  const { status, reason } = judgeMailbox(watched, staleIntervals, progress.now);
  return {
    status,
    status_reason: reason,
    phase: mailbox.enabled ? progress.phase : 'paused',
    phase_since: printDate(progress.phaseSince),
    next_attempt: printDate(progress.nextAttemptAt),
    last_error_code: progress.lastErrorCode,
    progress: viewSync(progress),
  };
}

function viewSync({ syncDone, syncTotal, syncStartedAt, now }: MailboxProgress): object | null {
  if (syncStartedAt === null || syncDone >= syncTotal) return null;
  const seconds = (now.getTime() - syncStartedAt.getTime()) / 1000;
  const rate = seconds > 0 ? syncDone / seconds : 0;
  return {
    done: syncDone,
    total: syncTotal,
    rate: Math.round(rate * 10) / 10,
    seconds_left: rate > 0 ? Math.ceil((syncTotal - syncDone) / rate) : null,
  };
}
