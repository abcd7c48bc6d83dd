/** Rows of `/EmailAddressBook`, and of `/Users` as far as it needs them (halo-api.md section 10). */
import { expect } from 'vitest';
import { LIMITS } from '../../../src/limits.ts';
import type { Fixture } from '../fixture.ts';
import {
  allNot,
  asking,
  type Call,
  type Endpoint,
  inAnswers,
  not,
  ok,
  type Rows,
  storing,
  works,
} from './row.ts';

type Item = Record<string, unknown>;
let made = 0;

async function save(api: Fixture, item: Item): Promise<Item> {
  const whole = { emailaddress: `user${++made}@contract.example`, ...item };
  return (await ok(api.send('POST', '/api/Users', [whole]))).json();
}

async function read(api: Fixture, id: unknown): Promise<Item> {
  return (await ok(api.send('GET', `/api/Users/${id}?includedetails=true`))).json();
}

const stored = storing<null>(async (api, _world, item) => await read(api, (await save(api, item)).id));

const NO_SUCH = 'Penstock has no such records to which users could belong.';
const NO_AGENT = 'API clients are no agents, so nothing is their own.';
const UNDOCUMENTED = 'What it means is not documented.';

/** The parameters of both lists. */
function listCall(path: string): Call<null> {
  const ask = asking<null>(() => `/api${path}`);
  const paged = asking<null>(() => `/api${path}?pageinate=true&page_size=2`);
  const byClient = (more: string) => asking<null>(() => `/api${path}?order=client_id${more}`);
  const orders: Rows<null> = Object.fromEntries(
    [2, 3, 4, 5].flatMap((place) => {
      // Everything before is equal, so this field decides.
      const before = ['inactive', 'site_id', 'login', 'surname'].slice(0, place - 1);
      const start = before.map((field, index) => `order${index === 0 ? '' : index + 1}=${field}`).join('&');
      const from = `/api${path}?search=equal&${start}`;
      return [
        [`order${place}`, asking<null>(() => from)('name')],
        [`orderdesc${place}`, asking<null>(() => `${from}&order${place}=name`)('true')],
      ];
    }),
  );
  return {
    row: works(async (api) => {
      const before = (await ok(api.send('GET', `/api${path}`))).json() as Item;
      await save(api, {});
      return [before.record_count, ((await ok(api.send('GET', `/api${path}`))).json() as Item).record_count];
    }, 'Answers `{record_count, users}`, with paging `page_no` and `page_size` too.'),
    query: {
      search: ask(
        'ann lee',
        'Words that must all occur in name or address, punctuation between them aside. One or two letters: words that begin ' +
          `so, or alone names. Above some ${LIMITS.addressBookHits} hits users come by id, and \`record_count\` is that ` +
          'number, or what the page proves; page follows page all the same. A search reads a bounded number of users, but a ' +
          'page far behind so many more hits takes the longer, the farther.',
      ),
      advanced_search: not(UNDOCUMENTED),
      search_phonenumbers: asking<null>(() => `/api${path}?search=555-0199`)(
        'true',
        'By three digits or more.',
      ),
      client_id: ask('11'),
      organisation_id: ask('12'),
      site_id: ask('13'),
      department_id: ask('14'),
      toplevel_id: ask('15'),
      linked_to_user_id: ask('16'),
      role: ask('17', 'A number in `role_list`.'),
      ...allNot(NO_SUCH, 'asset_id', 'contract_id', 'licence_id', 'opp_id', 'supplier_id', 'tickettype_id'),
      includeactive: ask('false', 'Default true.'),
      includeinactive: ask('true', 'Default false.'),
      activeinactive: ask('false,true'),
      approvers_only: ask('true'),
      allapprovers: asking<null>(() => `/api${path}?client_id=11`)('true'),
      exclude_agents: ask('true'),
      exclude_generaluser: ask(
        'true',
        'Leaves out users with the name General User, as Halo calls the one of a site.',
      ),
      exclude_defaultsiteusers: not('Penstock keeps no default user of a site.'),
      includeserviceaccount: ask('false', 'Default true.'),
      includenonserviceaccount: ask('false', 'Default true.'),
      includebillinginfo: not('Penstock keeps nothing about billing.'),
      includenotes: ask('true'),
      includename: not('The name is always there.'),
      include_custom_fields: ask('7'),
      idonly: ask('true', 'Not with paging.'),
      integration_type: ask('azure', '`azure` or `okta`: users with an id from there.'),
      ...allNot(UNDOCUMENTED, 'is_followers', 'is3cxcall'),
      ...allNot(
        'A user has no such field; the document has a boolean here.',
        'lastupdatefromdate',
        'lastupdatetodate',
      ),
      listagentuserfirst: ask('true'),
      ...allNot(
        NO_AGENT,
        'myarea',
        'mydepartment',
        'mysite',
        'mysitecontact',
        'mytoplevel',
        'myallcustomers',
      ),
      pageinate: ask('true'),
      page_no: paged('2'),
      page_size: asking<null>(() => `/api${path}?pageinate=true`)(
        '1',
        `At most ${LIMITS.pageSize}, without \`pageinate\` ignored.`,
      ),
      count: ask('1'),
      order: ask(
        'emailaddress',
        'An unknown field is refused; ties are broken by id. A search with more than some ' +
          `${LIMITS.addressBookHits} hits comes by id, whatever is asked for. Without a search the order is always kept and ` +
          '`record_count` exact; above ' +
          `${LIMITS.addressBookSorted} users that takes longer, least by id, name or emailaddress.`,
      ),
      orderdesc: byClient('')('true'),
      ...orders,
    },
  };
}

/** Kept as they are, for Halo's clients. */
const KEPT: Rows<null> = {
  ...Object.fromEntries(
    [
      'client_name',
      'initials',
      'title',
      'phonenumber_preferred',
      'sitephonenumber',
      'phonenumber',
      'homenumber',
      'mobilenumber',
      'mobilenumber2',
      'fax',
      'activedirectory_dn',
      'onpremise_activedirectory_dn',
      'container_dn',
      'colour',
      'other1',
      'other2',
      'other3',
      'other4',
      'other5',
      'sitetimezone',
      'notes',
    ].map((name) => [name, stored('some text')]),
  ),
  ...Object.fromEntries(
    [
      'telpref',
      'default_currency_code',
      'priority_id',
      'connectwiseid',
      'autotaskid',
      'messagegroup_id',
      'client_account_manager_id',
    ].map((name) => [name, stored(5)]),
  ),
  ...Object.fromEntries(
    ['isimportantcontact', 'isimportantcontact2', 'neversendemails', 'ignoreautomatedbilling'].map((name) => [
      name,
      stored(true),
    ]),
  ),
};

export const addressBook: Endpoint<null> = {
  title: 'EmailAddressBook and Users',
  about: `
- The address book is the directory of those who write to you: mail makes users, and \`POST /api/Users\` imports, creates and
  updates them. An item without \`id\` whose \`emailaddress\` is known updates that user, so an import can be repeated.
- Sites, which a user's address can lead to, are kept with \`POST /api/Site\`, which is ours.`,
  async prepare(api) {
    await save(api, {
      name: 'Ann Lee',
      client_id: 11,
      organisation_id: 12,
      site_id: 13,
      department_id: 14,
      notes: 'n',
    });
    await save(api, {
      name: 'Bob',
      toplevel_id: 15,
      linked_to_user_id: 16,
      role_list: '17,18',
      isapprover: true,
    });
    await save(api, { name: 'Gone', inactive: true });
    await save(api, { name: 'Machine', isserviceaccount: true, azure_id: 'a', mobilenumber: '+1 5550199' });
    await save(api, {
      name: 'Zoe Agent',
      linked_agent_id: 4,
      customfields: [{ id: 7, name: 'f', value: 'v' }],
    });
    await save(api, { name: 'General User' });
    await save(api, { name: 'Equal B', emailaddress: 'equal1@contract.example' });
    await save(api, { name: 'Equal A', emailaddress: 'equal2@contract.example' });
    return null;
  },
  calls: {
    'GET /EmailAddressBook': listCall('/EmailAddressBook'),
    'GET /Users': listCall('/Users'),
    'POST /Users': {
      row: works(async (api) => {
        const one = await save(api, { emailaddress: 'Twice@contract.example' });
        const two = await save(api, { emailaddress: 'twice@contract.example', name: 'Second' });
        expect(two.id).toBe(one.id);
        return [one.name, (await read(api, one.id)).name];
      }),
    },
    'GET /Users/{id}': {
      row: works(async (api) => [
        (await read(api, (await save(api, {})).id)).emailaddress,
        (await read(api, (await save(api, {})).id)).emailaddress,
      ]),
      query: {
        includedetails: works(async (api) => {
          const { id } = await save(api, { notes: 'some' });
          return [
            ((await ok(api.send('GET', `/api/Users/${id}`))).json() as Item).notes,
            (await read(api, id)).notes,
          ];
        }, 'With `notes` and `customfields`.'),
      },
    },
  },
  records: {
    UserListItem: {
      id: works(async (api) => {
        const one = await save(api, { name: 'Before' });
        await save(api, { id: one.id, emailaddress: one.emailaddress, name: 'After' });
        return [one.name, (await read(api, one.id)).name];
      }),
      name: stored('A name', 'Default that of `firstname` and `surname`, else the address.'),
      firstname: stored('Ann'),
      surname: stored('Lee'),
      emailaddress: stored('other@contract.example', 'Required, and no other user has it.'),
      email2: stored('second@contract.example', 'Senders are found by it when the installation says so.'),
      email3: stored('third@contract.example', 'Likewise.', { email2: 'second2@contract.example' }),
      login: stored('ann'),
      site_id: stored(13),
      site_id_int: works(async (api) => [
        (await save(api, {})).site_id_int,
        (await save(api, { site_id: 13 })).site_id_int,
      ]),
      site_name: works(async (api) => {
        const { id } = (await ok(api.send('POST', '/api/Site', [{ name: 'Berlin' }]))).json() as Item;
        return [(await save(api, {})).site_name, (await save(api, { site_id: id })).site_name];
      }),
      client_id: stored(11),
      organisation_id: stored(12),
      department_id: stored(14),
      toplevel_id: stored(15),
      linked_agent_id: stored(4, 'A user with an agent counts as one: hashtags in mail, `exclude_agents`.'),
      linked_to_user_id: stored(16),
      relationship_id: stored(3),
      isapprover: stored(true),
      isserviceaccount: stored(true),
      inactive: stored(true, 'Mail finds active users only.'),
      role_list: stored('1,2'),
      azure_id: stored('azure-id'),
      okta_id: stored('okta-id'),
      user_with_clientsite: works(async (api) => [
        (await save(api, { name: 'N' })).user_with_clientsite,
        (await save(api, { name: 'N', client_name: 'C' })).user_with_clientsite,
      ]),
      use: inAnswers('Always `user`.'),
      ...KEPT,
      customfields: stored([{ id: 7, name: 'field', value: 'text' }]),
      _warning: works(async (api) => {
        const first = await save(api, { emailaddress: 'warned@contract.example' });
        return [first._warning, (await save(api, { emailaddress: 'warned@contract.example' }))._warning];
      }),
      ...allNot(
        'Penstock keeps nothing that it could say here.',
        'site_guid',
        'area_guid',
        'site_cautomate_guid',
        'covered_by_contract',
        'contract_value',
        'software_role_name',
        'attachments',
        'custombuttons',
        'user_relationships',
        'uddevsite',
        'uddevnum',
        'uduserid',
        'userdevicerolecount',
        'site_hubspot_guid',
        'item_tax_code',
        'automatic_sales_tax',
        'client_taxable',
        'overridepdftemplatequote',
        'overridepdftemplatequote_name',
        'contract_end_date',
        'client_automatic_callscript_id',
      ),
    },
  },
};
