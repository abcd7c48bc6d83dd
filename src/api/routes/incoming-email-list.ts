/** `GET /incomingemail`: filters, Halo's paging (halo-api.md 1.6 and 1.7), and paging by cursor, which is ours. */
import Type, { type Static } from 'typebox';
import type { Database, Tx } from '../../store/database.ts';
import {
  countEmails,
  type EmailFilter,
  type EmailOrder,
  type EmailRow,
  listEmails,
  listEmailsAfter,
} from '../../store/email-queries.ts';
import { mailboxKinds } from '../../store/mailbox-progress.ts';
import type { EmailState } from '../../store/states.ts';
import { EMAIL_STATUS } from '../halo/enums.ts';
import { ORDER_FIELDS, viewEmail } from '../halo/incoming-email.ts';
import { HaloEmail } from '../halo/incoming-email-fields.ts';
import { flag, listQuery, number, readOrder, readStretch, text } from '../http/list-query.ts';
import { invalid } from '../http/problem.ts';
import type { Api } from '../route.ts';
import type { ApiContext } from '../services.ts';

const instant = (description: string) => Type.Optional(Type.String({ format: 'date-time', description }));

const fields = [...ORDER_FIELDS.keys()].join(', ');

const Query = Type.Object({
  ...listQuery(fields, 'datecreated, newest first'),
  showcurrentagentonly: flag('Without effect: API clients are no agents.'),
  status: Type.Optional(
    Type.Array(Type.Integer(), { maxItems: 20, description: `Ours. Any of: ${EMAIL_STATUS.allowed}.` }),
  ),
  mbid: number('Ours. Mailbox.'),
  search: text('Ours. Words of subject, sender or recipients.'),
  datecreated_start: instant('Ours. Recorded at this time or later.'),
  datecreated_end: instant('Ours. Recorded at this time or earlier.'),
  ticket_id: number('Ours. Ticket it led to.', 0, Number.MAX_SAFE_INTEGER),
  fingerprint: text('Ours. Error fingerprint.'),
  after: text(
    'Ours. Pages by cursor, newest first and equally fast at any depth: empty for the first page, then what the ' +
      'answer gave as after. With order=id and orderdesc=false oldest first.',
  ),
});
type Query = Static<typeof Query>;

const Page = Type.Object(
  {
    page_no: Type.Optional(Type.Integer()),
    page_size: Type.Integer(),
    record_count: Type.Optional(Type.Integer({ description: 'Over all pages.' })),
    after: Type.Optional(
      Type.Union([Type.String(), Type.Null()], { description: 'Cursor of the next page; null on the last.' }),
    ),
    incomingemails: Type.Array(HaloEmail),
  },
  { title: 'IncomingEmailPage' },
);
const List = Type.Unsafe<Static<typeof Page> | Static<typeof HaloEmail>[]>({
  description: 'A page with pageinate=true or after, else an array.',
  anyOf: [Type.Array(HaloEmail), Page],
});

export function emailListRoute(app: Api, { db }: ApiContext): void {
  app.get(
    '/incomingemail',
    {
      config: { access: 'read_mail' },
      schema: {
        tags: ['IncomingEmail'],
        summary: 'List records',
        description: 'Without data, html and memo.',
        querystring: Query,
        response: { 200: List },
      },
    },
    async (request) => {
      const { query } = request;
      const filter = readFilter(query);
      const order = orderOf(query);
      if (query.after !== undefined)
        return await byCursor(db, filter, query.after, order, query.page_size ?? 50);
      const { paged, page, size, offset } = readStretch(query);
      if (!paged) return await viewEmails(db, await listEmails(db, filter, order, size, 0));
      const [rows, total] = await Promise.all([
        listEmails(db, filter, order, size, offset),
        countEmails(db, filter),
      ]);
      return {
        page_no: page,
        page_size: size,
        record_count: total,
        incomingemails: await viewEmails(db, rows),
      };
    },
  );
}

function readFilter(query: Query): EmailFilter {
  const filter: EmailFilter = {};
  if (query.status !== undefined && query.status.length > 0) filter.states = query.status.map(stateOf);
  if (query.mbid !== undefined) filter.mailboxId = query.mbid;
  if (query.search !== undefined) filter.search = query.search;
  if (query.datecreated_start !== undefined) filter.createdFrom = query.datecreated_start;
  if (query.datecreated_end !== undefined) filter.createdUntil = query.datecreated_end;
  if (query.fingerprint !== undefined) filter.fingerprint = query.fingerprint;
  if (query.ticket_id !== undefined) filter.ticketId = query.ticket_id;
  return filter;
}

function stateOf(code: number): EmailState {
  const state = EMAIL_STATUS.word(code);
  if (state === null) throw invalid('status', `must be any of ${EMAIL_STATUS.allowed}`);
  // No record is a duplicate here, so nothing is found.
  return state as EmailState;
}

function orderOf(query: Query): EmailOrder[] {
  const order = readOrder(query, ORDER_FIELDS);
  return order.length > 0 ? order : [{ column: 'created_at', descending: query.orderdesc !== false }];
}

async function byCursor(
  db: Database,
  filter: EmailFilter,
  after: string,
  order: EmailOrder[],
  size: number,
): Promise<Static<typeof Page>> {
  const [first, second] = order;
  const byId = first!.column === 'id' && second === undefined;
  if (!byId && first!.column !== 'created_at') throw invalid('order', 'must be id, or left out, with after');
  const cursor = after === '' ? null : Number(/^e(\d{1,15})$/.exec(after)?.[1] ?? Number.NaN);
  if (Number.isNaN(cursor)) throw invalid('after', 'must be empty, or what an answer gave as after');
  const rows = await listEmailsAfter(db, filter, cursor, first!.descending, size + 1);
  const page = rows.slice(0, size);
  return {
    page_size: size,
    after: rows.length > size ? `e${page.at(-1)!.id}` : null,
    incomingemails: await viewEmails(db, page),
  };
}

/** Records as lists show them. */
export async function viewEmails(db: Database | Tx, rows: EmailRow[]): Promise<Static<typeof HaloEmail>[]> {
  const kinds = await mailboxKinds(db, [...new Set(rows.map(({ mailboxId }) => mailboxId))]);
  return rows.map((row) => viewEmail(row, kinds.get(row.mailboxId) ?? null, null));
}
