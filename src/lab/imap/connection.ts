/** One client connection of the lab server: its state, and its view of the open folder. */
import type { Folder, MailStore, StoredMessage } from '../mail-store.ts';
import { lowerBound } from '../mail-store.ts';
import { ConnectionOver, type ConnectionParts, LineConnection } from '../wire/connection.ts';
import type { Action, FaultScript, Phase } from './faults.ts';
import type { Candidate } from './search.ts';
import { parseSequenceSet } from './sequence-set.ts';

const APPEND_BYTES = 64 * 1024 * 1024;

/** The answer to a command: `tag STATUS text`. */
export interface Reply {
  status: 'OK' | 'NO' | 'BAD';
  text: string;
}

export const ok = (text: string): Reply => ({ status: 'OK', text });
export const no = (text: string): Reply => ({ status: 'NO', text });
export const bad = (text: string): Reply => ({ status: 'BAD', text });

/** The open folder as this client knows it: messages keep their number until the client is told otherwise. */
export interface Selected {
  folder: Folder;
  view: StoredMessage[];
  version: number;
  readOnly: boolean;
}

/** What the connections of one server share. */
interface ConnectionHost {
  store: MailStore;
  faults: FaultScript;
  capabilities: ReadonlySet<string>;
}

export class Connection extends LineConnection {
  readonly store: MailStore;
  readonly faults: FaultScript;
  readonly capabilities: ReadonlySet<string>;
  selected: Selected | null = null;

  constructor(parts: ConnectionParts, { store, faults, capabilities }: ConnectionHost) {
    super(parts, APPEND_BYTES);
    this.store = store;
    this.faults = faults;
    this.capabilities = capabilities;
  }

  /** Commits the fault of this phase, if there is one. A reply means: answer with it and do nothing else. */
  async strike(phase: Phase, concerns?: (uid: number) => boolean): Promise<Reply | null> {
    const action = this.faults.forCommand(phase, this.user?.name ?? null, concerns);
    return action ? await this.#commit(action) : null;
  }

  async #commit(action: Action): Promise<Reply | null> {
    switch (action.do) {
      case 'bye':
        this.output.line(`* BYE ${action.text}`);
        await this.output.flush();
        this.socket.end();
        throw new ConnectionOver();
      case 'no':
        return no(action.text);
      case 'bad':
        return bad(action.text);
      case 'pretend':
        return ok('Done');
      default:
        await this.commitWire(action);
        return null;
    }
  }

  select(folder: Folder, readOnly: boolean): Selected {
    this.selected = { folder, view: [...folder.messages], version: folder.version, readOnly };
    return this.selected;
  }

  /** Tells the client what changed in the open folder since the last time (RFC 9051 section 5.2). */
  reportChanges(): void {
    const { selected } = this;
    if (!selected || selected.version === selected.folder.version) return;
    for (let index = selected.view.length - 1; index >= 0; index -= 1) {
      if (!selected.view[index]?.expunged) continue;
      selected.view.splice(index, 1);
      this.output.line(`* ${index + 1} EXPUNGE`);
    }
    const known = selected.view.length;
    selected.view = [...selected.folder.messages];
    selected.version = selected.folder.version;
    if (selected.view.length !== known) this.output.line(`* ${selected.view.length} EXISTS`);
  }

  /** The messages of a set, ascending. Null when the set is malformed; UIDs that are not there are left out. */
  resolve(set: string, byUid: boolean): Candidate[] | null {
    const view = this.selected?.view ?? [];
    const last = byUid ? (view.at(-1)?.uid ?? 0) : view.length;
    const ranges = parseSequenceSet(set, last);
    if (!ranges) return null;
    const chosen = new Set<number>();
    for (const [low, high] of ranges) {
      if (!byUid && (low < 1 || high > view.length)) return null;
      const from = byUid ? lowerBound(view, low) : low - 1;
      const to = byUid ? lowerBound(view, high + 1) : high;
      for (let index = from; index < to; index += 1) chosen.add(index);
    }
    return [...chosen]
      .sort((left, right) => left - right)
      .map((index) => ({ message: view[index] as StoredMessage, sequence: index + 1 }));
  }
}
