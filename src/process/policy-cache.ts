/** The settings that decide outcomes, by mailbox; read again every few seconds. */
import type { Runtime } from '../runtime.ts';
import type { SourceKind } from '../source/source.ts';
import { readControl } from '../store/control.ts';
import { type FormattedEmail, listFormattedEmails } from '../store/formatted-emails.ts';
import { listMailboxes, type Mailbox } from '../store/mailboxes.ts';
import { replyKeys } from '../store/reply-keys.ts';
import { listSites, type Site } from '../store/sites.ts';
import type { Control } from '../ticket/control.ts';
import { LABELLED_FIELDS, type LabelSet } from '../ticket/formatted-mail.ts';
import { type ProcessingPolicy, processingPolicy } from './policy.ts';

const CHECK_MS = 5_000;

export class PolicyCache {
  readonly #runtime: Runtime;
  #mailboxes = new Map<number, Mailbox>();
  #sites: readonly Site[] = [];
  #labelSets: readonly LabelSet[] = [];
  #tokenKeys: readonly Uint8Array[] = [];
  #control: Control = {};
  #checkedAt = Number.NEGATIVE_INFINITY;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  invalidate(): void {
    this.#checkedAt = Number.NEGATIVE_INFINITY;
  }

  async of(mailboxId: number): Promise<ProcessingPolicy> {
    if (performance.now() - this.#checkedAt > CHECK_MS || !this.#mailboxes.has(mailboxId)) {
      this.#checkedAt = performance.now();
      const mailboxes = await listMailboxes(this.#runtime.db, { removed: true });
      this.#sites = await listSites(this.#runtime.db);
      this.#labelSets = labelSets(await listFormattedEmails(this.#runtime.db));
      // The same as long as the installation is.
      if (this.#tokenKeys.length === 0)
        this.#tokenKeys = await replyKeys(this.#runtime.db, this.#runtime.keys);
      this.#control = await readControl(this.#runtime.db);
      this.#mailboxes = new Map(mailboxes.map((mailbox) => [mailbox.id, mailbox]));
    }
    return processingPolicy(
      this.#mailboxes.get(mailboxId)!,
      this.#mailboxes,
      this.#runtime.config.mail,
      this.#sites,
      this.#tokenKeys,
      this.#labelSets,
      this.#control,
    );
  }

  /** For the name of a job only, so an unknown mailbox does no harm. */
  kindOf(mailboxId: number): SourceKind {
    return this.#mailboxes.get(mailboxId)?.kind ?? 'imap';
  }
}

function labelSets(all: readonly FormattedEmail[]): LabelSet[] {
  return all
    .filter(({ use }) => use === 'labels')
    .map(({ id, labels }) => ({
      id,
      labels: new Map(
        LABELLED_FIELDS.flatMap((field) => (labels[field] ? [[field, labels[field]] as const] : [])),
      ),
    }));
}
