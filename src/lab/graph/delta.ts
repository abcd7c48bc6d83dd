/**
 * Delta queries: rounds of pages over what changed in a folder. Tokens are kept here, so that they can be made to die,
 * as they do on a real server. How it repeats itself, and how empty its pages are, is set by the script.
 */
import { randomBytes } from 'node:crypto';
import { GraphFault } from './answer.ts';
import { messageEntity, removedEntity, select, sizeProperty } from './entities.ts';
import type { LabFolder, LabMailbox, LabMessage, Tombstone } from './mail-store.ts';
import type { Query } from './query.ts';

export interface DeltaScript {
  /** Items of the page before that each page, and each round, begins with. */
  repeats: number;
  /** Empty pages with a next link before each page with items. */
  emptyPages: number;
  /** The last page of a round is one without items. */
  lastIsEmpty: boolean;
  /** Whether `$expand` is taken; a server of an older make says no. */
  expands: boolean;
}

interface TokenState {
  kind: 'skip' | 'delta';
  folder: LabFolder;
  /** What was listed: changes up to this version of the folder. */
  after: number;
  /** What the round began with; 0 for the first one. */
  roundAfter: number;
  emptiesGiven: number;
  select: string[] | null;
  withSize: boolean;
}

const DEFAULT_PAGE = 10;

export class DeltaTokens {
  readonly script: DeltaScript = { repeats: 0, emptyPages: 0, lastIsEmpty: false, expands: true };
  readonly #tokens = new Map<string, TokenState>();

  /** Makes all tokens of these kinds unknown. */
  expire(kinds: readonly ('skip' | 'delta')[] = ['skip', 'delta']): void {
    for (const [token, { kind }] of this.#tokens) if (kinds.includes(kind)) this.#tokens.delete(token);
  }

  /** One page. `link` makes a link of a query string. */
  page(
    mailbox: LabMailbox,
    folder: LabFolder,
    query: Query,
    {
      pageSize,
      immutable,
      link,
    }: { pageSize: number | null; immutable: boolean; link(query: string): string },
  ): Record<string, unknown> {
    const state = this.#stateOf(folder, query);
    const size = pageSize ?? query.top ?? DEFAULT_PAGE;
    const changes = changesAfter(folder, state);
    const { emptyPages, lastIsEmpty, repeats } = this.script;
    const mustBeEmpty = changes.length > 0 && state.emptiesGiven < emptyPages;
    const taken = mustBeEmpty ? [] : changes.slice(0, size);
    const isMore = taken.length < changes.length || (lastIsEmpty && taken.length > 0);
    const after = isMore ? (taken.at(-1)?.version ?? state.after) : folder.version;
    const repeated = mustBeEmpty || repeats === 0 ? [] : listedBefore(folder, state.after).slice(-repeats);
    const value = [...repeated, ...taken].map((change) => this.#entity(change, state, immutable));
    const emptiesGiven = mustBeEmpty ? state.emptiesGiven + 1 : 0;
    const next = isMore
      ? this.#tokenFor({ ...state, kind: 'skip', after, emptiesGiven })
      : this.#tokenFor({ ...state, kind: 'delta', after, roundAfter: after, emptiesGiven: 0 });
    const context = link('').replace(
      /\/users.*$/,
      `/$metadata#users('${mailbox.objectId}')/mailFolders/messages`,
    );
    return {
      '@odata.context': context,
      value,
      ...(isMore
        ? { '@odata.nextLink': link(`$skiptoken=${next}`) }
        : { '@odata.deltaLink': link(`$deltatoken=${next}`) }),
    };
  }

  #stateOf(folder: LabFolder, query: Query): TokenState {
    const token = query.skipToken ?? query.deltaToken;
    if (token === null) {
      if (query.withSize && !this.script.expands) {
        throw new GraphFault(400, 'ErrorInvalidUrlQuery', '$expand is not supported with delta');
      }
      const { select: names, withSize } = query;
      return { kind: 'skip', folder, after: 0, roundAfter: 0, emptiesGiven: 0, select: names, withSize };
    }
    const state = this.#tokens.get(token);
    if (state?.folder === folder) return state;
    const location = { Location: '?$deltatoken=' };
    throw new GraphFault(410, 'syncStateNotFound', 'The sync state generation is not found.', location);
  }

  #tokenFor(state: TokenState): string {
    const token = randomBytes(30).toString('base64url');
    this.#tokens.set(token, state);
    return token;
  }

  #entity(change: LabMessage | Tombstone, state: TokenState, immutable: boolean): Record<string, unknown> {
    if (!('content' in change)) return removedEntity(change, immutable);
    const etag = { '@odata.type': '#microsoft.graph.message', '@odata.etag': `W/"${change.changeKey}"` };
    const entity = select({ ...etag, ...messageEntity(change, immutable) }, state.select);
    return state.withSize ? { ...entity, singleValueExtendedProperties: [sizeProperty(change)] } : entity;
  }
}

/** What changed in the folder, in the order of the changes. A first round has no use for what has left. */
function changesAfter(folder: LabFolder, { after, roundAfter }: TokenState): (LabMessage | Tombstone)[] {
  const gone = roundAfter === 0 ? [] : folder.tombstones;
  return [...folder.messages, ...gone]
    .filter(({ version }) => version > after)
    .sort((left, right) => left.version - right.version);
}

function listedBefore(folder: LabFolder, after: number): LabMessage[] {
  return folder.messages
    .filter(({ version }) => version <= after)
    .sort((left, right) => left.version - right.version);
}
