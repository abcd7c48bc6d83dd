/**
 * Carries out what becomes of messages on the server. Each is looked for first: after a crash a move may have been made
 * already, and what somebody else has moved elsewhere is theirs.
 */
import { fail, type PenstockError } from '../../errors.ts';
import type { Disposed, Disposition } from '../source.ts';
import type { GraphClient } from './client.ts';
import { ensureFolder, type FoundFolder } from './folders.ts';
import { getMessage, messagePath } from './listed.ts';
import { inParallel } from './parallel.ts';
import type { GraphMessage } from './types.ts';

/** Disposes of messages of a folder, a few at a time. Fails as a whole when Graph cannot be asked. */
export async function disposeOf(
  client: GraphClient,
  folder: FoundFolder,
  keys: readonly string[],
  what: Disposition,
  target: string | null,
): Promise<Map<string, Disposed>> {
  const results = new Map<string, Disposed>();
  if (what === 'leave' || keys.length === 0) {
    for (const key of keys) results.set(key, 'done');
    return results;
  }
  const destination = what === 'move' ? await destinationOf(client, folder, target) : null;
  let refused = destination instanceof Error ? destination : null;
  const disposeOne = async (key: string): Promise<[string, Disposed]> => {
    if (refused) return [key, refused];
    try {
      return [key, await dispose(client, folder, key, what, destination as FoundFolder | null)];
    } catch (thrown) {
      const error = thrown as PenstockError;
      // Without the permission it is no use to ask for the others.
      if (error.code === 'permission_denied') refused = error;
      else if (error.code !== 'server_protocol' && error.code !== 'folder_missing') throw error;
      return [key, error];
    }
  };
  for await (const [key, result] of inParallel(keys, client.options.concurrency, disposeOne))
    results.set(key, result);
  return results;
}

/** The folder to move to, made when it is missing; or why nothing can be moved. */
async function destinationOf(
  client: GraphClient,
  folder: FoundFolder,
  target: string | null,
): Promise<FoundFolder | PenstockError> {
  if (!target) return fail('config_invalid', 'A move needs a target folder');
  try {
    const found = await ensureFolder(client, target);
    if (found.id !== folder.id) return found;
    return fail('config_invalid', 'The target folder is the folder itself', { folder: target });
  } catch (error) {
    const { code } = error as PenstockError;
    if (code === 'permission_denied' || code === 'server_protocol') return error as PenstockError;
    throw error;
  }
}

async function dispose(
  client: GraphClient,
  folder: FoundFolder,
  key: string,
  what: Exclude<Disposition, 'leave'>,
  target: FoundFolder | null,
): Promise<Disposed> {
  const message = await getMessage(client, key, '$select=id,parentFolderId,isRead');
  if (message === null || message.parentFolderId !== folder.id) return 'gone';
  try {
    if (what === 'seen') await markSeen(client, key, message);
    else if (what === 'move') await move(client, key, target as FoundFolder);
    // To the folder for items that can be recovered, where the owner or an administrator finds it for some time.
    else await client.json(messagePath(client, key), { what: 'delete', method: 'DELETE' });
    return 'done';
  } catch (error) {
    if ((error as PenstockError).code === 'message_gone') return 'gone';
    throw error;
  }
}

async function markSeen(client: GraphClient, key: string, { isRead }: GraphMessage): Promise<void> {
  if (isRead) return;
  const ask = { what: 'mark as read', method: 'PATCH', body: { isRead: true } } as const;
  const { isRead: marked } = (await client.json(messagePath(client, key), ask)) as GraphMessage;
  if (!marked) throw fail('server_protocol', 'The server did not mark the message as read');
}

async function move(client: GraphClient, key: string, target: FoundFolder): Promise<void> {
  const ask = { what: 'move', method: 'POST', body: { destinationId: target.id } } as const;
  // The answer is the message where it is now; its immutable id is what it was.
  const { parentFolderId } = (await client.json(`${messagePath(client, key)}/move`, ask)) as GraphMessage;
  if (parentFolderId !== target.id) throw fail('server_protocol', 'The server did not move the message');
}
