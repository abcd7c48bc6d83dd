/** The settings that decide outcomes, by mailbox; read again every few seconds. */
import type { Runtime } from '../runtime.ts';
import type { SourceKind } from '../source/source.ts';
import { readControl } from '../store/control.ts';
import { listMailboxes, type Mailbox } from '../store/mailboxes.ts';
import { listSites, type Site } from '../store/sites.ts';
import type { Control } from '../ticket/control.ts';
import { type ProcessingPolicy, processingPolicy } from './policy.ts';

const CHECK_MS = 5_000;

export class PolicyCache {
  readonly #runtime: Runtime;
  #mailboxes = new Map<number, Mailbox>();
  #sites: readonly Site[] = [];
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
      this.#control = await readControl(this.#runtime.db);
      this.#mailboxes = new Map(mailboxes.map((mailbox) => [mailbox.id, mailbox]));
    }
    return processingPolicy(
      this.#mailboxes.get(mailboxId)!,
      this.#mailboxes,
      this.#runtime.config.mail,
      this.#sites,
      this.#control,
    );
  }

  /** For the name of a job only, so an unknown mailbox does no harm. */
  kindOf(mailboxId: number): SourceKind {
    return this.#mailboxes.get(mailboxId)?.kind ?? 'imap';
  }
}
