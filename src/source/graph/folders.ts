/** Finds folders by the names that people give them, and makes them. */
import { fail, type PenstockError } from '../../errors.ts';
import type { GraphClient } from './client.ts';
import type { GraphFolder, GraphPage } from './types.ts';

export interface FoundFolder {
  id: string;
  /** As the server spells it, whatever case was asked for. */
  path: string;
  count: number;
}

const SELECT = '$select=id,displayName,totalItemCount';
/** Names that mean a folder in every language (mailFolder resource type). Others exist, and are of no use here. */
const WELL_KNOWN = new Set([
  'inbox',
  'archive',
  'deleteditems',
  'drafts',
  'junkemail',
  'sentitems',
  'outbox',
]);
/** Uses of folders as IMAP names them (RFC 6154), so that a setting means the same for every kind of mailbox. */
const BY_USE: ReadonlyMap<string, string> = new Map([
  ['\\trash', 'deleteditems'],
  ['\\archive', 'archive'],
  ['\\junk', 'junkemail'],
  ['\\sent', 'sentitems'],
  ['\\drafts', 'drafts'],
]);

/**
 * The folder of a path: display names joined by `/`, the first of which may be a well-known name, or a use such as
 * `\Trash`. `INBOX` is the inbox whatever it is called. Fails with `folder_missing`.
 */
export async function findFolder(client: GraphClient, path: string): Promise<FoundFolder> {
  const found = await lookUp(client, path);
  if (found.missing.length === 0) return found.folder as FoundFolder;
  throw fail('folder_missing', `There is no folder "${path}" in the mailbox`, { folder: path });
}

/** The same, but makes what is missing of the path. */
export async function ensureFolder(client: GraphClient, path: string): Promise<FoundFolder> {
  const { folder, missing } = await lookUp(client, path);
  let parent = folder;
  for (const name of missing) parent = await createFolder(client, parent, name);
  return parent as FoundFolder;
}

/** Names of the folders at the top, for advice. */
export async function topFolders(client: GraphClient): Promise<string[]> {
  const path = `${client.mailbox('/mailFolders')}?${SELECT}&$top=50`;
  const { value = [] } = (await client.json(path, { what: 'list folders' })) as GraphPage<GraphFolder>;
  return value.flatMap(({ displayName }) => displayName ?? []);
}

/** Follows the path as far as it exists; `folder` is where it ends, null when nothing of it does. */
async function lookUp(
  client: GraphClient,
  path: string,
): Promise<{ folder: FoundFolder | null; missing: string[] }> {
  const names = path.split('/').filter((name) => name !== '');
  const [first = ''] = names;
  let folder: FoundFolder | null = null;
  for (const [index, name] of names.entries()) {
    const next: FoundFolder | null =
      index === 0 ? await findTop(client, first) : await findChild(client, folder, name);
    if (next === null) return { folder, missing: names.slice(index) };
    folder = next;
  }
  return { folder, missing: folder === null ? [path] : [] };
}

async function findTop(client: GraphClient, name: string): Promise<FoundFolder | null> {
  const lower = name.toLowerCase();
  if (lower === 'inbox') return await wellKnown(client, 'inbox', 'INBOX');
  const use = BY_USE.get(lower);
  if (use !== undefined) return await wellKnown(client, use, name);
  // A folder that somebody has called "Archive" is what its owner means by that.
  const named = await findChild(client, null, name);
  if (named !== null || !WELL_KNOWN.has(lower)) return named;
  return await wellKnown(client, lower, lower);
}

async function wellKnown(client: GraphClient, name: string, path: string): Promise<FoundFolder | null> {
  try {
    const folder = await client.json(`${client.mailbox(`/mailFolders/${name}`)}?${SELECT}`, {
      what: 'get folder',
    });
    return foundFolder(folder as GraphFolder, path);
  } catch (error) {
    // Some mailboxes have no archive folder yet.
    const { code } = error as PenstockError;
    if (code === 'folder_missing' || code === 'message_gone') return null;
    throw error;
  }
}

async function findChild(
  client: GraphClient,
  parent: FoundFolder | null,
  name: string,
): Promise<FoundFolder | null> {
  const filter = encodeURIComponent(`displayName eq '${name.replaceAll("'", "''")}'`);
  const path = `${children(client, parent)}?${SELECT}&$filter=${filter}`;
  const { value } = (await client.json(path, { what: 'find folder' })) as GraphPage<GraphFolder>;
  const [folder] = value ?? [];
  return folder === undefined ? null : foundFolder(folder, pathOf(parent, folder.displayName ?? name));
}

async function createFolder(
  client: GraphClient,
  parent: FoundFolder | null,
  name: string,
): Promise<FoundFolder> {
  try {
    const ask = { what: 'create folder', method: 'POST', body: { displayName: name } } as const;
    const folder = (await client.json(children(client, parent), ask)) as GraphFolder;
    return foundFolder(folder, pathOf(parent, name));
  } catch (error) {
    // Somebody else was quicker, or the answer to our own first attempt was lost.
    const there = (error as PenstockError).fields?.graphCode === 'ErrorFolderExists';
    const folder = there ? await findChild(client, parent, name) : null;
    if (folder === null) throw error;
    return folder;
  }
}

function children(client: GraphClient, parent: FoundFolder | null): string {
  if (parent === null) return client.mailbox('/mailFolders');
  return client.mailbox(`/mailFolders/${encodeURIComponent(parent.id)}/childFolders`);
}

function pathOf(parent: FoundFolder | null, name: string): string {
  return parent === null ? name : `${parent.path}/${name}`;
}

function foundFolder({ id, totalItemCount }: GraphFolder, path: string): FoundFolder {
  if (id === undefined)
    throw fail('server_protocol', 'The server gave a folder without an id', { folder: path });
  return { id, path, count: totalItemCount ?? 0 };
}
