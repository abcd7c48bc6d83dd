/** The address book: what is found, in which order, and by which index. */
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/limits.ts';
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

  it('of a large directory goes through an index, whatever is searched for', async () => {
    await sql`
      insert into requester (name, address)
      select 'Person ' || md5(n::text), 'p' || n || '@large.example' from generate_series(1, 10000) as n`.execute(
      fixture.db,
    );
    await sql`analyze requester`.execute(fixture.db);
    const plan = async (condition: string, order = 'lower(name) collate "C"'): Promise<string> => {
      const { rows } = await sql<{
        'QUERY PLAN': string;
      }>`explain select id from requester where not inactive and ${sql.raw(condition)}
        order by ${sql.raw(order)}, id limit 50`.execute(fixture.db);
      return rows.map((row) => row['QUERY PLAN']).join('\n');
    };
    expect(await plan("words like lower('%a1b2c%')")).toContain('requester_words');
    expect(await plan(`lower(name) collate "C" like lower('pe%')`)).toContain('requester_name');
    // Most users fit: in the order of an index hits are dense.
    expect(await plan("words like lower('%large.example%')")).toContain('requester_name');
    expect(await plan("words like lower('%large.example%')", 'lower(address)')).toContain(
      'requester_address',
    );
    const page = await search('search=large.example&pageinate=true&page_size=2');
    expect(page.record_count).toBe(LIMITS.addressBookHits);
    const last = await search('search=large.example&pageinate=true&page_size=1000&page_no=10');
    expect(last).toMatchObject({ record_count: 10_000, users: { length: 1_000 } });
    const ordered = await search('search=large.example&pageinate=true&page_size=2&order=name&orderdesc=true');
    expect(ordered.record_count).toBe(10_000);
  });
});
