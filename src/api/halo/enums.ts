/**
 * What Halo's integers mean. No number of this subsystem is public: these are the proposals of halo-api.md (4.1 to
 * 6.2), kept in this one table, so that an instance that numbers them otherwise can be served by changing it.
 */
import type { FieldMapping, Rule, RuleType, TextMatch } from '../../rule/rule.ts';
import type { SourceKind } from '../../source/source.ts';
import type { MailboxSettings, OauthSettings } from '../../store/mailbox-settings.ts';
import type { EmailState } from '../../store/states.ts';

type Words<W extends string> = readonly (readonly [number, W])[];

/** Number to word and back. A word that has several numbers is written as the first of them. */
export class Codes<W extends string> {
  readonly #words: Words<W>;

  constructor(words: Words<W>) {
    this.#words = words;
  }

  word(code: number): W | null {
    return this.#words.find(([number]) => number === code)?.[1] ?? null;
  }

  code(word: W): number {
    return this.#words.find(([, known]) => known === word)![0];
  }

  /** For error messages and the document: `0 POP3, 1 IMAP`. */
  get allowed(): string {
    return this.#words.map(([number, word]) => `${number} ${word.replaceAll('_', ' ')}`).join(', ');
  }
}

/** 4.1. `exchange` is known by number only, to be refused by name. */
export const MAILBOX_TYPE = new Codes<SourceKind | 'exchange'>([
  [0, 'pop3'],
  [1, 'imap'],
  [2, 'exchange'],
  [3, 'graph'],
  [4, 'gmail'],
]);

/** 4.4 */
export const UNMATCHED_USERS = new Codes<MailboxSettings['policy']['unmatchedUsers']>([
  [0, 'create'],
  [1, 'default'],
  [2, 'park'],
  [3, 'drop'],
]);

/** 4.5, when `usetls` is true. */
export const TLS_TYPE = new Codes<'automatic' | 'implicit' | 'starttls' | 'starttls_if_offered'>([
  [0, 'automatic'],
  [1, 'automatic'],
  [2, 'implicit'],
  [3, 'starttls'],
  [4, 'starttls_if_offered'],
]);

/** 4.8. `password` is known by number only, to be refused by name. */
export const AZURE_AUTHENTICATION = new Codes<
  Exclude<OauthSettings['grant'], 'service_account'> | 'password'
>([
  [0, 'refresh_token'],
  [1, 'client_credentials'],
  [2, 'managed_identity'],
  [3, 'password'],
]);

/** 4.8 */
export const AZURE_AUTHORITY = new Codes<Exclude<OauthSettings['cloud'], 'us_dod'>>([
  [0, 'global'],
  [1, 'us_government'],
  [2, 'china'],
]);

/** 4.8. An application without proof of its own, which is no number there, is a secret that is missing. */
export const CREDENTIAL_TYPE = new Codes<Exclude<OauthSettings['client'], 'none'>>([
  [0, 'secret'],
  [1, 'certificate'],
  [2, 'federated'],
]);

/** 5.1 */
export const RULE_TYPE = new Codes<RuleType>([
  [0, 'ignore'],
  [1, 'help_request'],
  [2, 'service_status'],
  [3, 'supplier_update'],
  [4, 'alert'],
]);

/** 5.2 */
export const FIELD_TYPE = new Codes<FieldMapping['fieldType']>([
  [0, 'standard'],
  [1, 'custom'],
  [2, 'user'],
]);

/** 5.3: how the value of a slot ends. */
export const END_TAG_MATCH = new Codes<'end_tag' | 'end_of_line' | 'length'>([
  [0, 'end_tag'],
  [1, 'end_of_line'],
  [2, 'length'],
]);

/** 5.3: what slot 3 is matched by. */
export const USER_MATCH = new Codes<Rule['userMatch']>([
  [0, 'address'],
  [1, 'name'],
  [2, 'login'],
]);

/** 5.4 */
export const ATTACHMENT_MATCH = new Codes<TextMatch>([
  [0, 'contains'],
  [1, 'equals'],
  [2, 'starts_with'],
  [3, 'ends_with'],
]);

/** 5.6 */
export const CLOSED_READ_STATUS = new Codes<Rule['closedAlertsReadStatus']>([
  [0, 'global'],
  [1, 'unread'],
  [2, 'read'],
]);

/** 6.1. Duplicates are ledger rows here, not records, so nothing has the number 6. */
export const EMAIL_STATUS = new Codes<EmailState | 'duplicate'>([
  [0, 'queued'],
  [1, 'processing'],
  [2, 'processed'],
  [3, 'ignored'],
  [4, 'retrying'],
  [5, 'quarantined'],
  [6, 'duplicate'],
  [7, 'waiting'],
  [8, 'parked'],
]);

/** 6.2 */
export const EMAIL_SOURCE = new Codes<SourceKind | 'api' | 'import' | 'graph_webhook'>([
  [0, 'api'],
  [0, 'import'],
  [1, 'imap'],
  [2, 'pop3'],
  [3, 'graph'],
  [4, 'graph_webhook'],
  [5, 'gmail'],
]);
