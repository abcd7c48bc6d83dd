import type { Database, Tx } from './database.ts';

/** The user that a sender was resolved to. */
export interface RequesterRow {
  id: number;
  name: string;
  first_name: string;
  surname: string;
  address: string;
  login: string;
  site_id: number;
  client_id: number;
  is_agent: boolean;
  inactive: boolean;
}

export async function findRequester(db: Database | Tx, id: number): Promise<RequesterRow | null> {
  const row = await db
    .selectFrom('requester')
    .select([
      'id',
      'name',
      'first_name',
      'surname',
      'address',
      'login',
      'site_id',
      'client_id',
      'is_agent',
      'inactive',
    ])
    .where('id', '=', id)
    .executeTakeFirst();
  return row ?? null;
}
