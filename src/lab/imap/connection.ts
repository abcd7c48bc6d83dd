/** One client connection of the lab server: its state, its view of the open folder, and how it ends. */
import type { Socket } from 'node:net';
import type { Folder, MailStore, StoredMessage, User } from '../mail-store.ts';
import { lowerBound } from '../mail-store.ts';
import type { Output } from '../output.ts';
import type { CommandReader } from './command-reader.ts';
import type { Action, FaultScript, Phase } from './faults.ts';
import type { Candidate } from './search.ts';
import { parseSequenceSet } from './sequence-set.ts';

/** Thrown to end a connection from anywhere in a command. */
export class ConnectionOver extends Error {}

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

export class Connection {
  readonly id: number;
  readonly store: MailStore;
  readonly faults: FaultScript;
  readonly capabilities: ReadonlySet<string>;
  socket: Socket;
  reader: CommandReader;
  readonly output: Output;
  user: User | null = null;
  selected: Selected | null = null;
  secure: boolean;

  constructor(parts: {
    id: number;
    store: MailStore;
    faults: FaultScript;
    capabilities: ReadonlySet<string>;
    socket: Socket;
    reader: CommandReader;
    output: Output;
    secure: boolean;
  }) {
    this.id = parts.id;
    this.store = parts.store;
    this.faults = parts.faults;
    this.capabilities = parts.capabilities;
    this.socket = parts.socket;
    this.reader = parts.reader;
    this.output = parts.output;
    this.secure = parts.secure;
  }

  /** Commits the fault of this phase, if there is one. A reply means: answer with it and do nothing else. */
  async strike(phase: Phase, concerns?: (uid: number) => boolean): Promise<Reply | null> {
    const action = this.faults.forCommand(phase, this.user?.name ?? null, concerns);
    return action ? this.commit(action) : null;
  }

  async commit(action: Action): Promise<Reply | null> {
    switch (action.do) {
      case 'hang':
        await this.output.flush();
        return this.hang();
      case 'reset':
        this.socket.resetAndDestroy();
        throw new ConnectionOver();
      case 'drop':
        this.socket.destroy();
        throw new ConnectionOver();
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
      case 'wait':
        await new Promise((resolve) => setTimeout(resolve, action.ms));
        return null;
      case 'say':
        this.output.line(action.line);
        return null;
      case 'drip':
        this.output.slowDown(action.bytes, action.ms);
        return null;
      default:
        return null;
    }
  }

  /** Never answers again; ends when the client gives up. */
  async hang(): Promise<never> {
    if (!this.socket.destroyed)
      await new Promise<void>((resolve) => this.socket.once('close', () => resolve()));
    throw new ConnectionOver();
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
