/** A credential of a mailbox as Halo's clients see it. Secrets are never shown. */
import type { CredentialStanding } from '../../store/credential-standing.ts';
import type { MailboxCredential } from '../../store/credentials.ts';
import { joinSettings } from '../../store/mailbox-settings.ts';
import type { Mailbox } from '../../store/mailboxes.ts';
import type { SubscriptionStanding } from '../../store/subscriptions.ts';
import { CREDENTIAL_SECRETS, type CredentialItem, KEPT_CREDENTIAL_DEFAULTS } from './credential-fields.ts';
import { AZURE_AUTHENTICATION, AZURE_AUTHORITY, CREDENTIAL_TYPE } from './enums.ts';
import { printDate } from './fields.ts';
import { viewOauth } from './mailbox-oauth.ts';
import { viewSettings } from './mailbox-view.ts';

/** The part that a client may change: what a posted item is compared with. */
export function viewCredentialSettings(
  credential: MailboxCredential,
  mailbox: Mailbox,
): Record<string, unknown> {
  const { server } = mailbox.settings;
  const { settings, halo } = credential;
  const { oauth } = settings;
  const view: Record<string, unknown> = {
    id: credential.id,
    guid: credential.guid,
    mailbox_id: credential.mailboxId,
    instance_id: 0,
    server: server.host,
    emailaddress: server.user,
    username: server.user,
    usetls: server.tls !== 'none',
    port: server.port,
    azure_authentication_type:
      oauth === null || oauth.grant === 'service_account' ? 0 : AZURE_AUTHENTICATION.code(oauth.grant),
    azure_authority:
      oauth === null ? 0 : AZURE_AUTHORITY.code(oauth.cloud === 'us_dod' ? 'us_government' : oauth.cloud),
    tenant: oauth?.tenant ?? null,
    client_id: oauth?.clientId || null,
    credential_type: oauth === null || oauth.client === 'none' ? 0 : CREDENTIAL_TYPE.code(oauth.client),
  };
  for (const name of Object.keys(CREDENTIAL_SECRETS)) view[name] = null;
  for (const [name, byDefault] of KEPT_CREDENTIAL_DEFAULTS) view[name] = halo[name] ?? byDefault;
  view.penstock = {
    sequence: credential.sequence,
    auth: settings.auth,
    oauth: viewOauth({ ...mailbox, settings: joinSettings(mailbox.settings, settings) }),
  };
  return view;
}

export function viewCredential(
  credential: MailboxCredential,
  mailbox: Mailbox,
  standing: CredentialStanding,
  subscription: SubscriptionStanding | null,
): CredentialItem {
  const view = viewCredentialSettings(credential, mailbox);
  const { error } = standing;
  return {
    ...view,
    token_expiry: printDate(standing.tokenExpiresAt),
    authorized: standing.state !== 'incomplete',
    inbound_method: viewSettings(mailbox).inbound_method as number,
    subscription_id: subscription?.providerId ?? null,
    subscription_expiry: printDate(subscription?.expiresAt),
    subscribed: subscription?.live ?? false,
    _warning: null,
    penstock: {
      ...(view.penstock as object),
      secrets: standing.secrets,
      state: standing.state,
      state_reason: standing.reason,
      in_use_since: printDate(credential.usedSince),
      error_code: error?.code ?? null,
      error_at: printDate(error?.at),
      hint: error?.hint ?? null,
    },
  };
}
