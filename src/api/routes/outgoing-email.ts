/** `/Outgoingemail` (halo-api.md section 7): every mail of ours, what became of it, and sending it again. */
import Type, { type Static } from 'typebox';
import { fail } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { printAddresses } from '../../outbound/address-list.ts';
import { likelyCause } from '../../outbound/likely-cause.ts';
import { writeAudit } from '../../store/audit-log.ts';
import type { Tx } from '../../store/database.ts';
import type { OutgoingRow } from '../../store/outgoing.ts';
import {
  deleteOutgoing,
  listOutgoing,
  lockOutgoing,
  markSent,
  maySendAgain,
  sendAgain,
} from '../../store/outgoing-list.ts';
import { lockRows } from '../../store/row-locks.ts';
import { OUTGOING_STATES, type OutgoingKind } from '../../store/states.ts';
import { actorOf } from '../auth/guard.ts';
import { bigId, date, flag, int, printDate, text } from '../halo/fields.ts';
import { eachItem, idsOf } from '../http/items.ts';
import { invalid } from '../http/problem.ts';
import { byBigId, listOf, oneOrMany, saved } from '../http/shapes.ts';
import type { Api } from '../route.ts';
import type { ApiContext } from '../services.ts';

const computed = 'Only in answers: ';
const HaloOutgoing = Type.Object(
  {
    id: bigId('The mail.'),
    datesent: date(`${computed}when it was sent; null while it was not.`),
    memo: text(`${computed}plain text.`, LIMITS.bodyTextChars),
    html: text(`${computed}HTML.`, LIMITS.bodyHtmlChars),
    delete: flag('True deletes the mail; one that waits is not sent any more.'),
    from: text(`${computed}sender.`),
    to: text(`${computed}recipients.`, 64_000),
    cc: text(`${computed}Cc.`, 64_000),
    subject: text(`${computed}subject.`),
    likely_cause: text(`${computed}why it failed, in plain words.`),
    changeseq: int('Change counter. A change that carries another one than stored is refused with 409.'),
    type: int(`${computed}1 ticket action, 2 acknowledgement, 3 notification, 4 stored e-mail.`),
    idone: bigId(`${computed}ticket of 1 and 2, EmailStore of 4.`),
    idtwo: bigId(`${computed}message that is answered by 2 and 3.`),
    actiondate: date(`${computed}when it was queued.`),
    error: text('Error text. Empty on input: send the mail again.'),
    _warning: text(`${computed}what you should know.`),
    penstock: Type.Optional(
      Type.Unsafe<{ resolve?: 'sent' | null; [name: string]: unknown } | null>({
        type: ['object', 'null'],
        description: `${computed}state, attempts, next_attempt, message_id, mailbox_id, error_code, bounce.`,
        properties: {
          resolve: {
            type: ['string', 'null'],
            enum: ['sent', null],
            description: 'For a mail in doubt: sent says that it arrived, so that it is not sent again.',
          },
        },
      }),
    ),
  },
  { title: 'Outgoingemail' },
);
type OutgoingItem = Static<typeof HaloOutgoing>;

export function outgoingEmailRoutes(app: Api, { db }: ApiContext): void {
  app.get(
    '/Outgoingemail',
    {
      config: { access: 'read_mail' },
      schema: {
        tags: ['Outgoingemail'],
        summary: 'List mail that was sent, or is to be',
        description: `The newest ${LIMITS.pageSize} at most, the newest first.`,
        querystring: Type.Object({
          errorsonly: Type.Optional(
            Type.Boolean({ description: 'Only what failed, is in doubt, or came back.' }),
          ),
          state: Type.Optional(
            Type.Enum([...OUTGOING_STATES], { description: 'Only in this state (ours).' }),
          ),
          mbid: Type.Optional(Type.Integer({ description: 'Only of this mailbox (ours).' })),
          before: Type.Optional(Type.Integer({ description: 'Only older than this id (ours).' })),
          count: Type.Optional(
            Type.Integer({ minimum: 1, maximum: LIMITS.pageSize, description: 'How many (ours).' }),
          ),
        }),
        response: { 200: Type.Array(HaloOutgoing) },
      },
    },
    async ({ query }) => {
      const rows = await listOutgoing(db, {
        errorsOnly: query.errorsonly === true,
        state: query.state ?? null,
        mailboxId: query.mbid ?? null,
        beforeId: query.before ?? null,
        most: query.count ?? LIMITS.pageSize,
      });
      return rows.map(view);
    },
  );

  app.post(
    '/Outgoingemail',
    {
      config: { access: 'write_mail' },
      schema: {
        tags: ['Outgoingemail'],
        summary: 'Send mail again',
        description:
          'With id and an empty error it is sent again; delete true deletes. New mail is sent by /EmailStore.',
        body: listOf(HaloOutgoing),
        response: { 201: oneOrMany(HaloOutgoing) },
      },
    },
    async (request, reply) => {
      const actor = actorOf(request);
      const views = await db.transaction().execute(async (tx) => {
        await lockRows(tx, 'outgoing_email', idsOf(request.body));
        return await eachItem(request.body, (item) => change(tx, item, actor));
      });
      return await saved(reply, views);
    },
  );

  app.delete(
    '/Outgoingemail/:id',
    {
      config: { access: 'write_mail' },
      schema: {
        tags: ['Outgoingemail'],
        summary: 'Delete a mail',
        description: 'One that waits is not sent any more.',
        params: byBigId,
        response: { 200: HaloOutgoing },
      },
    },
    async (request) =>
      await db.transaction().execute(async (tx) => await remove(tx, request.params.id, actorOf(request))),
  );
}

async function find(tx: Tx, id: number): Promise<OutgoingRow> {
  const row = await lockOutgoing(tx, id);
  if (row === null) throw fail('not_found', `There is no outgoing e-mail ${id}.`);
  return row;
}

async function remove(tx: Tx, id: number, actor: string): Promise<OutgoingItem> {
  const row = await find(tx, id);
  if (row.state === 'sending') throw fail('conflict', `Outgoing e-mail ${id} is being sent.`);
  await deleteOutgoing(tx, row);
  await writeAudit(tx, { actor, action: 'delete', entity: 'outgoing_email', entityId: id });
  return { ...view(row), delete: true };
}

async function change(tx: Tx, item: OutgoingItem, actor: string): Promise<OutgoingItem> {
  if (!item.id) throw invalid('id', 'is missing; new mail is sent by /EmailStore');
  if (item.delete === true) return await remove(tx, item.id, actor);
  const row = await find(tx, item.id);
  if (item.changeseq && item.changeseq !== row.change_seq) {
    const message = `Outgoing e-mail ${row.id} was changed meanwhile (changeseq ${row.change_seq}); read it again.`;
    throw fail('conflict', message, { field: 'changeseq' });
  }
  if (item.penstock?.resolve === 'sent') {
    if (row.state === 'sent') return view(row);
    if (row.state !== 'in_doubt')
      throw fail('conflict', `Outgoing e-mail ${row.id} is ${row.state}, not in doubt.`);
    await markSent(tx, row);
    await writeAudit(tx, { actor, action: 'mark_sent', entity: 'outgoing_email', entityId: row.id });
    return view((await lockOutgoing(tx, row.id))!);
  }
  if (item.error !== '' && item.error !== null) return view(row);
  // Asked for twice: it waits already.
  if (row.state === 'queued') return view(row);
  if (!maySendAgain(row)) {
    const what = row.state === 'sending' ? 'is being sent' : 'was sent without an error';
    throw fail('conflict', `Outgoing e-mail ${row.id} ${what}.`);
  }
  await sendAgain(tx, row);
  await writeAudit(tx, { actor, action: 'send_again', entity: 'outgoing_email', entityId: row.id });
  return view((await lockOutgoing(tx, row.id))!);
}

/** Halo's kinds (7.1). */
const TYPES: Readonly<Record<OutgoingKind, number>> = {
  stored: 4,
  acknowledgement: 2,
  answer: 3,
  welcome: 3,
};

function view(row: OutgoingRow): OutgoingItem {
  const { sender, recipients, bounce, state } = row;
  const problem = problemOf(row);
  return {
    id: row.id,
    datesent: printDate(row.sent_at),
    memo: row.text,
    html: row.html,
    delete: false,
    from: printAddresses([sender]),
    to: printAddresses([...recipients.to, ...recipients.bcc]),
    cc: printAddresses(recipients.cc),
    subject: row.subject,
    likely_cause: problem === null ? null : likelyCause(problem.code, problem.message),
    changeseq: row.change_seq,
    type: TYPES[row.kind],
    idone: (row.kind === 'stored' ? row.email_store_id : row.ticket_id) ?? 0,
    idtwo: row.incoming_email_id ?? 0,
    actiondate: printDate(row.created_at),
    error: problem?.message ?? '',
    _warning: null,
    penstock: {
      state,
      mailbox_id: row.mailbox_id,
      ticket_id: row.ticket_id,
      attempts: row.attempts,
      next_attempt: state === 'queued' || state === 'retrying' ? printDate(row.next_attempt_at) : null,
      message_id: row.sent_message_id ?? row.message_id,
      error_code: problem?.code ?? null,
      delivered: row.delivered,
      refused: row.refused,
      bounce,
    },
  };
}

function problemOf(row: OutgoingRow): { code: string; message: string } | null {
  const { bounce } = row as { bounce: { recipient?: string; status?: string; diagnostic?: string } | null };
  if (bounce !== null) {
    const { recipient = '', status = '', diagnostic = '' } = bounce;
    return { code: 'bounced', message: `It came back from ${recipient}: ${status} ${diagnostic}`.trim() };
  }
  return row.error_code === null ? null : { code: row.error_code, message: row.error_message ?? '' };
}
