/**
 * Searches in the address book. A directory of a million users answers in milliseconds, because a search never looks at
 * more rows than it must: words of three letters and more are found by a trigram index, and a bounded number of hits is
 * collected and sorted. Of a search with more hits pages are read in the order of an index, where hits are dense.
 */
import { type Expression, type RawBuilder, type SqlBool, sql } from 'kysely';
import { LIMITS } from '../limits.ts';
import type { Database } from './database.ts';
import { USER_COLUMNS, type User } from './users.ts';

export interface UserFilter {
  /** Words; each must occur. */
  search?: string;
  /** Phone numbers are searched too. */
  phones?: boolean;
  clientId?: number;
  organisationId?: number;
  siteId?: number;
  departmentId?: number;
  toplevelId?: number;
  linkedUserId?: number;
  role?: number;
  active: boolean;
  inactive: boolean;
  approversOnly?: boolean;
  /** All approvers, too, whatever else is asked for. */
  allApprovers?: boolean;
  excludeAgents?: boolean;
  excludeGeneralUser?: boolean;
  serviceAccounts: boolean;
  otherAccounts: boolean;
  integration?: 'azure' | 'okta';
}

/** What a list can be ordered by. */
const ORDER = {
  id: sql`requester.id`,
  name: sql`lower(requester.name) collate "C"`,
  first_name: sql`lower(requester.first_name) collate "C"`,
  surname: sql`lower(requester.surname) collate "C"`,
  // As the index has it that keeps addresses apart.
  address: sql`lower(requester.address)`,
  login: sql`lower(requester.login) collate "C"`,
  site_id: sql`requester.site_id`,
  site_name: sql`(select lower(site.name) from site where site.id = requester.site_id)`,
  client_id: sql`requester.client_id`,
  inactive: sql`requester.inactive`,
  agent: sql`(requester.linked_agent_id > 0)`,
} as const;
export type UserOrderColumn = keyof typeof ORDER;

export interface UserOrder {
  column: UserOrderColumn;
  descending: boolean;
}

export interface UserPage {
  users: (User & { siteName: string | null })[];
  /** How many there are in all. Of a search exact up to a limit; above it the limit, or what this page proves. */
  total: number;
}

/**
 * One stretch of what is found. Without an order it is that of names; but by id when there are so many hits that nobody
 * reads them all: sorting them would cost more than the answer is worth.
 */
export async function searchUsers(
  db: Database,
  filter: UserFilter,
  order: UserOrder[],
  limit: number,
  offset: number,
): Promise<UserPage> {
  const where = sql.join(conditionsOf(filter), sql` and `);
  const byName = { column: 'name', descending: false } as const;
  const byId = { column: 'id', descending: false } as const;
  const keys = [...(order.length === 0 ? [byName] : order), byId];
  const direction = ({ descending }: UserOrder) => sql.raw(descending ? 'desc' : 'asc');
  const sorted = sql.join(keys.map((key) => sql`${ORDER[key.column]} ${direction(key)}`));
  const searches = wordsOf(filter).length > 0;
  const most = searches && order.length === 0 ? LIMITS.addressBookHits : LIMITS.addressBookOrdered;
  if ((await estimate(db, where)) <= LIMITS.addressBookOrdered) {
    const columns = sql.join(
      keys.map(({ column }, index) => sql`${ORDER[column]} as ${sql.ref(`k${index}`)}`),
    );
    const byKeys = sql.join(keys.map((key, index) => sql`${sql.ref(`k${index}`)} ${direction(key)}`));
    // Without the fence the planner may take the order's index and, where it guessed wrong, read the whole table.
    const { rows } = await sql<{ id: number | null; total: number }>`
      with found as materialized (select requester.id, ${columns} from requester where ${where} limit ${most + 1})
      select page.id, counted.total from (select count(*) as total from found) counted left join lateral (
        select id from found order by ${byKeys} limit ${limit} offset ${offset}) page
        on counted.total <= ${most}`.execute(db);
    const total = Number(rows[0]!.total);
    if (total <= most)
      return {
        users: await usersOf(
          db,
          rows.flatMap(({ id }) => id ?? []),
        ),
        total,
      };
  }
  if (!searches) {
    const [ids, { count }] = [
      await idsOf(
        db,
        sql`select id from requester where ${where} order by ${sorted} limit ${limit} offset ${offset}`,
      ),
      (await sql<{ count: number }>`select count(*) as count from requester where ${where}`.execute(db))
        .rows[0]!,
    ];
    return { users: await usersOf(db, ids), total: Number(count) };
  }
  // One more than asked for tells whether there is another page.
  const indexed = order.length === 0 ? sql`requester.id` : sorted;
  const dense = sql`select id from requester where ${where} order by ${indexed} limit ${limit + 1} offset ${offset}`;
  const ids = await idsOf(db, dense);
  const proven = ids.length === 0 ? 0 : offset + ids.length;
  return { users: await usersOf(db, ids.slice(0, limit)), total: Math.max(most, proven) };
}

/** How many rows the planner expects, from its sample of the table. */
async function estimate(db: Database, where: RawBuilder<unknown>): Promise<number> {
  const { rows } = await sql<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>`
    explain (format json) select 1 from requester where ${where}`.execute(db);
  return rows[0]!['QUERY PLAN'][0].Plan['Plan Rows'];
}

async function idsOf(db: Database, query: RawBuilder<unknown>): Promise<number[]> {
  return (await query.execute(db)).rows.map((row) => (row as { id: number }).id);
}

/** In the order of the ids. */
async function usersOf(db: Database, ids: number[]): Promise<UserPage['users']> {
  if (ids.length === 0) return [];
  const rows = await db
    .selectFrom('requester')
    .leftJoin('site', 'site.id', 'requester.site_id')
    .select(USER_COLUMNS)
    .select('site.name as siteName')
    .where('requester.id', '=', sql<number>`any(${ids}::int[])`)
    .execute();
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ids.flatMap((id) => byId.get(id) ?? []);
}

function wordsOf({ search }: UserFilter): string[] {
  return (search ?? '')
    .split(/\s+/)
    .filter((word) => word !== '')
    .slice(0, LIMITS.addressBookWords);
}

function conditionsOf(filter: UserFilter): Expression<SqlBool>[] {
  const narrow: RawBuilder<SqlBool>[] = [];
  const equals = (column: string, value: number | undefined): void => {
    if (value !== undefined) narrow.push(sql`${sql.ref(`requester.${column}`)} = ${value}`);
  };
  equals('client_id', filter.clientId);
  equals('organisation_id', filter.organisationId);
  equals('site_id', filter.siteId);
  equals('department_id', filter.departmentId);
  equals('toplevel_id', filter.toplevelId);
  equals('linked_user_id', filter.linkedUserId);
  if (filter.role !== undefined) {
    const role = String(filter.role);
    // The list is taken apart only where the number is somewhere in it.
    narrow.push(sql`requester.role_list like ${`%${role}%`}`);
    narrow.push(sql`${role} = any(regexp_split_to_array(requester.role_list, '\\s*,\\s*'))`);
  }
  if (filter.approversOnly === true) narrow.push(sql`requester.is_approver`);
  if (filter.integration !== undefined)
    narrow.push(sql`${sql.ref(`requester.${filter.integration}_id`)} <> ''`);
  narrow.push(...searchConditions(filter));
  const chosen = narrow.length === 0 ? sql<SqlBool>`true` : sql<SqlBool>`(${sql.join(narrow, sql` and `)})`;
  const conditions = [
    filter.allApprovers === true ? sql<SqlBool>`(${chosen} or requester.is_approver)` : chosen,
  ];

  if (!filter.active) conditions.push(sql`requester.inactive`);
  if (!filter.inactive) conditions.push(sql`not requester.inactive`);
  if (!filter.serviceAccounts) conditions.push(sql`not requester.is_service_account`);
  if (!filter.otherAccounts) conditions.push(sql`requester.is_service_account`);
  if (filter.excludeAgents === true) conditions.push(sql`requester.linked_agent_id = 0`);
  if (filter.excludeGeneralUser === true) conditions.push(sql`lower(requester.name) <> 'general user'`);
  return conditions;
}

/** A trigram index needs three letters; less is the beginning of a word, or alone that of a name. */
function searchConditions(filter: UserFilter): RawBuilder<SqlBool>[] {
  const words = wordsOf(filter);
  const number = filter.phones === true && words.length > 1 ? wholeNumber(words) : null;
  if (number !== null) return [sql`requester.phones like ${`%${number}%`}`];
  const alone = words.every((word) => [...word].length < 3);
  return words.map((word, index) => {
    const text = word.replace(/[\\%_]/g, '\\$&');
    const digits = word.replace(/\D/g, '');
    const inPhones =
      filter.phones === true && digits.length >= 3
        ? sql<SqlBool>` or requester.phones like ${`%${digits}%`}`
        : sql``;
    if (alone && index === 0)
      return sql<SqlBool>`lower(requester.name) collate "C" like lower(${`${text}%`})`;
    const pattern = [...word].length < 3 ? `% ${text}%` : `%${text}%`;
    return sql<SqlBool>`(requester.words like lower(${pattern})${inPhones})`;
  });
}

/** The digits of a number that was written with blanks in it, as +49 (30) 555-0137; null when it is none. */
function wholeNumber(words: readonly string[]): string | null {
  const digits = words.join('').replace(/\D/g, '');
  return digits.length >= 3 && words.every((word) => /^[\d+()./-]+$/.test(word)) ? digits : null;
}
