/** `/Mailbox` (halo-api.md 3.1 to 3.4). */
import Type from 'typebox';
import { fail } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { secretOwner } from '../../mailbox-source.ts';
import { writeAudit } from '../../store/audit-log.ts';
import { readControl } from '../../store/control.ts';
import { secretPlaces } from '../../store/credentials.ts';
import type { Database, Tx } from '../../store/database.ts';
import { mailboxProgress, secretNames } from '../../store/mailbox-progress.ts';
import {
  deleteMailbox,
  findMailbox,
  listMailboxes,
  type Mailbox,
  queuedMail,
} from '../../store/mailboxes.ts';
import { notify } from '../../store/notify.ts';
import { tokenStandings } from '../../store/oauth-tokens.ts';
import { lockMailboxes } from '../../store/row-locks.ts';
import { subscriptionStandings } from '../../store/subscriptions.ts';
import { actorOf } from '../auth/guard.ts';
import { HaloMailbox, type MailboxItem } from '../halo/mailbox-fields.ts';
import { viewMailbox, viewSettings } from '../halo/mailbox-view.ts';
import { eachItem, idsOf } from '../http/items.ts';
import { invalid } from '../http/problem.ts';
import { byId, listOf, oneOrMany, saved } from '../http/shapes.ts';
import { exchangeCode } from '../mailbox-code.ts';
import { MailboxSaver } from '../mailbox-save.ts';
import { testMailbox } from '../mailbox-test.ts';
import type { Api } from '../route.ts';
import type { ApiContext } from '../services.ts';

export function mailboxRoutes(app: Api, context: ApiContext): void {
  app.get(
    '/Mailbox',
    {
      config: { access: 'admin' },
      schema: {
        tags: ['Mailbox'],
        summary: 'List mailboxes',
        querystring: Type.Object({
          department_id: Type.Optional(
            Type.Integer({ description: 'Those of this department, and unrestricted ones.' }),
          ),
          organisation_id: Type.Optional(Type.Integer({ description: 'Likewise for an organisation.' })),
          team_id: Type.Optional(Type.Integer({ description: 'Likewise for a team.' })),
          from_addresses: Type.Optional(Type.Boolean({ description: 'Only those offered as a sender.' })),
          ignore_default: Type.Optional(
            Type.Boolean({ description: 'Without the mailbox that is default_mailbox_id of /Control.' }),
          ),
          showall: Type.Optional(
            Type.Boolean({ description: 'Disabled ones too, and without restrictions.' }),
          ),
        }),
        response: { 200: Type.Array(HaloMailbox) },
      },
    },
    async (request) => {
      const all = await listMailboxes(context.db);
      const { query } = request;
      const left =
        query.ignore_default === true ? (await readControl(context.db)).defaultMailboxId : undefined;
      const chosen = all.filter(chosenBy(query)).filter(({ id }) => id !== left);
      return await viewMailboxes(context, context.db, chosen, false);
    },
  );

  app.post(
    '/Mailbox',
    {
      config: { access: 'admin' },
      bodyLimit: LIMITS.recordRequestBytes,
      schema: {
        tags: ['Mailbox'],
        summary: 'Create or update mailboxes',
        description:
          'An item with an id is updated, and what it leaves out stays. By Halo’s default processed mail is moved to ' +
          'the deleted items folder; set imapleavemailininbox or penstock.after to keep it. A create that repeats ' +
          'an existing mailbox in everything answers with that one.',
        body: listOf(HaloMailbox),
        response: { 200: oneOrMany(HaloMailbox), 201: oneOrMany(HaloMailbox) },
      },
    },
    async (request, reply) => {
      const { body } = request;
      if (body.some((item) => item._testonly === true)) {
        if (body.length > 1) throw invalid('_testonly', 'is for one mailbox at a time');
        const { mailbox, report, refreshToken } = await testMailbox(context, body[0]!);
        const [shown] = await viewMailboxes(context, context.db, [mailbox], true);
        const newest = refreshToken === null ? {} : { refreshtoken: refreshToken };
        return await reply.code(200).send({ ...shown!, ...newest, _testonly: true, _warning: report });
      }
      const items = await eachItem(body, (item) => exchangeCode(context, item));
      const views = await context.db.transaction().execute(async (tx) => {
        await lockMailboxes(tx, idsOf(items));
        const saver = new MailboxSaver(context, tx, actorOf(request));
        const results = await eachItem(items, (item) => saver.save(item));
        const shown = await viewMailboxes(
          context,
          tx,
          results.map(({ mailbox }) => mailbox),
          true,
        );
        return shown.map((one, index) => ({ ...one, _warning: results[index]!.warnings.join('\n') || null }));
      });
      return await saved(reply, views);
    },
  );

  app.get(
    '/Mailbox/:id',
    {
      config: { access: 'admin' },
      schema: {
        tags: ['Mailbox'],
        summary: 'Read a mailbox',
        params: byId,
        querystring: Type.Object({
          includedetails: Type.Optional(
            Type.Boolean({ description: 'With signature_overrides and mappings_user.' }),
          ),
          includeglobalsmtp: Type.Optional(
            Type.Boolean({ description: 'Without effect: there is no such entry here.' }),
          ),
        }),
        response: { 200: HaloMailbox },
      },
    },
    async (request) => {
      const mailbox = await find(context.db, request.params.id);
      return (await viewMailboxes(context, context.db, [mailbox], request.query.includedetails === true))[0]!;
    },
  );

  app.delete(
    '/Mailbox/:id',
    {
      config: { access: 'admin' },
      schema: {
        tags: ['Mailbox'],
        summary: 'Delete a mailbox',
        description:
          'Its records and its ledger stay. While mail of it waits for processing it must be disabled first.',
        params: byId,
        response: { 200: HaloMailbox },
      },
    },
    async (request) =>
      await context.db.transaction().execute(async (tx) => {
        const { id } = request.params;
        await lockMailboxes(tx, [id]);
        const mailbox = await find(tx, id);
        if (mailbox.enabled && (await queuedMail(tx, id)) > 0) {
          throw invalid('enabled', 'must be set to false first: mail of this mailbox waits for processing');
        }
        const [shown] = await viewMailboxes(context, tx, [mailbox], true);
        await deleteMailbox(tx, id);
        await writeAudit(tx, { actor: actorOf(request), action: 'delete', entity: 'mailbox', entityId: id });
        return shown!;
      }),
  );

  app.post(
    '/Mailbox/:id/poll',
    {
      config: { access: 'admin' },
      schema: {
        tags: ['Mailbox'],
        summary: 'Poll a mailbox now (ours)',
        params: byId,
        response: { 202: Type.Object({ id: Type.Integer(), polling: Type.Boolean() }) },
      },
    },
    async (request, reply) => {
      const { id, enabled } = await find(context.db, request.params.id);
      if (!enabled) throw fail('conflict', `Mailbox ${id} is switched off.`);
      await notify(context.db, `poll:${id}`);
      return await reply.code(202).send({ id, polling: true });
    },
  );
}

async function find(db: Database | Tx, id: number): Promise<Mailbox> {
  const mailbox = await findMailbox(db, id);
  if (mailbox === null) throw fail('not_found', `There is no mailbox ${id}.`);
  return mailbox;
}

interface Choice {
  department_id?: number;
  organisation_id?: number;
  team_id?: number;
  from_addresses?: boolean;
  showall?: boolean;
}

/** A restriction of another kind, or none, does not keep a mailbox out. */
function chosenBy(choice: Choice): (mailbox: Mailbox) => boolean {
  const restrictions = [
    [1, 'restrictto_org_id', choice.organisation_id],
    [2, 'restrictto_department_id', choice.department_id],
    [3, 'restrictto_team_id', choice.team_id],
  ] as const;
  return (mailbox) => {
    const shown = viewSettings(mailbox);
    if (choice.from_addresses === true && shown.showinfromaddress !== true) return false;
    if (choice.showall === true) return true;
    if (!mailbox.enabled) return false;
    return restrictions.every(
      ([kind, field, asked]) =>
        asked === undefined || shown.restriction_type !== kind || shown[field] === asked,
    );
  };
}

/** Mailboxes as they are answered. Also used by other routes that show one. */
export async function viewMailboxes(
  { config }: ApiContext,
  db: Database | Tx,
  mailboxes: Mailbox[],
  details: boolean,
): Promise<MailboxItem[]> {
  const ids = mailboxes.map(({ id }) => id);
  const progress = await mailboxProgress(db, ids);
  const places = await secretPlaces(db, ids);
  const owners = [...places].flatMap(([id, placeOf]) => [placeOf('password'), secretOwner(id)]);
  const secrets = await secretNames(db, owners);
  const subscriptions = new Map((await subscriptionStandings(db, ids)).map((one) => [one.mailboxId, one]));
  const tokens = new Map(
    (await tokenStandings(db, owners)).map((standing) => [standing.credential, standing]),
  );
  return mailboxes.map((mailbox) => {
    const { id } = mailbox;
    const placeOf = places.get(id) ?? (() => secretOwner(id));
    const stored = [...new Set([placeOf('password'), secretOwner(id)])].flatMap((owner) =>
      (secrets.get(owner) ?? []).filter((name) => placeOf(name) === owner),
    );
    const circumstances = {
      progress: progress.get(id) ?? null,
      secrets: stored.sort(),
      subscription: subscriptions.get(id) ?? null,
      token: tokens.get(placeOf('token')) ?? null,
      staleIntervals: config.poller.staleIntervals,
    };
    return viewMailbox(mailbox, circumstances, details) as MailboxItem;
  });
}
