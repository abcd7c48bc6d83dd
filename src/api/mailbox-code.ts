/**
 * `_exchangecodefortoken` and `_getgoogletoken` (halo-api.md 3.2): a program got a code for a mailbox, and hands it in to be
 * exchanged during the save. Done before the save, because a provider may take long to answer.
 */
import { asPenstockError, fail } from '../errors.ts';
import { LOGIN_SECRETS, type LoginSecrets } from '../mailbox-credential.ts';
import { factsOf } from '../source/kinds.ts';
import { secretPlaces } from '../store/credentials.ts';
import { findMailbox } from '../store/mailboxes.ts';
import { readSecret } from '../store/secrets.ts';
import { draftMailbox } from './halo/mailbox-draft.ts';
import type { MailboxItem } from './halo/mailbox-fields.ts';
import { invalid } from './http/problem.ts';
import type { ApiContext } from './services.ts';

const WAYS = [
  {
    flag: '_exchangecodefortoken',
    kind: 'graph',
    code: 'oauth_code',
    redirect: 'azureredirecturi',
    token: 'new_azure_refresh_token',
  },
  {
    flag: '_getgoogletoken',
    kind: 'gmail',
    code: 'google_code',
    redirect: 'google_redirect',
    token: 'new_google_refresh_token',
  },
] as const;

/**
 * The item with the refresh token that its code was exchanged for; as it is when it asks for no exchange. Fails with
 * `validation_failed` when the provider refuses the code, so that nobody tries again with it.
 */
export async function exchangeCode(context: ApiContext, item: MailboxItem): Promise<MailboxItem> {
  const way = WAYS.find(({ flag }) => item[flag] === true);
  if (way === undefined) return item;
  const { db } = context;
  const current = item.id ? await findMailbox(db, item.id) : null;
  if (item.id && current === null) throw fail('not_found', `There is no mailbox ${item.id}.`);
  const { mailbox, secrets } = draftMailbox(item, current, new Date());
  if (mailbox.kind !== way.kind) {
    throw fail('unsupported', `${way.flag} is for ${factsOf(way.kind).name} mailboxes.`, { field: way.flag });
  }
  const text = (field: string): string => {
    const value = item[field] ?? mailbox.halo[field];
    if (typeof value !== 'string' || value.trim() === '') throw invalid(field, `is needed with ${way.flag}`);
    return value.trim();
  };
  const given = { code: text(way.code), redirectUri: text(way.redirect) };
  try {
    const known = await loginSecrets(context, current?.id ?? null, secrets);
    const refreshToken = await context.services.signIns.exchange(mailbox, known, given);
    return { ...item, [way.flag]: false, [way.code]: null, [way.token]: refreshToken };
  } catch (thrown) {
    const error = asPenstockError(thrown);
    throw error.temporary ? error : invalid(way.code, `was refused: ${error.message}`);
  }
}

/** What a mailbox logs in with: what is given, else what is stored; `mailboxId` null when nothing is. */
export async function loginSecrets(
  { db, keys }: ApiContext,
  mailboxId: number | null,
  given: ReadonlyMap<string, string>,
): Promise<LoginSecrets> {
  const placeOf = mailboxId === null ? undefined : (await secretPlaces(db, [mailboxId])).get(mailboxId);
  const found: LoginSecrets = {};
  for (const name of LOGIN_SECRETS) {
    const value =
      given.get(name) ?? (placeOf === undefined ? null : await readSecret(db, keys, placeOf(name), name));
    if (value !== null) found[name] = value;
  }
  return found;
}
