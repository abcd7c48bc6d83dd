/** Users as Halo's clients see them, and what a posted one asks for. */
import type { User } from '../../store/users.ts';
import { invalid } from '../http/problem.ts';
import { KEPT_FIELDS, type UserItem } from './user-fields.ts';

const TEXTS = [
  ['name', 'name'],
  ['firstname', 'firstName'],
  ['surname', 'surname'],
  ['login', 'login'],
  ['role_list', 'roleList'],
  ['azure_id', 'azureId'],
  ['okta_id', 'oktaId'],
] as const;
const NUMBERS = [
  ['site_id', 'siteId'],
  ['client_id', 'clientId'],
  ['organisation_id', 'organisationId'],
  ['department_id', 'departmentId'],
  ['toplevel_id', 'toplevelId'],
  ['linked_agent_id', 'linkedAgentId'],
  ['linked_to_user_id', 'linkedUserId'],
  ['relationship_id', 'relationshipId'],
] as const;
const FLAGS = [
  ['isapprover', 'isApprover'],
  ['isserviceaccount', 'isServiceAccount'],
  ['inactive', 'inactive'],
] as const;

/** What lists show beside a user's own fields. */
export interface UserExtras {
  notes: boolean;
  /** Ids of custom fields; `all` for a single user. */
  customFields: readonly number[] | 'all';
}

export function viewUser(user: User & { siteName: string | null }, extras: UserExtras): UserItem {
  const view: Record<string, unknown> = { id: user.id, emailaddress: user.address };
  for (const [field, key] of [...TEXTS, ...NUMBERS, ...FLAGS]) view[field] = user[key];
  const [email2 = '', email3 = ''] = user.alternativeAddresses;
  for (const field of KEPT_FIELDS) view[field] = user.halo[field] ?? null;
  if (!extras.notes) view.notes = null;
  const all = (user.halo.customfields ?? []) as { id?: number }[];
  const wanted = extras.customFields;
  const place = [user.halo.client_name, user.siteName].filter(Boolean).join('/');
  return {
    ...view,
    email2,
    email3,
    site_id_int: user.siteId,
    site_name: user.siteName,
    customfields: wanted === 'all' ? all : all.filter(({ id }) => wanted.includes(id ?? 0)),
    use: 'user',
    user_with_clientsite: place === '' ? user.name : `${user.name} (${place})`,
    _warning: null,
  } as UserItem;
}

/** Applies a posted item to a user, or to a new one when `current` is null. Fails with `validation_failed`. */
export function draftUser(item: UserItem, current: User | null): User {
  const user: User = current === null ? newUser() : structuredClone(current);
  const given = <T>(field: string, before: T, cleared: T): T => {
    const value = item[field] as T | null | undefined;
    return value === undefined ? before : (value ?? cleared);
  };
  user.address = given('emailaddress', user.address, '').trim();
  if (user.address === '') throw invalid('emailaddress', 'is missing');
  if (!/^[^\s<>@]+@[^\s<>]+$/.test(user.address)) throw invalid('emailaddress', 'is no address');
  for (const [field, key] of TEXTS) user[key] = given(field, user[key], '').trim();
  for (const [field, key] of NUMBERS) {
    user[key] = given(field, user[key], 0);
    if (!Number.isInteger(user[key]) || user[key] < 0 || user[key] > 2_147_483_647) {
      throw invalid(field, 'must be a whole number from 0');
    }
  }
  for (const [field, key] of FLAGS) user[key] = given(field, user[key], false);
  const [email2 = '', email3 = ''] = user.alternativeAddresses;
  user.alternativeAddresses = [given('email2', email2, ''), given('email3', email3, '')]
    // Looked up in lower case.
    .map((address) => address.trim().toLowerCase())
    .filter((address) => address !== '');
  user.name ||= [user.firstName, user.surname].filter(Boolean).join(' ') || user.address;
  for (const field of [...KEPT_FIELDS, 'customfields']) {
    const value = item[field];
    if (value === undefined) continue;
    if (value === null) delete user.halo[field];
    else user.halo[field] = value;
  }
  return user;
}

function newUser(): User {
  return {
    id: 0,
    name: '',
    firstName: '',
    surname: '',
    address: '',
    alternativeAddresses: [],
    login: '',
    siteId: 0,
    clientId: 0,
    organisationId: 0,
    departmentId: 0,
    toplevelId: 0,
    linkedAgentId: 0,
    relationshipId: 0,
    linkedUserId: 0,
    isApprover: false,
    isServiceAccount: false,
    inactive: false,
    roleList: '',
    azureId: '',
    oktaId: '',
    halo: {},
  };
}
