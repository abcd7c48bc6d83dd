/** `/Destination`, ours: where outcomes are sent besides the API. */
import Type, { type Static } from 'typebox';
import { DESTINATION_KINDS, HALO_ENDPOINTS, HALO_MODES, SEVERITIES } from '../../deliver/destination.ts';
import { AllowList } from '../../deliver/egress.ts';
import { EVENT_TYPES } from '../../deliver/event.ts';
import { addDestination, changeDestination, type DestinationChange } from '../../deliver/save.ts';
import { testDestination } from '../../deliver/trial.ts';
import { fail } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { writeAudit } from '../../store/audit-log.ts';
import type { Database, Tx } from '../../store/database.ts';
import { releaseDeliveries, replayDeliveries } from '../../store/deliveries.ts';
import {
  type Destination,
  deleteDestination,
  findDestination,
  listDestinations,
  lockDestination,
} from '../../store/destinations.ts';
import { lockCreation } from '../../store/row-locks.ts';
import { actorOf } from '../auth/guard.ts';
import { eachItem } from '../http/items.ts';
import { invalid } from '../http/problem.ts';
import { byId, listOf, oneOrMany, saved } from '../http/shapes.ts';
import type { Api } from '../route.ts';
import type { ApiContext } from '../services.ts';

const id = Type.Integer({ minimum: 1, maximum: 2_147_483_647 });
const text = (maxLength: number, description: string) => Type.String({ maxLength, description });
const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()]);

const HaloFields = Type.Object({
  mode: Type.Optional(
    Type.Enum([...HALO_MODES], {
      description: 'mail: messages, for Halo to decide on; tickets: tickets and actions as decided here.',
    }),
  ),
  client_id: Type.Optional(text(200, 'Of an API application there, for client credentials.')),
  tenant: Type.Optional(nullable(text(200, 'Only for hosted instances.'))),
  scope: Type.Optional(text(1_000, 'Default: all.')),
  mailbox_id: Type.Optional(Type.Integer({ minimum: 0, description: 'Number of the mailbox there (mail).' })),
  endpoint: Type.Optional(Type.Enum([...HALO_ENDPOINTS], { description: '/Mail/Integrator/... (mail).' })),
  closed_status_id: Type.Optional(
    Type.Integer({
      minimum: 0,
      description: 'Status of a closed ticket there; 0 leaves it alone (tickets).',
    }),
  ),
});

const settable = {
  id: Type.Optional(Type.Integer({ minimum: 0, maximum: 2_147_483_647 })),
  name: Type.Optional(text(255, 'Display name.')),
  type: Type.Optional(Type.Enum([...DESTINATION_KINDS], { description: 'Needed to create; cannot change.' })),
  enabled: Type.Optional(Type.Boolean({ description: 'False pauses: what is for it waits.' })),
  url: Type.Optional(text(LIMITS.destinationUrlChars, 'The endpoint; of a Halo its origin.')),
  events: Type.Optional(Type.Array(Type.Enum([...EVENT_TYPES]), { uniqueItems: true })),
  mailbox_ids: Type.Optional(
    Type.Array(id, { maxItems: 1_000, description: 'Only mail of these; empty = all.' }),
  ),
  rule_ids: Type.Optional(
    Type.Array(id, { maxItems: 1_000, description: 'Only of these rules; empty = all.' }),
  ),
  concurrency: Type.Optional(Type.Integer({ minimum: 1, maximum: 32 })),
  timeout_seconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 60 })),
  tls_ca: Type.Optional(nullable(text(100_000, 'An authority besides those of the system; PEM.'))),
  severity: Type.Optional(Type.Enum([...SEVERITIES], { description: 'PagerDuty and Splunk On-Call.' })),
  halo: Type.Optional(
    Type.Unsafe<Static<typeof HaloFields> | null>({ ...HaloFields, type: ['object', 'null'] }),
  ),
};
const Input = Type.Object(
  {
    ...settable,
    new_secret: Type.Optional(
      text(
        10_000,
        'Write-only. Webhook: signing keys with blanks between them, the newest first; made when left out. Halo: client secret. PagerDuty: integration key. Splunk On-Call: the whole URL of the REST endpoint.',
      ),
    ),
  },
  { title: 'DestinationInput' },
);
const View = Type.Object(
  {
    ...settable,
    consecutive_failures: Type.Optional(Type.Integer()),
    left_alone_until: Type.Optional(nullable(Type.String({ format: 'date-time' }))),
    last_delivered: Type.Optional(nullable(Type.String({ format: 'date-time' }))),
    last_error: Type.Optional(nullable(Type.String())),
    last_error_code: Type.Optional(nullable(Type.String())),
    disabled_reason: Type.Optional(nullable(Type.String({ description: 'Why Penstock switched it off.' }))),
    made_secret: Type.Optional(Type.String({ description: 'The signing key that was made; shown once.' })),
    _warning: Type.Optional(Type.String({ description: 'What you should know.' })),
  },
  { title: 'Destination' },
);
type InputItem = Static<typeof Input>;
type ViewItem = Static<typeof View>;

const TestAnswer = Type.Object({
  ok: Type.Boolean(),
  code: nullable(Type.String()),
  message: Type.String(),
  advice: nullable(Type.String()),
});
const ids = Type.Optional(
  Type.Array(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }), {
    maxItems: LIMITS.replayAtOnce,
  }),
);

export function destinationRoutes(app: Api, context: ApiContext): void {
  const { db } = context;
  const about = (summary: string) => ({ tags: ['Destination'], summary: `${summary} (ours)` });

  app.get(
    '/Destination',
    {
      config: { access: 'admin' },
      schema: { ...about('List destinations'), response: { 200: Type.Array(View) } },
    },
    async () => (await listDestinations(db)).map(view),
  );
  app.get(
    '/Destination/:id',
    {
      config: { access: 'admin' },
      schema: { ...about('Get a destination'), params: byId, response: { 200: View } },
    },
    async (request) => view(await existing(db, request.params.id)),
  );
  app.post(
    '/Destination',
    {
      config: { access: 'admin' },
      schema: {
        ...about('Create or update destinations'),
        description:
          'An item with an id is updated, and what it leaves out stays. What waits is tried again at once. The same one again makes no second.',
        body: listOf(Input),
        response: { 201: oneOrMany(View) },
      },
    },
    async (request, reply) => {
      const actor = actorOf(request);
      const views = await db.transaction().execute(async (tx) => {
        await lockCreation(tx, 'destination');
        return await eachItem(request.body, (item) => save(context, tx, item, actor));
      });
      return await saved(reply, views);
    },
  );
  app.delete(
    '/Destination/:id',
    {
      config: { access: 'admin' },
      schema: {
        ...about('Remove a destination'),
        description: 'What waits for it is dropped.',
        params: byId,
        response: { 200: View },
      },
    },
    async (request) =>
      await db.transaction().execute(async (tx) => {
        const destination = await locked(tx, request.params.id);
        const change = await deleteDestination(tx, destination.id);
        await audit(tx, actorOf(request), 'delete', destination.id, change);
        return view(destination);
      }),
  );
  app.post(
    '/Destination/:id/test',
    {
      config: { access: 'admin' },
      schema: { ...about('Send a test'), params: byId, response: { 200: TestAnswer } },
    },
    async (request) =>
      await testDestination(await existing(db, request.params.id), context.services.testDestination),
  );
  app.post(
    '/Destination/:id/replay',
    {
      config: { access: 'admin' },
      schema: {
        ...about('Send deliveries again'),
        description: 'Under the ids that the receiver knows. Without ids: all that were given up.',
        params: byId,
        body: Type.Object({
          ids,
          state: Type.Optional(Type.Enum(['dead', 'delivered'])),
          since: Type.Optional(
            Type.String({ format: 'date-time', description: 'Only outcomes from then on.' }),
          ),
        }),
        response: {
          202: Type.Object({
            replayed: Type.Integer(),
            outdated: Type.Integer({ description: 'Left: those on call were told of something later.' }),
          }),
        },
      },
    },
    async (request, reply) => {
      const answer = await db.transaction().execute(async (tx) => {
        const { id: destinationId } = await locked(tx, request.params.id);
        const replayed = await replayDeliveries(tx, { destinationId, ...request.body });
        await audit(tx, actorOf(request), 'replay', destinationId, { ...request.body, ...replayed });
        return replayed;
      });
      return await reply.code(202).send(answer);
    },
  );
  app.post(
    '/Destination/:id/release',
    {
      config: { access: 'admin' },
      schema: {
        ...about('Release deliveries that were given up'),
        description: 'They are not sent and reported no more. Without ids: all of the destination.',
        params: byId,
        body: Type.Object({ ids }),
        response: { 200: Type.Object({ released: Type.Integer() }) },
      },
    },
    async (request) =>
      await db.transaction().execute(async (tx) => {
        const { id: destinationId } = await locked(tx, request.params.id);
        const released = await releaseDeliveries(tx, destinationId, request.body.ids ?? null);
        await audit(tx, actorOf(request), 'release', destinationId, { released });
        return { released };
      }),
  );
}

async function save(context: ApiContext, tx: Tx, item: InputItem, actor: string): Promise<ViewItem> {
  const allowed = new AllowList(context.config.destinations.allow);
  const saving = { tx, keys: context.keys, allowed, actor };
  const change = changeOf(item);
  if ((item.id ?? 0) === 0) {
    if (item.type === undefined) throw invalid('type', 'must be given');
    const { destination, madeKey, isRepeat } = await addDestination(saving, item.type, change);
    if (isRepeat) return { ...view(destination), _warning: remarkOn(destination, change) };
    return { ...view(destination), ...(madeKey === null ? {} : { made_secret: madeKey }) };
  }
  const destination = await changeDestination(saving, item.id!, change);
  if (item.type !== undefined && item.type !== destination.kind) throw invalid('type', 'cannot change');
  return view(destination);
}

function remarkOn({ id, kind }: Destination, { secret }: DestinationChange): string {
  const remark = `Destination ${id} is the same in everything, so no second one was made.`;
  if (kind !== 'webhook' || secret !== undefined) return remark;
  return `${remark} Its signing key is not shown again; new_secret sets another one.`;
}

function changeOf(item: InputItem): DestinationChange {
  const { halo } = item;
  return {
    ...given('name', item.name),
    ...given('enabled', item.enabled),
    ...given('secret', item.new_secret),
    settings: {
      ...given('url', item.url),
      ...given('events', item.events),
      ...given('mailboxIds', item.mailbox_ids),
      ...given('ruleIds', item.rule_ids),
      ...given('concurrency', item.concurrency),
      ...given('timeoutSeconds', item.timeout_seconds),
      ...given('tlsCa', item.tls_ca),
      ...given('severity', item.severity),
    },
    halo: {
      ...given('mode', halo?.mode),
      ...given('clientId', halo?.client_id),
      ...given('tenant', halo?.tenant),
      ...given('scope', halo?.scope),
      ...given('mailboxId', halo?.mailbox_id),
      ...given('endpoint', halo?.endpoint),
      ...given('closedStatusId', halo?.closed_status_id),
    },
  };
}

function given<K extends string, V>(name: K, value: V | undefined): { [N in K]?: V } {
  return (value === undefined ? {} : { [name]: value }) as { [N in K]?: V };
}

/** Never with a secret. */
function view(destination: Destination): ViewItem {
  const { settings } = destination;
  const { halo } = settings;
  return {
    id: destination.id,
    name: destination.name,
    type: destination.kind,
    enabled: destination.enabled,
    url: settings.url,
    events: settings.events,
    mailbox_ids: settings.mailboxIds,
    rule_ids: settings.ruleIds,
    concurrency: settings.concurrency,
    timeout_seconds: settings.timeoutSeconds,
    tls_ca: settings.tlsCa,
    severity: settings.severity,
    halo:
      halo === null
        ? null
        : {
            mode: halo.mode,
            client_id: halo.clientId,
            tenant: halo.tenant,
            scope: halo.scope,
            mailbox_id: halo.mailboxId,
            endpoint: halo.endpoint,
            closed_status_id: halo.closedStatusId,
          },
    consecutive_failures: destination.consecutiveFailures,
    left_alone_until: destination.openUntil?.toISOString() ?? null,
    last_delivered: destination.lastDeliveredAt?.toISOString() ?? null,
    last_error: destination.lastError,
    last_error_code: destination.lastErrorCode,
    disabled_reason: destination.disabledReason,
  };
}

async function existing(db: Database, id: number): Promise<Destination> {
  const destination = await findDestination(db, id);
  if (destination === null) throw fail('not_found', `There is no destination ${id}.`);
  return destination;
}

async function locked(tx: Tx, id: number): Promise<Destination> {
  const destination = await lockDestination(tx, id);
  if (destination === null) throw fail('not_found', `There is no destination ${id}.`);
  return destination;
}

async function audit(tx: Tx, actor: string, action: string, entityId: number, change: object): Promise<void> {
  await writeAudit(tx, { actor, action, entity: 'destination', entityId, change });
}
