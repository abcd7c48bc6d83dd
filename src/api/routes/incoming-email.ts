/** `/incomingemail` (halo-api.md section 6): lists, single records, and what people do with them. */
import Type from 'typebox';
import { fail } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { writeAudit } from '../../store/audit-log.ts';
import type { Database, Tx } from '../../store/database.ts';
import { assignEmail, deleteEmails } from '../../store/email-changes.ts';
import {
  type EmailRow,
  findByMailId,
  findEmail,
  findEmailDetails,
  quarantinedLike,
} from '../../store/email-queries.ts';
import { findMailbox } from '../../store/mailboxes.ts';
import { findRequester } from '../../store/requester-queries.ts';
import { lockEmails } from '../../store/row-locks.ts';
import { readTrace } from '../../store/traces.ts';
import { actorOf } from '../auth/guard.ts';
import { EMAIL_STATUS } from '../halo/enums.ts';
import { viewEmail } from '../halo/incoming-email.ts';
import { type EmailItem, HaloEmail } from '../halo/incoming-email-fields.ts';
import { buildMessage } from '../halo/mime-message.ts';
import { decodeBase64 } from '../http/base64.ts';
import { invalid } from '../http/problem.ts';
import { byBigId, listOf, oneOrMany, saved } from '../http/shapes.ts';
import { inOneTransaction } from '../http/transaction.ts';
import { ingest } from '../ingest.ts';
import { requeue } from '../requeue.ts';
import type { Api } from '../route.ts';
import type { ApiContext, QueuedEmail } from '../services.ts';
import { emailListRoute, viewEmails } from './incoming-email-list.ts';
import { mailboxFor, noteArrival } from './mail.ts';
import { view as viewMailboxes } from './mailbox.ts';

const TRACE_EVENT = Type.Unsafe<object>({
  title: 'TraceEvent',
  type: 'object',
  properties: {
    at: { type: 'string', format: 'date-time' },
    event: {
      type: 'string',
      description: 'seen, stored, parsed, classified, threaded, rules, outcome, failed, ...',
    },
  },
});
const Released = Type.Object({
  released: Type.Integer(),
  ids: Type.Array(Type.Integer()),
  more: Type.Boolean(),
});

export function emailRoutes(app: Api, context: ApiContext): void {
  const { db, services } = context;
  emailListRoute(app, context);

  app.post(
    '/incomingemail',
    {
      config: { access: 'write_mail' },
      bodyLimit: LIMITS.requestBytes,
      schema: {
        tags: ['IncomingEmail'],
        summary: 'Try again, delete, or hand in messages',
        description:
          'With id: status 0 or processed false tries again, delete true deletes, addactiontofaultid and agentid are ' +
          'stored. Without id: hands in a message for mbid, from data or from the fields. The same mailid again ' +
          'answers with the record it led to.',
        body: listOf(HaloEmail),
        response: { 201: oneOrMany(HaloEmail) },
      },
    },
    async (request, reply) => {
      const actor = actorOf(request);
      const queued: QueuedEmail[] = [];
      const results = await db.transaction().execute(async (tx) => {
        queued.length = 0;
        await lockEmails(
          tx,
          request.body.map((item) => item.id ?? 0),
        );
        return await inOneTransaction(request.body, (item) =>
          item.id ? change(tx, item, item.id, actor, queued) : create(context, tx, item, actor, queued),
        );
      });
      await services.enqueue(queued);
      const views = await viewEmails(
        db,
        results.map(({ email }) => email),
      );
      return await saved(
        reply,
        views.map((shown, index) => ({ ...shown, ...results[index]!.remarks })),
      );
    },
  );

  app.post(
    '/incomingemail/release',
    {
      config: { access: 'write_mail' },
      schema: {
        tags: ['IncomingEmail'],
        summary: 'Release quarantined messages by their error fingerprint (ours)',
        body: Type.Object({
          fingerprint: Type.String({ minLength: 1, maxLength: 200 }),
          mbid: Type.Optional(Type.Integer({ description: 'Only of this mailbox.' })),
        }),
        response: { 200: Released },
      },
    },
    async (request) => {
      const { fingerprint, mbid } = request.body;
      const { queued, more } = await db.transaction().execute(async (tx) => {
        const found = await quarantinedLike(tx, fingerprint, mbid ?? null, LIMITS.releaseAtOnce + 1);
        const ids = found.slice(0, LIMITS.releaseAtOnce);
        await lockEmails(tx, ids);
        return { queued: await release(tx, ids, actorOf(request)), more: found.length > ids.length };
      });
      await services.enqueue(queued);
      return { released: queued.length, ids: queued.map(({ id }) => id), more };
    },
  );

  app.get(
    '/incomingemail/:id',
    {
      config: { access: 'read_mail' },
      schema: {
        tags: ['IncomingEmail'],
        summary: 'Read a record',
        params: byBigId,
        querystring: Type.Object({
          includedetails: Type.Optional(
            Type.Boolean({ description: 'With data, memo, mailbox, user, parts and evidence.' }),
          ),
          showcurrentagentonly: Type.Optional(
            Type.Boolean({ description: 'Without effect: API clients are no agents.' }),
          ),
          unsafe: Type.Optional(
            Type.Enum(['raw'], {
              description: 'With includedetails: html as the sender wrote it, scripts and all.',
            }),
          ),
        }),
        response: { 200: HaloEmail },
      },
    },
    async (request) => {
      const email = await find(db, request.params.id);
      const { includedetails, unsafe } = request.query;
      return includedetails === true
        ? await viewWhole(context, email, unsafe === 'raw')
        : (await viewEmails(db, [email]))[0]!;
    },
  );

  app.get(
    '/incomingemail/:id/raw',
    {
      config: { access: 'read_mail' },
      schema: {
        tags: ['IncomingEmail'],
        summary: 'Download the message, byte for byte (ours)',
        params: byBigId,
        produces: ['message/rfc822'],
      },
    },
    async (request, reply) => {
      const { id, rawSha256, size } = await find(db, request.params.id);
      const stream = await services.raw.open(rawSha256);
      return await reply
        .type('message/rfc822')
        .headers({
          'content-disposition': `attachment; filename="message-${id}.eml"`,
          'content-length': size,
          etag: `"${rawSha256.toString('hex')}"`,
        })
        .send(stream);
    },
  );

  app.get(
    '/incomingemail/:id/trace',
    {
      config: { access: 'read_mail' },
      schema: {
        tags: ['IncomingEmail'],
        summary: 'What happened to a message, in order (ours)',
        params: byBigId,
        response: { 200: Type.Array(TRACE_EVENT) },
      },
    },
    async (request) => {
      const { ledgerId } = await find(db, request.params.id);
      return await readTrace(db, ledgerId);
    },
  );

  app.post(
    '/incomingemail/:id/release',
    {
      config: { access: 'write_mail' },
      schema: {
        tags: ['IncomingEmail'],
        summary: 'Release a quarantined message (ours)',
        params: byBigId,
        response: { 200: HaloEmail },
      },
    },
    async (request) => {
      const { id } = request.params;
      const queued = await db.transaction().execute(async (tx) => {
        await lockEmails(tx, [id]);
        const { state } = await find(tx, id);
        // Asked for twice: it is released already.
        if (state === 'queued' || state === 'processing') return [];
        if (state !== 'quarantined') {
          throw fail('conflict', `Incoming email ${id} is ${state}, not quarantined.`);
        }
        return await release(tx, [id], actorOf(request));
      });
      await services.enqueue(queued);
      return (await viewEmails(db, [await find(db, id)]))[0]!;
    },
  );

  app.delete(
    '/incomingemail/:id',
    {
      config: { access: 'write_mail' },
      schema: {
        tags: ['IncomingEmail'],
        summary: 'Delete a record',
        description: 'It is hidden; the ledger keeps that its message was seen.',
        params: byBigId,
        response: { 200: HaloEmail },
      },
    },
    async (request) =>
      await db.transaction().execute(async (tx) => {
        const { id } = request.params;
        await lockEmails(tx, [id]);
        const [shown] = await viewEmails(tx, [await find(tx, id)]);
        await remove(tx, id, actorOf(request));
        return { ...shown!, delete: true };
      }),
  );
}

async function find(db: Database | Tx, id: number): Promise<EmailRow> {
  const email = await findEmail(db, id);
  if (email === null) throw fail('not_found', `There is no incoming email ${id}.`);
  return email;
}

interface Changed {
  email: EmailRow;
  remarks: { _warning: string | null; delete?: true };
}

/** An item with an id: delete, assign, try again (6, POST). */
async function change(
  tx: Tx,
  item: EmailItem,
  id: number,
  actor: string,
  queued: QueuedEmail[],
): Promise<Changed> {
  const email = await find(tx, id);
  if (item.delete === true) {
    await remove(tx, id, actor);
    return { email, remarks: { _warning: null, delete: true } };
  }
  const assigned = {
    ...(item.addactiontofaultid === undefined ? {} : { ticketId: item.addactiontofaultid || null }),
    ...(item.agentid === undefined ? {} : { agentId: item.agentid }),
  };
  const differs =
    (assigned.ticketId !== undefined && assigned.ticketId !== email.addToTicketId) ||
    (assigned.agentId !== undefined && assigned.agentId !== email.agentId);
  if (differs) {
    await assignEmail(tx, id, assigned);
    await writeAudit(tx, {
      actor,
      action: 'update',
      entity: 'incoming_email',
      entityId: id,
      change: assigned,
    });
  }
  const warning = asksForRetry(item) ? await retry(tx, email, actor, queued) : null;
  return { email: await find(tx, id), remarks: { _warning: warning } };
}

/** Clients post back what they read: `processed: false` beside a status other than queued asks for nothing. */
function asksForRetry({ status, processed }: EmailItem): boolean {
  if (status === undefined || status === null) return processed === false;
  return EMAIL_STATUS.word(status) === 'queued';
}

async function retry(tx: Tx, email: EmailRow, actor: string, queued: QueuedEmail[]): Promise<string | null> {
  const { id, state } = email;
  if (state === 'processed' || state === 'ignored')
    return `It is ${state} already, and that is not done twice.`;
  if (state === 'processing') return 'It is being processed at this moment.';
  queued.push(...(await release(tx, [id], actor)));
  return null;
}

async function release(tx: Tx, ids: number[], actor: string): Promise<QueuedEmail[]> {
  const queued = await requeue(tx, ids, actor);
  for (const { id } of queued) {
    await writeAudit(tx, { actor, action: 'retry', entity: 'incoming_email', entityId: id });
  }
  return queued;
}

async function remove(tx: Tx, id: number, actor: string): Promise<void> {
  await deleteEmails(tx, [id]);
  await writeAudit(tx, { actor, action: 'delete', entity: 'incoming_email', entityId: id });
}

/** An item without an id hands in a message: its bytes, or what its fields say. */
async function create(
  context: ApiContext,
  tx: Tx,
  item: EmailItem,
  actor: string,
  queued: QueuedEmail[],
): Promise<Changed> {
  const mailbox = await mailboxFor(tx, item.mbid ?? 0, 'mbid');
  const key = item.mailid ?? '';
  if (item._checkmailid === true && key !== '') {
    const known = await findByMailId(tx, mailbox.id, key);
    if (known !== null) return { email: known, remarks: { _warning: null } };
  }
  const ingested = await ingest(tx, context.services.raw, mailbox, key, bytesOf(item));
  if (ingested.isNew) {
    await noteArrival(tx, ingested, actor);
    queued.push(ingested.email);
  }
  return { email: ingested.email, remarks: { _warning: ingested.remark } };
}

function bytesOf(item: EmailItem): Buffer {
  if (item.data) return decodeBase64(item.data, 'data');
  const { from, to, subject, memo, html } = item;
  if (![from, to, subject, memo, html].some(Boolean)) throw invalid('data', 'or some text must be given');
  const addresses = (text: string | null | undefined) => (text ? [{ address: text }] : []);
  return buildMessage({
    from: addresses(from),
    to: (to ?? '').split(/[;,]/).flatMap(addresses),
    subject: subject ?? null,
    textBody: memo ?? null,
    htmlBody: html ?? null,
    date: item.datecreated ?? null,
  });
}

async function viewWhole(context: ApiContext, email: EmailRow, withHtml: boolean): Promise<EmailItem> {
  const { db, services } = context;
  const mailbox = await findMailbox(db, email.mailboxId);
  const fits = email.size <= LIMITS.rawInJsonBytes;
  const raw = fits ? await services.raw.read(email.rawSha256) : null;
  const details = await findEmailDetails(db, email.id);
  if (details === null) throw fail('not_found', `There is no incoming email ${email.id}.`);
  const shown = viewEmail(email, mailbox?.kind ?? null, {
    details,
    raw,
    html: withHtml && raw !== null ? (await services.parse(raw)).html : null,
    mailbox: mailbox === null ? null : (await viewMailboxes(context, db, [mailbox], false))[0]!,
    requester: email.requesterId === null ? null : await findRequester(db, email.requesterId),
  });
  return fits ? shown : { ...shown, _warning: `The message has ${email.size} bytes: data is at /raw only.` };
}
