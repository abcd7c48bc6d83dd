/** `/EmailAddressBook` (halo-api.md section 10), and `/Users` as far as it needs them. */
import Type, { type Static } from 'typebox';
import { fail } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import {
  searchUsers,
  type UserFilter,
  type UserOrder,
  type UserOrderColumn,
} from '../../store/address-book.ts';
import type { Database } from '../../store/database.ts';
import { lockCreation } from '../../store/row-locks.ts';
import { siteName } from '../../store/sites.ts';
import { transact } from '../../store/transact.ts';
import { findUser } from '../../store/users.ts';
import { actorOf } from '../auth/guard.ts';
import { type UserExtras, viewUser } from '../halo/user.ts';
import { HaloUser } from '../halo/user-fields.ts';
import { eachItem } from '../http/items.ts';
import { flag, listQuery, number, readOrder, readStretch, text } from '../http/list-query.ts';
import { invalid } from '../http/problem.ts';
import { byId, listOf, oneOrMany, saved } from '../http/shapes.ts';
import type { Api } from '../route.ts';
import type { ApiContext } from '../services.ts';
import { saveUserItem } from '../user-save.ts';

const ORDER_FIELDS: ReadonlyMap<string, UserOrderColumn> = new Map([
  ['id', 'id'],
  ['name', 'name'],
  ['firstname', 'first_name'],
  ['surname', 'surname'],
  ['emailaddress', 'address'],
  ['login', 'login'],
  ['site_id', 'site_id'],
  ['site_name', 'site_name'],
  ['client_id', 'client_id'],
  ['inactive', 'inactive'],
]);

const NO_SUCH = 'Without effect: Penstock has no such records.';
const NO_AGENT = 'Without effect: API clients are no agents.';

const Query = Type.Object({
  ...listQuery(
    [...ORDER_FIELDS.keys()].join(', '),
    `name; a search with more than some ${LIMITS.addressBookHits} hits comes by id, whatever is asked for`,
  ),
  search: text(
    'Words that must all occur in name or address. One or two letters: words that begin so, or alone names.',
  ),
  advanced_search: text('Without effect.'),
  search_phonenumbers: flag('Search phone numbers too, by three digits or more.'),
  client_id: number('Users of this client.'),
  organisation_id: number('Of this organisation.'),
  site_id: number('Of this site.'),
  department_id: number('Of this department.'),
  toplevel_id: number('Of this top level.'),
  linked_to_user_id: number('Linked to this user.'),
  role: number('With this role.'),
  asset_id: number(NO_SUCH),
  contract_id: number(NO_SUCH),
  licence_id: number(NO_SUCH),
  opp_id: number(NO_SUCH),
  supplier_id: number(NO_SUCH),
  tickettype_id: number(NO_SUCH),
  includeactive: flag('Active users. Default true.'),
  includeinactive: flag('Inactive users, too. Default false.'),
  activeinactive: Type.Optional(
    Type.String({
      maxLength: 20,
      description: 'Both at once, as true,false: includeactive and includeinactive.',
    }),
  ),
  approvers_only: flag('Only approvers.'),
  allapprovers: flag('All approvers, too.'),
  exclude_agents: flag('Leave out users that are agents.'),
  exclude_generaluser: flag('Leave out users with the name General User.'),
  exclude_defaultsiteusers: flag('Without effect.'),
  includeserviceaccount: flag('Service accounts. Default true.'),
  includenonserviceaccount: flag('Other accounts. Default true.'),
  includebillinginfo: flag('Without effect.'),
  includenotes: flag('With notes.'),
  includename: flag('Without effect: the name is always there.'),
  include_custom_fields: Type.Optional(
    Type.Array(Type.Integer(), { maxItems: 200, description: 'Ids of custom fields to show.' }),
  ),
  idonly: flag('Only ids; not with paging.'),
  integration_type: Type.Optional(
    Type.String({ maxLength: 20, description: 'azure or okta: users that came from there.' }),
  ),
  is_followers: flag('Without effect.'),
  is3cxcall: flag('Without effect.'),
  lastupdatefromdate: flag('Without effect.'),
  lastupdatetodate: flag('Without effect.'),
  listagentuserfirst: flag('Users that are agents first.'),
  myarea: flag(NO_AGENT),
  mydepartment: flag(NO_AGENT),
  mysite: flag(NO_AGENT),
  mysitecontact: flag(NO_AGENT),
  mytoplevel: flag(NO_AGENT),
  myallcustomers: flag(NO_AGENT),
});
type Query = Static<typeof Query>;

const Page = Type.Object(
  {
    page_no: Type.Optional(Type.Integer()),
    page_size: Type.Optional(Type.Integer()),
    record_count: Type.Integer({
      description: `Over all pages; of a search with more than some ${LIMITS.addressBookHits} hits at least so many. Without a search exact.`,
    }),
    users: Type.Array(HaloUser),
  },
  { title: 'UserPage' },
);

export function userRoutes(app: Api, { db }: ApiContext): void {
  for (const [path, tag, summary] of [
    ['/EmailAddressBook', 'EmailAddressBook', 'Search users that can be written to'],
    ['/Users', 'Users', 'List users'],
  ] as const) {
    app.get(
      path,
      {
        config: { access: 'admin' },
        schema: { tags: [tag], summary, querystring: Query, response: { 200: Page } },
      },
      async (request) => await list(db, request.query),
    );
  }

  app.post(
    '/Users',
    {
      config: { access: 'admin' },
      bodyLimit: LIMITS.recordRequestBytes,
      schema: {
        tags: ['Users'],
        summary: 'Create, import or update users',
        description:
          'An item with an id is updated, and what it leaves out stays. An item without one updates the user who has its ' +
          'emailaddress, else creates one: an import can be repeated.',
        body: listOf(HaloUser),
        response: { 201: oneOrMany(HaloUser) },
      },
    },
    async (request, reply) => {
      const actor = actorOf(request);
      const views = await transact(db, async (tx) => {
        await lockCreation(tx, 'user');
        return await eachItem(request.body, (item) => saveUserItem(tx, item, actor));
      });
      return await saved(reply, views);
    },
  );

  app.get(
    '/Users/:id',
    {
      config: { access: 'admin' },
      schema: {
        tags: ['Users'],
        summary: 'Read a user',
        params: byId,
        querystring: Type.Object({ includedetails: flag('With notes and custom fields.') }),
        response: { 200: HaloUser },
      },
    },
    async (request) => {
      const { id } = request.params;
      const user = await findUser(db, id);
      if (user === null) throw fail('not_found', `There is no user ${id}.`);
      const details = request.query.includedetails === true;
      const extras: UserExtras = { notes: details, customFields: details ? 'all' : [] };
      return viewUser({ ...user, siteName: await siteName(db, user.siteId) }, extras);
    },
  );
}

async function list(db: Database, query: Query): Promise<Static<typeof Page>> {
  const { paged, page, size, offset } = readStretch(query);
  const { users, total } = await searchUsers(db, readFilter(query), orderOf(query), size, offset);
  const extras: UserExtras = {
    notes: query.includenotes === true,
    customFields: query.include_custom_fields ?? [],
  };
  const shown = users.map((user) =>
    query.idonly === true && !paged ? { id: user.id } : viewUser(user, extras),
  );
  const paging = paged ? { page_no: page, page_size: size } : {};
  return { ...paging, record_count: total, users: shown };
}

function orderOf(query: Query): UserOrder[] {
  const order: UserOrder[] = readOrder(query, ORDER_FIELDS);
  const first = query.listagentuserfirst === true;
  // No order at all leaves the search free to choose.
  if (order.length === 0 && (first || query.orderdesc === true)) {
    order.push({ column: 'name', descending: query.orderdesc === true });
  }
  if (first) order.unshift({ column: 'agent', descending: true });
  return order;
}

function readFilter(query: Query): UserFilter {
  const [active, inactive] = activity(query);
  const integration = integrationOf(query.integration_type);
  return {
    ...given('search', query.search),
    ...given('phones', query.search_phonenumbers),
    ...given('clientId', query.client_id),
    ...given('organisationId', query.organisation_id),
    ...given('siteId', query.site_id),
    ...given('departmentId', query.department_id),
    ...given('toplevelId', query.toplevel_id),
    ...given('linkedUserId', query.linked_to_user_id),
    ...given('role', query.role),
    ...given('approversOnly', query.approvers_only),
    ...given('allApprovers', query.allapprovers),
    ...given('excludeAgents', query.exclude_agents),
    ...given('excludeGeneralUser', query.exclude_generaluser),
    ...given('integration', integration),
    active,
    inactive,
    serviceAccounts: query.includeserviceaccount ?? true,
    otherAccounts: query.includenonserviceaccount ?? true,
  };
}

function integrationOf(text: string | undefined): UserFilter['integration'] | undefined {
  const word = (text ?? '').trim().toLowerCase();
  if (word === '') return undefined;
  if (word !== 'azure' && word !== 'okta') throw invalid('integration_type', 'must be azure or okta');
  return word;
}

function activity({
  activeinactive,
  includeactive,
  includeinactive,
}: Query): [active: boolean, inactive: boolean] {
  if (activeinactive === undefined) return [includeactive ?? true, includeinactive ?? false];
  const match = /^\s*(true|false|0|1)\s*,\s*(true|false|0|1)\s*$/i.exec(activeinactive);
  if (match === null) throw invalid('activeinactive', 'must be two of true and false with a comma between');
  const isTrue = (word: string): boolean => /^(true|1)$/i.test(word);
  return [isTrue(match[1]!), isTrue(match[2]!)];
}

/** A property that is there only when it has a value. */
function given<K extends keyof UserFilter>(key: K, value: UserFilter[K] | undefined): Partial<UserFilter> {
  return value === undefined ? {} : { [key]: value };
}
