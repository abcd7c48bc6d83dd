/** A folder in the middle of a pass, as the steps of the pass see it. */
import type { Changes, FolderView, Listed, Page, Session } from '../source/source.ts';
import type { Folder } from '../store/folders.ts';
import type { IntakeItem } from '../store/intake.ts';
import type { HeldMailbox, IntakeContext } from './context.ts';
import type { FetchFailure } from './fetch.ts';

/** What a pass may be told by the poller. */
export interface PassOptions {
  /** Ends the pass between two batches. */
  signal: AbortSignal;
  /** Told after every step that reached the server or the database. */
  onProgress(): void;
  /**
   * Take messages one at a time, counting each attempt first: after a crash or a session that died on the same
   * page twice, one of them may be the reason.
   */
  careful: boolean;
}

/** A listing whose cursor holds. */
export type Listing = Extract<Changes, { lost: false }>;

export interface FolderPass {
  readonly context: IntakeContext;
  readonly held: HeldMailbox;
  readonly session: Session;
  readonly options: PassOptions;
  readonly folder: Folder;
  readonly view: FolderView;
  readonly added: number;
  /** Known messages that got a new key. */
  rebound: number;
  /** Lists the folder from its cursor on. When that is void a repair begins, from the start of the folder. */
  list(): Promise<Listing>;
  /** Those that the ledger does not have yet. */
  unknown(items: readonly Listed[]): Promise<Listed[]>;
  /** Goes through a listing: fetch of one page and commit of the one before run side by side. */
  takePages(changes: Listing, take: (page: Page) => Promise<IntakeItem[]>): Promise<void>;
  /** Commits items, then enqueues what is new. `cursor` moves the folder on with them. */
  commit(items: IntakeItem[], cursor: string | null): Promise<void>;
  /** Bytes for listed messages, or the reason why there are none. */
  fetch(items: readonly Listed[], attempts?: number): Promise<IntakeItem[]>;
  fetchFailed(failure: FetchFailure): void;
}
