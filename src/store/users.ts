/** Users, as Halo calls those who write to us: the rows of `requester` that people and programs keep. */
import type { Database, Tx } from './database.ts';
import type { Tables } from './tables.ts';

export interface User {
  id: number;
  name: string;
  firstName: string;
  surname: string;
  address: string;
  alternativeAddresses: string[];
  login: string;
  siteId: number;
  clientId: number;
  organisationId: number;
  departmentId: number;
  toplevelId: number;
  /** 0 = the user is no agent. */
  linkedAgentId: number;
  relationshipId: number;
  linkedUserId: number;
  isApprover: boolean;
  isServiceAccount: boolean;
  inactive: boolean;
  roleList: string;
  azureId: string;
  oktaId: string;
  /** Fields that are only kept, by Halo's name. */
  halo: Record<string, unknown>;
}

export const USER_COLUMNS = [
  'requester.id',
  'requester.name',
  'requester.first_name as firstName',
  'requester.surname',
  'requester.address',
  'requester.alternative_addresses as alternativeAddresses',
  'requester.login',
  'requester.site_id as siteId',
  'requester.client_id as clientId',
  'requester.organisation_id as organisationId',
  'requester.department_id as departmentId',
  'requester.toplevel_id as toplevelId',
  'requester.linked_agent_id as linkedAgentId',
  'requester.relationship_id as relationshipId',
  'requester.linked_user_id as linkedUserId',
  'requester.is_approver as isApprover',
  'requester.is_service_account as isServiceAccount',
  'requester.inactive',
  'requester.role_list as roleList',
  'requester.azure_id as azureId',
  'requester.okta_id as oktaId',
  'requester.halo',
] as const;

export async function findUser(db: Database | Tx, id: number): Promise<User | null> {
  const query = db.selectFrom('requester').select(USER_COLUMNS).where('id', '=', id);
  return (await query.executeTakeFirst()) ?? null;
}

/** The user with this first address, whatever its case. Locks the row. */
export async function lockUserAt(tx: Tx, address: string): Promise<User | null> {
  const query = tx
    .selectFrom('requester')
    .select(USER_COLUMNS)
    .where((eb) => eb(eb.fn('lower', ['address']), '=', eb.fn('lower', [eb.val(address)])))
    .forUpdate();
  return (await query.executeTakeFirst()) ?? null;
}

export async function lockUser(tx: Tx, id: number): Promise<User | null> {
  const query = tx.selectFrom('requester').select(USER_COLUMNS).where('id', '=', id).forUpdate();
  return (await query.executeTakeFirst()) ?? null;
}

/**
 * Creates (id 0) or updates a user. Null when another user has the address: for a create that is one that was made
 * meanwhile, and it is locked now.
 */
export async function saveUser(tx: Tx, user: User): Promise<User | null> {
  const columns = columnsOf(user);
  if (user.id !== 0) {
    await tx
      .updateTable('requester')
      .set({ ...columns, updated_at: new Date() })
      .where('id', '=', user.id)
      .execute();
    return user;
  }
  const row = await tx
    .insertInto('requester')
    .values(columns)
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
    .executeTakeFirst();
  return row === undefined ? null : { ...user, id: row.id };
}

function columnsOf(user: User) {
  return {
    name: user.name,
    first_name: user.firstName,
    surname: user.surname,
    address: user.address,
    alternative_addresses: user.alternativeAddresses,
    login: user.login,
    site_id: user.siteId,
    client_id: user.clientId,
    organisation_id: user.organisationId,
    department_id: user.departmentId,
    toplevel_id: user.toplevelId,
    linked_agent_id: user.linkedAgentId,
    relationship_id: user.relationshipId,
    linked_user_id: user.linkedUserId,
    is_agent: user.linkedAgentId > 0,
    is_approver: user.isApprover,
    is_service_account: user.isServiceAccount,
    inactive: user.inactive,
    role_list: user.roleList,
    azure_id: user.azureId,
    okta_id: user.oktaId,
    halo: JSON.stringify(user.halo),
  } satisfies Partial<Record<keyof Tables['requester'], unknown>>;
}
