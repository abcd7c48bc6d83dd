/** The address book: what is found, in which order, and by which index. */
import { sql } from 'kysely';
import { beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/limits.ts';
import {
  searchUsers,
  type UserFilter,
  type UserOrder,
  type UserOrderColumn,
} from '../../src/store/address-book.ts';
import { useApi } from './fixture.ts';

const fixture = useApi();

type Item = Record<string, unknown>;
interface Page {
  record_count: number;
  users: Item[];
}

const search = async (query: string): Promise<Page> =>
  (await fixture.send('GET', `/api/EmailAddressBook?${query}`)).json();
const names = ({ users }: Page): unknown[] => users.map(({ name }) => name);

describe('A search', () => {
  it('finds words anywhere in name and address, letters at the beginning, and takes no wildcards', async () => {
    await fixture.send('POST', '/api/Users', [
      { name: 'Ann Lee', emailaddress: 'ann@berlin.example' },
      { name: 'Änne Grün', emailaddress: 'aenne@paris.example', email2: 'second@other.example' },
      { name: 'Joan Lee_100%', emailaddress: 'joan@berlin.example' },
    ]);
    for (const [query, found] of [
      ['LEE', ['Ann Lee', 'Joan Lee_100%']],
      ['lee ann', ['Ann Lee']],
      ['lee a', ['Ann Lee']],
      ['berlin', ['Ann Lee', 'Joan Lee_100%']],
      ['second@', ['Änne Grün']],
      ['GRÜN', ['Änne Grün']],
      ['jo', ['Joan Lee_100%']],
      ['ee', []],
      ['0%', []],
      ['_100%', ['Joan Lee_100%']],
      ['l%e', []],
      ["'; drop table requester; --", []],
      ['', ['Ann Lee', 'Joan Lee_100%', 'Änne Grün']],
    ] as const) {
      const page = await search(`search=${encodeURIComponent(query)}`);
      expect(names(page), query).toEqual(found);
      expect(page.record_count).toBe(found.length);
    }
  });

  it('finds a phone number however it is written, and a role by its whole number', async () => {
    await fixture.send('POST', '/api/Users', [
      { name: 'Pia', emailaddress: 'pia@phone.example', phonenumber: '+49 30 555-0137', role_list: '17, 18' },
      { name: 'Sven', emailaddress: 'sven@phone.example', mobilenumber: '(030) 5550137', role_list: '117' },
    ]);
    for (const [query, found] of [
      ['+49 30 555 0137', ['Pia']],
      ['(49) 30-555.0137', ['Pia']],
      ['5550137', ['Pia', 'Sven']],
      ['030 555 0137', ['Sven']],
      ['pia 555', ['Pia']],
      ['49 50', []],
    ] as const) {
      const page = await search(`search_phonenumbers=true&search=${encodeURIComponent(query)}`);
      expect(names(page), query).toEqual(found);
    }
    expect(names(await search('role=17'))).toEqual(['Pia']);
    expect(names(await search('role=18'))).toEqual(['Pia']);
  });

  it('pages without overlap when everything is equal', async () => {
    await fixture.send(
      'POST',
      '/api/Users',
      Array.from({ length: 7 }, (_, n) => ({ name: 'Same', emailaddress: `s${n}@same.example` })),
    );
    const pages = await Promise.all(
      [1, 2, 3].map((page) =>
        search(`search=same.example&pageinate=true&page_size=3&page_no=${page}&order=name`),
      ),
    );
    expect(pages.map(({ users }) => users.length)).toEqual([3, 3, 1]);
    expect(new Set(pages.flatMap(({ users }) => users.map(({ id }) => id))).size).toBe(7);
    expect(pages.map(({ record_count }) => record_count)).toEqual([7, 7, 7]);
  });

  it('refuses an order by what is no field', async () => {
    const answer = await fixture.send('GET', '/api/EmailAddressBook?order=name;drop');
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ details: [{ field: 'order' }] });
  });
});

describe('A directory of ten thousand', () => {
  const BOUNDS = { addressBookHits: 50, addressBookRows: 200, addressBookSorted: 500 };
  const MOST = BOUNDS.addressBookHits + BOUNDS.addressBookRows + BOUNDS.addressBookSorted + 2;
  const PAGE = 10;
  const EVERYBODY = { active: true, inactive: true, serviceAccounts: true, otherAccounts: true };

  beforeAll(async () => {
    await sql`delete from requester`.execute(fixture.db);
    await sql`
      insert into requester (id, name, address, site_id, halo, organisation_id, department_id, toplevel_id,
        linked_user_id, is_approver, inactive, is_service_account, azure_id, okta_id, role_list) overriding system value
      select n,
        case when n % 2 = 0 then 'Anna' else 'Bernd' end || ' ' || md5(n::text) ||
          case when n = 7000 then ' Грета' when n > 9700 then ' Newcomer' when n % 133 = 0 then ' Rossi' else '' end,
        'p' || n || '@large.example', n % 7, jsonb_build_object('phonenumber', '+1 555 ' || 1000000 + n),
        chosen.id, chosen.id, chosen.id, chosen.id, chosen.id > 0, chosen.id > 0, chosen.id > 0,
        repeat('a', chosen.id), repeat('o', chosen.id),
        case when chosen.id > 0 then '17, 18' when n % 3 = 0 then '1,2' else '' end
      from generate_series(1, 10000) as n, lateral (select (n in (11, 4000, 9990))::int * 12 as id) chosen`.execute(
      fixture.db,
    );
    await sql`vacuum analyze requester`.execute(fixture.db);
  });

  /** What is found, and how many rows PostgreSQL read for it. */
  const measured = async (filter: Partial<UserFilter>, order: UserOrder[] = [], offset = 0) =>
    await fixture.db.connection().execute(async (db) => {
      const rows = async (): Promise<number> => {
        await sql`select pg_stat_force_next_flush()`.execute(db);
        const { rows } = await sql<{ read: number }>`
          select seq_tup_read + idx_tup_fetch as read from pg_stat_user_tables where relname = 'requester'`.execute(
          db,
        );
        return rows[0]!.read;
      };
      const before = await rows();
      const page = await searchUsers(db, { ...EVERYBODY, ...filter }, order, PAGE, offset, BOUNDS);
      return { total: page.total, ids: page.users.map(({ id }) => id), read: (await rows()) - before };
    });

  it('is read in bounds, whatever is searched for', async () => {
    const by = (column: UserOrderColumn): UserOrder[] => [{ column, descending: true }];
    const least = BOUNDS.addressBookHits;
    for (const [what, filter, total, first, order, offset] of [
      ['one', { search: 'p4711@' }, 1, 4711],
      ['nothing', { search: 'qqxqq' }, 0],
      ['everybody', { search: 'large.example' }, least, 1],
      ['everybody by surname', { search: 'large.example' }, least, 1, by('surname')],
      ['everybody by site', { search: 'large.example' }, least, 1, by('site_name')],
      ['everybody by name', { search: 'large.example' }, least, 1, by('name')],
      ['page 7', { search: 'anna' }, 71, 122, [], 60],
      ['two frequent words that never meet', { search: 'anna bernd' }, 0],
      ['many, all of them late', { search: 'newcomer' }, 300, 9701],
      ['more than are sorted by name', { search: 'rossi' }, 72, 133],
      ['letters', { search: 'an' }, least, 2],
      ['two letters each', { search: 'be ро' }, 0],
      ['letters and a word that never meet', { search: 'an bernd' }, 0],
      ['letters in another script', { search: 'грета' }, 1, 7000],
      ['punctuation', { search: '---' }, 0],
      ['punctuation between', { search: 'anna - грета' }, 1, 7000],
      ['a letter and punctuation', { search: 'a--' }, 0],
      ['a number', { search: '1 555 100-4711', phones: true }, 1, 4711],
      ['digits of all numbers', { search: '1555100', phones: true }, least, 1],
      ['approvers too', { search: 'p4711@', allApprovers: true }, 4],
      ['organisation', { organisationId: 12 }, 3],
      ['department', { departmentId: 12 }, 3],
      ['top level', { toplevelId: 12 }, 3],
      ['linked user', { linkedUserId: 12 }, 3],
      ['approvers', { approversOnly: true }, 3],
      ['role', { role: 18 }, 3],
      ...[
        { active: false },
        { otherAccounts: false },
        { integration: 'azure' },
        { integration: 'okta' },
        { organisationId: 12 },
        { role: 17 },
      ].map((filter) => [JSON.stringify(filter), { search: 'large.example', ...filter }, 3]),
    ] as [string, Partial<UserFilter>, number, number?, UserOrder[]?, number?][]) {
      const found = await measured(filter, order, offset);
      expect(found.total, what).toBe(total);
      expect(found.ids, what).toHaveLength(Math.min(PAGE, total - (offset ?? 0)));
      if (first !== undefined) expect(found.ids[0], what).toBe(first);
      expect(found.read, what).toBeLessThanOrEqual(MOST + PAGE + 1);
    }
  });

  it('comes by id when there are very many hits, and page after page without end', async () => {
    const page = await search('search=large.example&pageinate=true&page_size=2&order=name&orderdesc=true');
    expect(page).toMatchObject({ record_count: LIMITS.addressBookHits, users: [{ id: 1 }, { id: 2 }] });
    const last = await search(
      'search=large.example&includeinactive=true&pageinate=true&page_size=1000&page_no=10',
    );
    expect(last).toMatchObject({ record_count: 10_000, users: { length: 1_000 } });
    const far = await measured({ search: 'anna' }, [], 4_995);
    expect(far).toMatchObject({ total: 5_000, ids: [9_992, 9_994, 9_996, 9_998, 10_000] });
  });

  it('is counted and in order as a whole without a search', async () => {
    const { total, ids } = await measured({}, [{ column: 'address', descending: true }]);
    expect(total).toBe(10_000);
    expect(ids.slice(0, 2)).toEqual([9, 99]);
  });
});
