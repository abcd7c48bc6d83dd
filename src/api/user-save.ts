/** Saves posted users: an import can be repeated, because a user is found by its address. */
import { isDeepStrictEqual } from 'node:util';
import { fail } from '../errors.ts';
import { writeAudit } from '../store/audit-log.ts';
import type { Tx } from '../store/database.ts';
import { siteName } from '../store/sites.ts';
import { lockUser, lockUserAt, saveUser, type User } from '../store/users.ts';
import { draftUser, viewUser } from './halo/user.ts';
import type { UserItem } from './halo/user-fields.ts';
import { invalid } from './http/problem.ts';

/** Fails with `validation_failed`, `not_found` or `conflict`. */
export async function saveUserItem(tx: Tx, item: UserItem, actor: string): Promise<UserItem> {
  const known = item.id ? await lockUser(tx, item.id) : null;
  if (item.id && known === null) throw fail('not_found', `There is no user ${item.id}.`);
  const draft = draftUser(item, known);
  const atAddress = known?.address === draft.address ? known : await lockUserAt(tx, draft.address);
  if (known !== null && atAddress !== null && atAddress.id !== known.id) {
    throw fail('conflict', `User ${atAddress.id} has the address ${draft.address}.`, {
      field: 'emailaddress',
    });
  }
  const current = known ?? atAddress;
  const { user, warning } =
    current === null
      ? await create(tx, item, draft, actor)
      : await update(tx, item, current, actor, known === null);
  const shown = viewUser(
    { ...user, siteName: await siteName(tx, user.siteId) },
    { notes: true, customFields: 'all' },
  );
  return { ...shown, _warning: warning };
}

interface Saved {
  user: User;
  warning: string | null;
}

async function create(tx: Tx, item: UserItem, draft: User, actor: string): Promise<Saved> {
  const user = await saveUser(tx, draft);
  if (user === null) {
    // Another request made it between our look and now; its row is there since its commit.
    const other = await lockUserAt(tx, draft.address);
    if (other === null) throw invalid('emailaddress', 'is taken');
    return await update(tx, item, other, actor, true);
  }
  await writeAudit(tx, {
    actor,
    action: 'create',
    entity: 'user',
    entityId: user.id,
    change: { after: user },
  });
  return { user, warning: null };
}

async function update(
  tx: Tx,
  item: UserItem,
  current: User,
  actor: string,
  byAddress: boolean,
): Promise<Saved> {
  const draft = draftUser(item, current);
  const warning = byAddress ? `User ${current.id} has this address, so no second one was made.` : null;
  if (isDeepStrictEqual(draft, current)) return { user: current, warning };
  const user = await saveUser(tx, draft);
  const change = { before: current, after: draft };
  await writeAudit(tx, { actor, action: 'update', entity: 'user', entityId: current.id, change });
  return { user: user!, warning };
}
