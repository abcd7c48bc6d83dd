/** Saves posted credentials of mailboxes, and shows them. */
import { isDeepStrictEqual } from 'node:util';
import { fail } from '../errors.ts';
import { writeAudit } from '../store/audit-log.ts';
import { type CredentialStanding, credentialStandings } from '../store/credential-standing.ts';
import {
  createCredential,
  deleteCredential,
  findCredential,
  firstCredential,
  listCredentials,
  type MailboxCredential,
  saveCredential,
} from '../store/credentials.ts';
import type { Database, Tx } from '../store/database.ts';
import type { Keyring } from '../store/keyring.ts';
import { secretNames } from '../store/mailbox-progress.ts';
import { findMailbox, listMailboxes, type Mailbox } from '../store/mailboxes.ts';
import { lockMailboxes } from '../store/row-locks.ts';
import { deleteSecret, readSecret, writeSecret } from '../store/secrets.ts';
import { subscriptionStandings } from '../store/subscriptions.ts';
import { type CredentialDraft, draftCredential } from './halo/credential-draft.ts';
import type { CredentialItem } from './halo/credential-fields.ts';
import { viewCredential } from './halo/credential-view.ts';
import { idsOf } from './http/items.ts';
import { invalid } from './http/problem.ts';

export interface SavedCredential {
  credential: MailboxCredential;
  /** There was such a credential, and no second one was made. */
  isRepeat: boolean;
}

/** Saves one item, after {@link lockMailboxesOf}. Fails with `validation_failed`, `unsupported` or `not_found`. */
export async function saveItem(
  tx: Tx,
  keys: Keyring,
  item: CredentialItem,
  actor: string,
): Promise<SavedCredential> {
  const current = item.id ? await existing(tx, item.id) : null;
  const mailboxId = current?.mailboxId ?? item.mailbox_id ?? 0;
  if (current !== null && (item.mailbox_id ?? mailboxId) !== mailboxId) {
    throw invalid('mailbox_id', `must stay ${mailboxId}`);
  }
  const mailbox = mailboxId === 0 ? null : await findMailbox(tx, mailboxId);
  if (mailbox === null) throw invalid('mailbox_id', 'must be the id of a mailbox');
  const first = (await firstCredential(tx, mailboxId))!;
  const draft = draftCredential(item, mailbox, current, first.settings);
  const { settings, halo } = draft;
  const repeated = current === null ? await repeatedBy(tx, keys, mailboxId, draft) : null;
  if (repeated !== null) return { credential: repeated, isRepeat: true };
  if (current !== null) {
    const sequence = draft.sequence ?? current.sequence;
    const saved = { ...current, sequence, settings, halo };
    const changes =
      !isDeepStrictEqual(saved, current) || (await secretsDiffer(tx, keys, current.name, draft));
    // Nothing to do: the poller need not start anew.
    if (!changes) return { credential: current, isRepeat: false };
    await writeSecrets(tx, keys, current.name, draft);
    await audit(tx, actor, 'update', current, [...draft.secrets.keys()]);
    return { credential: await saveCredential(tx, saved), isRepeat: false };
  }
  const made = await createCredential(tx, { mailboxId, sequence: draft.sequence, settings, halo });
  await writeSecrets(tx, keys, made.name, draft);
  await audit(tx, actor, 'create', made, [...draft.secrets.keys()]);
  return { credential: made, isRepeat: false };
}

/** The credential that a new one repeats: clients send a request again whose answer they did not get. */
async function repeatedBy(
  tx: Tx,
  keys: Keyring,
  mailboxId: number,
  draft: CredentialDraft,
): Promise<MailboxCredential | null> {
  const others = await listCredentials(tx, [mailboxId]);
  const names = await secretNames(
    tx,
    others.map(({ name }) => name),
  );
  for (const other of others) {
    const sequence = draft.sequence ?? other.sequence;
    const same =
      isDeepStrictEqual(
        [other.sequence, other.settings, other.halo],
        [sequence, draft.settings, draft.halo],
      ) && isDeepStrictEqual(new Set(names.get(other.name)), new Set(draft.secrets.keys()));
    if (same && !(await secretsDiffer(tx, keys, other.name, draft))) return other;
  }
  return null;
}

/** Locks the mailboxes that items are about, before anything is read of them. */
export async function lockMailboxesOf(tx: Tx, items: readonly CredentialItem[]): Promise<void> {
  const known = new Set(idsOf(items));
  const all = known.size === 0 ? [] : await listCredentials(tx, 'all');
  const theirs = all.filter(({ id }) => known.has(id)).map(({ mailboxId }) => mailboxId);
  await lockMailboxes(tx, [...items.flatMap((item) => item.mailbox_id || []), ...theirs]);
}

/** Deletes a credential. Fails with `not_found`, and with `conflict` for the last one of a mailbox. */
export async function deleteItem(tx: Tx, id: number, actor: string): Promise<CredentialItem> {
  const { mailboxId } = await existing(tx, id);
  await lockMailboxes(tx, [mailboxId]);
  const credential = await existing(tx, id);
  const all = await listCredentials(tx, [mailboxId]);
  if (all.length === 1) {
    throw fail('conflict', `It is the only credential of mailbox ${mailboxId}; add another one first.`);
  }
  const [shown] = await viewCredentials(tx, [credential]);
  await deleteCredential(tx, credential);
  await audit(tx, actor, 'delete', credential, []);
  return shown!;
}

/** Fails with `not_found`. */
export async function existing(db: Database | Tx, id: number): Promise<MailboxCredential> {
  const credential = await findCredential(db, id);
  if (credential === null) throw fail('not_found', `There is no credential ${id}.`);
  return credential;
}

export async function viewCredentials(
  db: Database | Tx,
  credentials: readonly MailboxCredential[],
): Promise<CredentialItem[]> {
  const standings = await credentialStandings(db, credentials);
  const mailboxes = await mailboxesOf(db, credentials);
  const subscriptions = new Map(
    (await subscriptionStandings(db, [...mailboxes.keys()])).map((one) => [one.mailboxId, one]),
  );
  return credentials.flatMap((credential) => {
    const mailbox = mailboxes.get(credential.mailboxId);
    // It was removed meanwhile.
    if (mailbox === undefined) return [];
    const standing = standings.get(credential.id) as CredentialStanding;
    return [viewCredential(credential, mailbox, standing, subscriptions.get(mailbox.id) ?? null)];
  });
}

async function mailboxesOf(
  db: Database | Tx,
  credentials: readonly MailboxCredential[],
): Promise<Map<number, Mailbox>> {
  const ids = new Set(credentials.map(({ mailboxId }) => mailboxId));
  const [only, ...others] = ids;
  const found =
    only !== undefined && others.length === 0 ? [await findMailbox(db, only)] : await listMailboxes(db);
  return new Map(
    found.flatMap((mailbox) => (mailbox !== null && ids.has(mailbox.id) ? [[mailbox.id, mailbox]] : [])),
  );
}

interface SecretChanges {
  secrets: ReadonlyMap<string, string>;
  clearSecrets: readonly string[];
}

async function writeSecrets(tx: Tx, keys: Keyring, name: string, draft: SecretChanges): Promise<void> {
  for (const [secret, value] of draft.secrets) await writeSecret(tx, keys, name, secret, value);
  for (const secret of draft.clearSecrets) {
    if (!draft.secrets.has(secret)) await deleteSecret(tx, name, secret);
  }
}

async function secretsDiffer(tx: Tx, keys: Keyring, name: string, draft: SecretChanges): Promise<boolean> {
  for (const [secret, value] of draft.secrets) {
    if ((await readSecret(tx, keys, name, secret)) !== value) return true;
  }
  for (const secret of draft.clearSecrets) {
    if (!draft.secrets.has(secret) && (await readSecret(tx, keys, name, secret)) !== null) return true;
  }
  return false;
}

async function audit(
  tx: Tx,
  actor: string,
  action: string,
  { id, mailboxId, sequence, settings }: MailboxCredential,
  secrets: string[],
): Promise<void> {
  const change = { mailbox: mailboxId, sequence, auth: settings.auth, oauth: settings.oauth, secrets };
  await writeAudit(tx, { actor, action, entity: 'mailbox_credential', entityId: id, change });
}
