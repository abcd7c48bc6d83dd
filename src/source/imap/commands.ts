/**
 * The IMAP commands that the source uses, each under a deadline and with errors of ours. imapflow answers `false`
 * for much that went wrong; here that is an error with the server's reason.
 */
import type { FetchMessageObject, FetchQueryObject, ImapFlow, SearchObject } from 'imapflow';
import { fail, type PenstockError } from '../../errors.ts';
import type { FolderView } from '../source.ts';
import type { Link } from './link.ts';
import type { ImapOptions } from './options.ts';
import { uidSet } from './uid-set.ts';

export class Commands {
  readonly link: Link;
  readonly options: ImapOptions;

  constructor(link: Link, options: ImapOptions) {
    this.link = link;
    this.options = options;
  }

  /** Whether the server has a capability, by name or because IMAP4rev2 includes it (RFC 9051 appendix E). */
  has(capability: 'UIDPLUS' | 'MOVE' | 'IDLE'): boolean {
    const { capabilities } = this.link.client;
    if (capabilities.has(capability)) return true;
    return capabilities.has('IMAP4rev2') && !capabilities.has('IMAP4rev1');
  }

  async select(path: string): Promise<FolderView> {
    const opened = await this.#run('SELECT', (client) => client.mailboxOpen(path));
    if (!opened) throw this.link.refusal('SELECT');
    // Without UIDVALIDITY a UID may name another message tomorrow (RFC 9051 section 6.3.2).
    if (opened.uidValidity === undefined) {
      throw fail('server_protocol', 'The server gives no UIDVALIDITY for this folder', { folder: path });
    }
    return {
      path: opened.path,
      epoch: String(opened.uidValidity),
      count: opened.exists ?? 0,
      writable: !opened.readOnly,
    };
  }

  /** UIDs that match, ascending. */
  async search(query: SearchObject): Promise<number[]> {
    const found = await this.#run('SEARCH', (client) => client.search(query, { uid: true }));
    if (!Array.isArray(found)) throw this.link.refusal('SEARCH');
    return found;
  }

  /**
   * Answers to one UID FETCH, as they arrive. Only answers about the messages asked for are passed on: servers
   * mix in flag changes of others. The only loop over imapflow's fetch(): while it runs no other command can.
   */
  async *rows(
    uids: readonly number[],
    query: FetchQueryObject,
    rowMs: number,
  ): AsyncGenerator<FetchMessageObject> {
    const asked = new Set(uids);
    const release = this.link.acquire('FETCH');
    const iterator = this.link.client.fetch(uidSet(uids), query, { uid: true });
    try {
      for (;;) {
        const step = await this.link.within('FETCH', rowMs, () => iterator.next());
        if (step.done) return;
        if (asked.has(step.value.uid)) yield step.value;
      }
    } finally {
      // Not awaited: after a stall it settles only when imapflow has seen the socket close.
      void Promise.resolve(iterator.return(undefined)).catch(() => {});
      release();
    }
  }

  /** One row, or null when the server sent none. */
  async row(uid: number, query: FetchQueryObject, rowMs: number): Promise<FetchMessageObject | null> {
    let found: FetchMessageObject | null = null;
    for await (const row of this.rows([uid], query, rowMs)) found ??= row;
    return found;
  }

  async addFlag(uids: readonly number[], flag: string): Promise<void> {
    const options = { uid: true, silent: true };
    const done = await this.#run('STORE', (client) => client.messageFlagsAdd(uidSet(uids), [flag], options));
    if (!done) throw this.link.refusal('STORE');
  }

  /** Moves with the MOVE command. UIDs that the server says it moved; null when it does not say. */
  async move(uids: readonly number[], folder: string): Promise<ReadonlySet<number> | null> {
    const moved = await this.#run('MOVE', (client) =>
      client.messageMove(uidSet(uids), folder, { uid: true }),
    );
    if (!moved) throw this.link.refusal('MOVE');
    return moved.uidMap ? new Set(moved.uidMap.keys()) : null;
  }

  async copy(uids: readonly number[], folder: string): Promise<void> {
    const copied = await this.#run('COPY', (client) =>
      client.messageCopy(uidSet(uids), folder, { uid: true }),
    );
    if (!copied) throw this.link.refusal('COPY');
  }

  /**
   * Deletes these messages and no others. imapflow falls back to a plain EXPUNGE, which removes whatever anybody
   * marked \Deleted, so the caller must have checked for UIDPLUS; this checks again.
   */
  async deleteForGood(uids: readonly number[]): Promise<void> {
    if (!this.has('UIDPLUS'))
      throw fail('unsupported', 'The server cannot delete single messages (no UIDPLUS)');
    const done = await this.#run('EXPUNGE', (client) => client.messageDelete(uidSet(uids), { uid: true }));
    if (!done) throw this.link.refusal('EXPUNGE');
  }

  /** Creates a folder; one that exists already is as good. */
  async create(folder: string): Promise<void> {
    await this.#run('CREATE', (client) => client.mailboxCreate(folder));
  }

  async folderExists(folder: string): Promise<boolean> {
    try {
      // False: the server refuses STATUS although the folder is listed. It exists.
      await this.#run('STATUS', (client) => client.status(folder, { uidValidity: true }));
      return true;
    } catch (error) {
      if ((error as PenstockError).code === 'folder_missing') return false;
      throw error;
    }
  }

  /** The folder that the server uses for something (RFC 6154), e.g. `\Trash`; null when it names none. */
  async folderOfUse(use: string): Promise<string | null> {
    const listed = await this.#run('LIST', (client) => client.list());
    return listed.find(({ specialUse }) => specialUse?.toLowerCase() === use.toLowerCase())?.path ?? null;
  }

  async folders(): Promise<string[]> {
    const listed = await this.#run('LIST', (client) => client.list());
    return listed.filter(({ flags }) => !flags.has('\\Noselect')).map(({ path }) => path);
  }

  async noop(): Promise<void> {
    await this.#run('NOOP', (client) => client.noop());
  }

  #run<T>(command: string, call: (client: ImapFlow) => Promise<T>): Promise<T> {
    return this.link.run(command, this.options.commandMs, call);
  }
}
