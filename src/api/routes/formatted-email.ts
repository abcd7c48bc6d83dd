/** `/formattedemail` (halo-api.md section 9). */
import { isDeepStrictEqual } from 'node:util';
import Type from 'typebox';
import { fail } from '../../errors.ts';
import { writeAudit } from '../../store/audit-log.ts';
import type { Database, Tx } from '../../store/database.ts';
import {
  deleteFormattedEmail,
  type FormattedEmail,
  findFormattedEmail,
  listFormattedEmails,
  saveFormattedEmail,
} from '../../store/formatted-emails.ts';
import { lockCreation } from '../../store/row-locks.ts';
import { actorOf } from '../auth/guard.ts';
import {
  draftFormattedEmail,
  type FormattedEmailItem,
  formattedEmailWarning,
  HaloFormattedEmail,
  viewFormattedEmail,
} from '../halo/formatted-email.ts';
import { eachItem } from '../http/items.ts';
import { byId, listOf, oneOrMany, saved } from '../http/shapes.ts';
import type { Api } from '../route.ts';
import type { ApiContext } from '../services.ts';

const ENTITY = 'formatted_email';

export function formattedEmailRoutes(app: Api, { db }: ApiContext): void {
  app.get(
    '/formattedemail',
    {
      config: { access: 'admin' },
      schema: {
        tags: ['FormattedEmail'],
        summary: 'List label sets and templates',
        response: { 200: Type.Array(HaloFormattedEmail) },
      },
    },
    async () => (await listFormattedEmails(db)).map(viewFormattedEmail),
  );

  app.post(
    '/formattedemail',
    {
      config: { access: 'admin' },
      schema: {
        tags: ['FormattedEmail'],
        summary: 'Create or update label sets and templates',
        description:
          'An item with an id is updated, and what it leaves out stays. The same one again makes no second.',
        body: listOf(HaloFormattedEmail),
        response: { 201: oneOrMany(HaloFormattedEmail) },
      },
    },
    async (request, reply) => {
      const actor = actorOf(request);
      const views = await db.transaction().execute(async (tx) => {
        await lockCreation(tx, 'formatted_email');
        return await eachItem(request.body, (item) => save(tx, item, actor));
      });
      return await saved(reply, views);
    },
  );

  app.get(
    '/formattedemail/:id',
    {
      config: { access: 'admin' },
      schema: {
        tags: ['FormattedEmail'],
        summary: 'Read one',
        params: byId,
        querystring: Type.Object({
          includedetails: Type.Optional(Type.Boolean({ description: 'Without effect: there is no more.' })),
        }),
        response: { 200: HaloFormattedEmail },
      },
    },
    async (request) => viewFormattedEmail(await find(db, request.params.id)),
  );

  app.delete(
    '/formattedemail/:id',
    {
      config: { access: 'admin' },
      schema: {
        tags: ['FormattedEmail'],
        summary: 'Delete one',
        description: 'Mail that was queued with it is sent as it is.',
        params: byId,
        response: { 200: HaloFormattedEmail },
      },
    },
    async (request) =>
      await db.transaction().execute(async (tx) => {
        await lockCreation(tx, 'formatted_email');
        const email = await find(tx, request.params.id);
        await deleteFormattedEmail(tx, email.id);
        await writeAudit(tx, {
          actor: actorOf(request),
          action: 'delete',
          entity: ENTITY,
          entityId: email.id,
          change: { before: email },
        });
        return viewFormattedEmail(email);
      }),
  );
}

async function find(db: Database | Tx, id: number): Promise<FormattedEmail> {
  const email = await findFormattedEmail(db, id);
  if (email === null) throw fail('not_found', `There is no formatted e-mail ${id}.`);
  return email;
}

async function save(tx: Tx, item: FormattedEmailItem, actor: string): Promise<FormattedEmailItem> {
  const current = item.id ? await find(tx, item.id) : null;
  const draft = draftFormattedEmail(item, current);
  const others = current === null ? await listFormattedEmails(tx) : [];
  const repeated = others.find((other) => isDeepStrictEqual({ ...other, id: 0 }, draft));
  if (repeated !== undefined) {
    const _warning = `Formatted e-mail ${repeated.id} is the same in everything, so no second one was made.`;
    return { ...viewFormattedEmail(repeated), _warning };
  }
  const id = await saveFormattedEmail(tx, draft);
  const action = current === null ? 'create' : 'update';
  await writeAudit(tx, {
    actor,
    action,
    entity: ENTITY,
    entityId: id,
    change: { before: current, after: draft },
  });
  return { ...viewFormattedEmail({ ...draft, id }), _warning: formattedEmailWarning(draft) };
}
