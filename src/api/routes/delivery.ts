/** `/Delivery`, ours: what was sent to destinations, waits, or was given up. */
import Type, { type Static } from 'typebox';
import { hintFor } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { type DeliveryRow, listDeliveries } from '../../store/deliveries.ts';
import { DELIVERY_STATES } from '../../store/states.ts';
import type { Api } from '../route.ts';
import type { ApiContext } from '../services.ts';

const nullableText = Type.Union([Type.String(), Type.Null()]);
const nullableDate = Type.Union([Type.String({ format: 'date-time' }), Type.Null()]);
const bigId = (description: string) =>
  Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description });

const View = Type.Object(
  {
    id: Type.Integer(),
    message_id: Type.String({
      description: 'What the receiver knows it by: webhook-id, or the mark in Halo.',
    }),
    destination_id: Type.Integer(),
    destination: Type.String(),
    event: Type.String(),
    incoming_email_id: Type.Integer(),
    ticket_id: Type.Union([Type.Integer(), Type.Null()]),
    state: Type.Enum([...DELIVERY_STATES]),
    attempts: Type.Integer(),
    datecreated: Type.String({ format: 'date-time' }),
    next_attempt: nullableDate,
    datefinished: nullableDate,
    reference: Type.Union([Type.String(), Type.Null()], { description: 'Its id in the other system.' }),
    error_code: nullableText,
    error: nullableText,
    advice: nullableText,
  },
  { title: 'Delivery' },
);

export function deliveryRoutes(app: Api, { db }: ApiContext): void {
  app.get(
    '/Delivery',
    {
      config: { access: 'admin' },
      schema: {
        tags: ['Destination'],
        summary: 'List deliveries, newest first (ours)',
        querystring: Type.Object({
          destination_id: Type.Optional(
            Type.Integer({ minimum: 1, maximum: 2_147_483_647, description: 'Only to this destination.' }),
          ),
          state: Type.Optional(
            Type.Enum([...DELIVERY_STATES], {
              description:
                'dead: given up, and a person decides. dropped: released, or its destination was removed.',
            }),
          ),
          incoming_email_id: Type.Optional(bigId('Only what this record led to.')),
          ticket_id: Type.Optional(bigId('Only outcomes of this ticket.')),
          before: Type.Optional(
            Type.Integer({
              minimum: 1,
              maximum: Number.MAX_SAFE_INTEGER,
              description: 'Only below this id: the next page.',
            }),
          ),
          count: Type.Optional(
            Type.Integer({ minimum: 1, maximum: LIMITS.pageSize, description: 'How many; default 50.' }),
          ),
        }),
        response: { 200: Type.Array(View) },
      },
    },
    async ({ query }) => {
      const rows = await listDeliveries(db, {
        ...(query.destination_id === undefined ? {} : { destinationId: query.destination_id }),
        ...(query.state === undefined ? {} : { state: query.state }),
        ...(query.incoming_email_id === undefined ? {} : { emailId: query.incoming_email_id }),
        ...(query.ticket_id === undefined ? {} : { ticketId: query.ticket_id }),
        ...(query.before === undefined ? {} : { before: query.before }),
        count: query.count ?? 50,
      });
      return rows.map(view);
    },
  );
}

function view(row: DeliveryRow): Static<typeof View> {
  return {
    id: row.id,
    message_id: row.messageId,
    destination_id: row.destinationId,
    destination: row.destination,
    event: row.event,
    incoming_email_id: row.emailId,
    ticket_id: row.ticketId,
    state: row.state,
    attempts: row.attempts,
    datecreated: row.createdAt.toISOString(),
    next_attempt: row.nextAttemptAt?.toISOString() ?? null,
    datefinished: row.finishedAt?.toISOString() ?? null,
    reference: row.reference,
    error_code: row.errorCode,
    error: row.error,
    advice: hintFor(row.errorCode),
  };
}
