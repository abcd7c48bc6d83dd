import type { Rule, RuleResult, SlotMeaning } from '../rule/rule.ts';

/**
 * What a rule's slots say about a message (halo-api 5.2, meaning by place), made ready for looking up. The
 * result of matching carries values; what they lead to is known to the database only.
 */

export interface UserClaim {
  by: Rule['userMatch'];
  value: string;
}

export interface RuleClaims {
  assetOrService: string | null;
  status: string | null;
  user: UserClaim | null;
  /** What ties later mails to the ticket, as it is compared: see {@link comparableKey}. */
  alertKey: string | null;
  siteOrClient: string | null;
  supplierReference: string | null;
}

const KEY_CHARS = 500;

/** The claims of a matched rule; all null without one. */
export function ruleClaims({ rule, extractions }: Pick<RuleResult, 'rule' | 'extractions'>): RuleClaims {
  const value = (meaning: SlotMeaning): string | null =>
    rule === null ? null : (extractions.find(({ target }) => target === `slot:${meaning}`)?.value ?? null);
  const user = value('user');
  const alertKey = value('alert_key');
  return {
    assetOrService: value('asset_or_service'),
    status: value('status'),
    user: user === null ? null : userClaim(rule!.userMatch, user),
    alertKey: alertKey === null ? null : comparableKey(alertKey),
    siteOrClient: value('site_or_client'),
    supplierReference: value('supplier_reference'),
  };
}

/**
 * An alert key as it is compared: mail programs fold long lines anywhere, so spacing does not count. Case does:
 * host names are written alike by the same monitor, but `disk-A` and `disk-a` may be two disks.
 */
export function comparableKey(key: string): string {
  return key.normalize('NFC').split(/\s+/).join(' ').trim().slice(0, KEY_CHARS).toWellFormed();
}

function userClaim(by: Rule['userMatch'], value: string): UserClaim {
  if (by !== 'address') return { by, value };
  // `Anna <anna@customer.example>` and `mailto:anna@customer.example` are usual in forms.
  const open = value.lastIndexOf('<');
  const close = value.indexOf('>', open + 1);
  const inner = open >= 0 && close > open ? value.slice(open + 1, close) : value;
  const address = inner.trim().toLowerCase();
  return { by, value: address.startsWith('mailto:') ? address.slice('mailto:'.length) : address };
}
