/** Saves posted mailboxes: what is new, what changed, and what the client should know about it. */
import { isDeepStrictEqual } from 'node:util';
import { sql } from 'kysely';
import { fail } from '../errors.ts';
import { writeAudit } from '../store/audit-log.ts';
import { secretPlaces } from '../store/credentials.ts';
import type { Tx } from '../store/database.ts';
import {
  createMailbox,
  findMailbox,
  listMailboxes,
  type Mailbox,
  updateMailbox,
} from '../store/mailboxes.ts';
import { askToRenew } from '../store/notifications.ts';
import { lockCreation } from '../store/row-locks.ts';
import { deleteSecret, readSecret, writeSecret } from '../store/secrets.ts';
import { draftMailbox, type MailboxDraft } from './halo/mailbox-draft.ts';
import type { MailboxItem } from './halo/mailbox-fields.ts';
import { DELETED_ITEMS } from './halo/mailbox-server.ts';
import { viewSettings } from './halo/mailbox-view.ts';
import type { ApiContext } from './services.ts';

export interface SavedMailbox {
  mailbox: Mailbox;
  warnings: string[];
}

/** Saves the items of one request, one after the other, in the caller's transaction. */
export class MailboxSaver {
  readonly #context: ApiContext;
  readonly #tx: Tx;
  readonly #actor: string;
  /** What new ones are compared with; read when the first new one comes. */
  #others: Mailbox[] | null = null;

  constructor(context: ApiContext, tx: Tx, actor: string) {
    this.#context = context;
    this.#tx = tx;
    this.#actor = actor;
  }

  /** Fails with `validation_failed`, `unsupported`, `not_found` or `conflict`. */
  async save(item: MailboxItem): Promise<SavedMailbox> {
    const current = item.id ? await findMailbox(this.#tx, item.id) : null;
    if (item.id && current === null) throw fail('not_found', `There is no mailbox ${item.id}.`);
    const draft = draftMailbox(item, current, await transactionTime(this.#tx));
    const saved =
      current === null ? await this.#create(draft) : await this.#update(draft, current, item.changeseq ?? 0);
    if (item._webhookaction === 2) await askToRenew(this.#tx, saved.mailbox.id);
    const warnings = [
      ...saved.warnings,
      ...remarks(saved.mailbox, current),
      ...this.#pushRemarks(item, saved.mailbox.kind),
    ];
    return { ...saved, warnings };
  }

  /** Being told of mail was asked for, and cannot be. */
  #pushRemarks(item: MailboxItem, kind: Mailbox['kind']): string[] {
    const { config } = this.#context;
    const asked = item.inbound_method === 1 || item._webhookaction === 1 || item._webhookaction === 2;
    const isReached =
      kind === 'gmail'
        ? config.gmail.topic !== null
        : config.server.publicUrl?.startsWith('https://') === true;
    if (!asked || isReached) return [];
    return ['There is no address for notifications (docs/operator/push.md): the mailbox is only polled.'];
  }

  async #create(draft: MailboxDraft): Promise<SavedMailbox> {
    if (this.#others === null) {
      await lockCreation(this.#tx, 'mailbox');
      this.#others = await listMailboxes(this.#tx);
    }
    const sameAccount = this.#others.filter((other) => isSameAccount(other, draft.mailbox));
    const repeated = sameAccount.find((other) => isRepeat(other, draft.mailbox));
    if (repeated !== undefined) {
      const { mailbox } = await this.#update({ ...draft, mailbox: repeated }, repeated, 0);
      return {
        mailbox,
        warnings: [`Mailbox ${mailbox.id} is the same in everything, so no second one was made.`],
      };
    }
    const mailbox = await createMailbox(this.#tx, draft.mailbox);
    this.#others.push(mailbox);
    await this.#writeSecrets(mailbox.id, draft);
    await this.#audit('create', mailbox.id, {
      after: viewSettings(mailbox),
      secrets: [...draft.secrets.keys()],
    });
    return { mailbox, warnings: [...draft.warnings, ...overlaps(sameAccount, mailbox)] };
  }

  async #update(draft: MailboxDraft, current: Mailbox, changeseq: number): Promise<SavedMailbox> {
    const fields = differences(viewSettings(current), viewSettings(draft.mailbox));
    const changes = Object.keys(fields).length > 0 || (await this.#secretsDiffer(current.id, draft));
    // Nothing to do: the poller need not start anew, and a repeated request finds what it wanted.
    if (!changes) return { mailbox: current, warnings: draft.warnings };
    if (changeseq !== 0 && changeseq !== current.changeSeq) {
      const message = `Mailbox ${current.id} was changed meanwhile (changeseq ${current.changeSeq}); read it again.`;
      throw fail('conflict', message, { field: 'changeseq' });
    }
    const mailbox = await updateMailbox(this.#tx, draft.mailbox);
    await this.#writeSecrets(current.id, draft);
    const secrets = [...draft.secrets.keys()];
    await this.#audit('update', current.id, { fields, secrets, cleared: draft.clearSecrets });
    return { mailbox, warnings: draft.warnings };
  }

  async #writeSecrets(id: number, draft: MailboxDraft): Promise<void> {
    const placeOf = (await secretPlaces(this.#tx, [id])).get(id)!;
    for (const [name, value] of draft.secrets) {
      await writeSecret(this.#tx, this.#context.keys, placeOf(name), name, value);
    }
    for (const name of draft.clearSecrets) {
      if (!draft.secrets.has(name)) await deleteSecret(this.#tx, placeOf(name), name);
    }
  }

  async #secretsDiffer(id: number, draft: MailboxDraft): Promise<boolean> {
    const placeOf = (await secretPlaces(this.#tx, [id])).get(id)!;
    const stored = (name: string) => readSecret(this.#tx, this.#context.keys, placeOf(name), name);
    for (const [name, value] of draft.secrets) if ((await stored(name)) !== value) return true;
    for (const name of draft.clearSecrets) {
      if (!draft.secrets.has(name) && (await stored(name)) !== null) return true;
    }
    return false;
  }

  async #audit(action: string, id: number, change: object): Promise<void> {
    await writeAudit(this.#tx, { actor: this.#actor, action, entity: 'mailbox', entityId: id, change });
  }
}

function overlaps(others: Mailbox[], mailbox: Mailbox): string[] {
  return others.flatMap(({ id, settings }) => {
    const shared = settings.folders.filter((folder) => mailbox.settings.folders.includes(folder));
    if (shared.length === 0) return [];
    return [`Mailbox ${id} reads ${shared.join(', ')} of the same account: its mail arrives twice.`];
  });
}

function isSameAccount(a: Mailbox, b: Mailbox): boolean {
  const [left, right] = [a.settings.server, b.settings.server];
  return (
    a.kind === b.kind &&
    left.host.toLowerCase() === right.host.toLowerCase() &&
    left.port === right.port &&
    left.user === right.user
  );
}

/** Clients repeat a request whose answer they did not get; a mailbox must not be polled twice because of that. */
function isRepeat(known: Mailbox, draft: Mailbox): boolean {
  const comparable = (mailbox: Mailbox): unknown => ({
    ...viewSettings(mailbox),
    id: 0,
    penstock: { ...(viewSettings(mailbox).penstock as object), first_sync_since: null },
  });
  return isDeepStrictEqual(comparable(known), comparable(draft));
}

/** What changed, field by field, as [before, after]. */
function differences(
  before: Record<string, unknown>,
  after: Record<string, unknown>,
): Record<string, [unknown, unknown]> {
  const changed = Object.keys(after).filter((name) => !isDeepStrictEqual(before[name], after[name]));
  return Object.fromEntries(changed.map((name) => [name, [before[name], after[name]]]));
}

/** What a person may not have meant; after an update only what it brought about. */
function remarks(mailbox: Mailbox, before: Mailbox | null): string[] {
  const { after, afterFolder, server } = mailbox.settings;
  const was = before?.settings;
  const found: string[] = [];
  if (after === 'move' && (was?.after !== 'move' || was.afterFolder !== afterFolder)) {
    const where = afterFolder === DELETED_ITEMS ? "the server's deleted items" : `the folder ${afterFolder}`;
    found.push(`Processed mail is moved to ${where}; imapleavemailininbox or penstock.after changes that.`);
  }
  if (after === 'delete' && was?.after !== 'delete') found.push('Processed mail is deleted from the server.');
  if (server.tls === 'none' && was?.server.tls !== 'none') {
    found.push('TLS is off: the password travels readable.');
  }
  if (!server.tlsVerify && server.tls !== 'none' && was?.server.tlsVerify !== false) {
    found.push('Any certificate is accepted: whoever sits between can read the password.');
  }
  if (before === null && !mailbox.enabled) found.push('The mailbox is not enabled, so it is not polled.');
  return found;
}

async function transactionTime(tx: Tx): Promise<Date> {
  const { rows } = await sql<{ now: Date }>`select now() as now`.execute(tx);
  return rows[0]!.now;
}
