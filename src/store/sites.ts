/** Sites: where requesters belong. */
import type { SiteAddresses } from '../ticket/site.ts';
import type { Database, Tx } from './database.ts';
import { notify } from './notify.ts';

export interface Site extends SiteAddresses {
  name: string;
  clientId: number;
}

export async function listSites(db: Database | Tx): Promise<Site[]> {
  return await db
    .selectFrom('site')
    .select([
      'id',
      'name',
      'client_id as clientId',
      'email_domains as emailDomains',
      'to_domains as toDomains',
    ])
    .orderBy('id')
    .execute();
}

/** Name of a site; null when there is none with this id. */
export async function siteName(db: Database | Tx, id: number): Promise<string | null> {
  if (id === 0) return null;
  const row = await db.selectFrom('site').select('name').where('id', '=', id).executeTakeFirst();
  return row?.name ?? null;
}

/** Creates (id 0) or replaces a site; null when there is none with this id. */
export async function saveSite(tx: Tx, site: Site): Promise<Site | null> {
  const columns = {
    name: site.name,
    client_id: site.clientId,
    email_domains: [...site.emailDomains],
    to_domains: [...site.toDomains],
  };
  const row =
    site.id === 0
      ? await tx.insertInto('site').values(columns).returning('id').executeTakeFirst()
      : await tx
          .updateTable('site')
          .set(columns)
          .where('id', '=', site.id)
          .returning('id')
          .executeTakeFirst();
  await notify(tx, 'mailboxes');
  return row === undefined ? null : { ...site, id: row.id };
}

/** Requesters keep the number of a site that is gone. */
export async function deleteSite(tx: Tx, id: number): Promise<void> {
  await tx.deleteFrom('site').where('id', '=', id).execute();
  await notify(tx, 'mailboxes');
}
