/**
 * Searches in the address book. A directory of a million users answers in milliseconds, because the rows that a search
 * reads are bounded, whatever is searched for: words of three letters and more are found by a trigram index, and so
 * many hits are collected, counted and sorted as somebody may read. Of more hits nothing but a page is read, by id.
 */
import { type Expression, type RawBuilder, type SqlBool, sql } from 'kysely';
import { LIMITS, type Limits } from '../limits.ts';
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
  /** How many there are in all; of a search with very many hits a number that there are at least. */
  total: number;
}

/** How much a search may read. */
export type SearchBounds = Pick<Limits, 'addressBookHits' | 'addressBookRows' | 'addressBookSorted'>;

interface Stretch {
  where: RawBuilder<unknown>;
  limit: number;
  offset: number;
}

const BY_NAME: UserOrder = { column: 'name', descending: false };
const BY_ID: UserOrder = { column: 'id', descending: false };

/** One stretch of what is found, in this order or that of names. */
export async function searchUsers(
  db: Database,
  filter: UserFilter,
  order: UserOrder[],
  limit: number,
  offset: number,
  bounds: SearchBounds = LIMITS,
): Promise<UserPage> {
  const stretch = { where: sql.join(conditionsOf(filter), sql` and `), limit, offset };
  const keys = [...(order.length === 0 ? [BY_NAME] : order), BY_ID];
  const { ids, total } =
    wordsOf(filter).length === 0
      ? await list(db, stretch, keys, bounds)
      : await search(db, stretch, keys, bounds);
  return { users: await usersOf(db, ids), total };
}

interface Found {
  ids: number[];
  total: number;
}

async function search(
  db: Database,
  stretch: Stretch,
  keys: UserOrder[],
  bounds: SearchBounds,
): Promise<Found> {
  const { where, limit, offset } = stretch;
  // Where the estimate is far above, collecting would be in vain.
  if ((await estimate(db, where)) <= 2 * bounds.addressBookHits) {
    const few = await collect(db, stretch, keys, bounds.addressBookHits);
    if (few !== null) return few;
  }
  // One more than asked for tells whether there is another page.
  const page = (from: RawBuilder<unknown>): RawBuilder<unknown> =>
    sql`select id from ${from} where ${where} order by id limit ${limit + 1} offset ${offset}`;
  const first = await idsOf(
    db,
    page(sql`(select * from requester order by id limit ${bounds.addressBookRows}) as requester`),
  );
  if (first.length > limit) return atLeast(bounds.addressBookHits, first, stretch);
  // The words never meet, or come late, or the page does.
  const many = await collect(db, stretch, [BY_ID], bounds.addressBookSorted);
  return many ?? atLeast(bounds.addressBookHits, await idsOf(db, page(sql`requester`)), stretch);
}

function atLeast(least: number, ids: number[], { limit, offset }: Stretch): Found {
  const proven = ids.length === 0 ? 0 : offset + ids.length;
  return { ids: ids.slice(0, limit), total: Math.max(least, proven) };
}

/** Whoever reads the whole directory needs its number: of a list it is always exact. */
async function list(db: Database, stretch: Stretch, keys: UserOrder[], bounds: SearchBounds): Promise<Found> {
  const { where, limit, offset } = stretch;
  if ((await estimate(db, where)) <= bounds.addressBookSorted) {
    const all = await collect(db, stretch, keys, bounds.addressBookSorted);
    if (all !== null) return all;
  }
  const sorted = sql.join(keys.map((key) => sql`${ORDER[key.column]} ${directionOf(key)}`));
  const ids = await idsOf(
    db,
    sql`select id from requester where ${where} order by ${sorted} limit ${limit} offset ${offset}`,
  );
  const { rows } = await sql<{
    count: number;
  }>`select count(*) as count from requester where ${where}`.execute(db);
  return { ids, total: rows[0]!.count };
}

/** A stretch of all that is found, counted and sorted; null when there are more than `most`. */
async function collect(
  db: Database,
  { where, limit, offset }: Stretch,
  keys: UserOrder[],
  most: number,
): Promise<Found | null> {
  const columns = sql.join(keys.map(({ column }, index) => sql`${ORDER[column]} as ${sql.ref(`k${index}`)}`));
  const byKeys = sql.join(keys.map((key, index) => sql`${sql.ref(`k${index}`)} ${directionOf(key)}`));
  return await db.transaction().execute(async (tx) => {
    // For a limit of hits the planner likes to read the table from its beginning, and where it guessed wrong, to its end.
    await sql`set local enable_seqscan = off`.execute(tx);
    // Without the fence it may take the order's index, likewise.
    const { rows } = await sql<{ id: number | null; total: number }>`
      with found as materialized (select requester.id, ${columns} from requester where ${where} limit ${most + 1})
      select page.id, counted.total from (select count(*) as total from found) counted left join lateral (
        select id from found order by ${byKeys} limit ${limit} offset ${offset}) page
        on counted.total <= ${most}`.execute(tx);
    const { total } = rows[0]!;
    return total > most ? null : { ids: rows.flatMap(({ id }) => id ?? []), total };
  });
}

function directionOf({ descending }: UserOrder): RawBuilder<unknown> {
  return sql.raw(descending ? 'desc' : 'asc');
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
  const words = (search ?? '').split(/\s+/).filter((word) => word !== '');
  // A dash between two words is in no index, and nobody looks for it.
  const telling = words.filter((word) => /[\p{L}\p{N}]/u.test(word));
  return (telling.length > 0 ? telling : words.slice(0, 1)).slice(0, LIMITS.addressBookWords);
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
    // As its index has it.
    narrow.push(sql`requester.role_list <> ''`);
    narrow.push(sql`regexp_split_to_array(requester.role_list, '\\s*,\\s*') @> array[${role}]`);
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

/**
 * What a trigram index finds anywhere: three letters, two before what is none, or one after it. For less, as for
 * punctuation alone, it would read all that it has.
 */
const TRIGRAM = /[\p{L}\p{N}]{3}|[\p{L}\p{N}]{2}[^\p{L}\p{N}]|[^\p{L}\p{N}][\p{L}\p{N}]/u;

function isShort(word: string): boolean {
  return [...word].length < 3 || !TRIGRAM.test(word);
}

/** What is too short for the index is the beginning of a word; alone, that of a name. */
function searchConditions(filter: UserFilter): RawBuilder<SqlBool>[] {
  const words = wordsOf(filter);
  const number = filter.phones === true && words.length > 1 ? wholeNumber(words) : null;
  if (number !== null) return [sql`requester.phones like ${`%${number}%`}`];
  return words.map((word) => {
    const text = word.replace(/[\\%_]/g, '\\$&');
    if (!isShort(word))
      return sql<SqlBool>`(requester.words like lower(${`%${text}%`})${inPhones(word, filter)})`;
    return words.length === 1
      ? sql<SqlBool>`lower(requester.name) collate "C" like lower(${`${text}%`})`
      : sql<SqlBool>`requester.words like lower(${`% ${text}%`})`;
  });
}

function inPhones(word: string, filter: UserFilter): RawBuilder<unknown> {
  const digits = word.replace(/\D/g, '');
  if (filter.phones !== true || digits.length < 3) return sql``;
  return sql` or requester.phones like ${`%${digits}%`}`;
}

/** The digits of a number that was written with blanks in it, as +49 (30) 555-0137; null when it is none. */
function wholeNumber(words: readonly string[]): string | null {
  const digits = words.join('').replace(/\D/g, '');
  return digits.length >= 3 && words.every((word) => /^[\d+()./-]+$/.test(word)) ? digits : null;
}
