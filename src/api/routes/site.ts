/** `/Site`, an extension: halo-api.md has only the switches of mailboxes and the numbers of sites. */
import { isDeepStrictEqual } from 'node:util';
import Type, { type Static } from 'typebox';
import { fail } from '../../errors.ts';
import { writeAudit } from '../../store/audit-log.ts';
import type { Database, Tx } from '../../store/database.ts';
import { lockCreation } from '../../store/row-locks.ts';
import { deleteSite, listSites, type Site, saveSite } from '../../store/sites.ts';
import { actorOf } from '../auth/guard.ts';
import { text } from '../halo/fields.ts';
import { eachItem } from '../http/items.ts';
import { invalid } from '../http/problem.ts';
import { byId, listOf, oneOrMany, saved } from '../http/shapes.ts';
import type { Api } from '../route.ts';
import type { ApiContext } from '../services.ts';

const Entries = (description: string) =>
  Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 320 }), { maxItems: 1_000, description }));
const HaloSite = Type.Object(
  {
    id: Type.Optional(Type.Integer({ minimum: 0, maximum: 2_147_483_647 })),
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
    client_id: Type.Optional(Type.Integer({ description: 'Kept.' })),
    email_domains: Entries(
      'New requesters who write from here belong to the site: example.org, *.example.org, or berlin.@example.org ' +
        'for addresses that begin so.',
    ),
    to_domains: Entries('New requesters who write to one of these domains belong to the site.'),
    _warning: text('Only in answers.'),
  },
  { title: 'Site' },
);
type SiteItem = Static<typeof HaloSite>;

export function siteRoutes(app: Api, { db }: ApiContext): void {
  app.get(
    '/Site',
    {
      config: { access: 'admin' },
      schema: { tags: ['Site'], summary: 'List sites (ours)', response: { 200: Type.Array(HaloSite) } },
    },
    async () => (await listSites(db)).map(view),
  );

  app.post(
    '/Site',
    {
      config: { access: 'admin' },
      schema: {
        tags: ['Site'],
        summary: 'Create or update sites (ours)',
        description:
          'An item with an id is updated, and what it leaves out stays. The same one again makes no second.',
        body: listOf(HaloSite),
        response: { 201: oneOrMany(HaloSite) },
      },
    },
    async (request, reply) => {
      const actor = actorOf(request);
      const views = await db.transaction().execute(async (tx) => {
        await lockCreation(tx, 'site');
        return await eachItem(request.body, (item) => save(tx, item, actor));
      });
      return await saved(reply, views);
    },
  );

  app.delete(
    '/Site/:id',
    {
      config: { access: 'admin' },
      schema: {
        tags: ['Site'],
        summary: 'Delete a site (ours)',
        description: 'Requesters keep its number.',
        params: byId,
        response: { 200: HaloSite },
      },
    },
    async (request) =>
      await db.transaction().execute(async (tx) => {
        await lockCreation(tx, 'site');
        const site = await find(tx, request.params.id);
        await deleteSite(tx, site.id);
        await writeAudit(tx, {
          actor: actorOf(request),
          action: 'delete',
          entity: 'site',
          entityId: site.id,
        });
        return view(site);
      }),
  );
}

async function save(tx: Tx, item: SiteItem, actor: string): Promise<SiteItem> {
  const id = item.id ?? 0;
  const all = await listSites(tx);
  const before = id === 0 ? null : pick(all, id);
  const name = item.name ?? before?.name;
  if (name === undefined) throw invalid('name', 'must be given');
  const lower = (entries: string[]): string[] => entries.map((entry) => entry.trim().toLowerCase());
  const draft = {
    id,
    name,
    clientId: item.client_id ?? before?.clientId ?? 0,
    emailDomains: lower(item.email_domains ?? [...(before?.emailDomains ?? [])]),
    toDomains: lower(item.to_domains ?? [...(before?.toDomains ?? [])]),
  };
  const repeated = id === 0 ? all.find((other) => isDeepStrictEqual({ ...other, id }, draft)) : undefined;
  if (repeated !== undefined) {
    const _warning = `Site ${repeated.id} is the same in everything, so no second one was made.`;
    return { ...view(repeated), _warning };
  }
  const site = await saveSite(tx, draft);
  if (site === null) throw fail('not_found', `There is no site ${id}.`);
  const action = id === 0 ? 'create' : 'update';
  await writeAudit(tx, { actor, action, entity: 'site', entityId: site.id, change: view(site) });
  return view(site);
}

async function find(db: Database | Tx, id: number): Promise<Site> {
  return pick(await listSites(db), id);
}

function pick(sites: Site[], id: number): Site {
  const site = sites.find((one) => one.id === id);
  if (site === undefined) throw fail('not_found', `There is no site ${id}.`);
  return site;
}

function view({ id, name, clientId, emailDomains, toDomains }: Site): SiteItem {
  return { id, name, client_id: clientId, email_domains: [...emailDomains], to_domains: [...toDomains] };
}
