/** `/incomingemail` (halo-api.md section 6): lists, single records, and what people do with them. */
import Type from 'typebox';
import { fail } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { type EmailRow, findEmailDetails, quarantinedLike } from '../../store/email-queries.ts';
import { findMailbox } from '../../store/mailboxes.ts';
import { findRequester } from '../../store/requester-queries.ts';
import { lockEmails } from '../../store/row-locks.ts';
import { readTrace } from '../../store/traces.ts';
import { transact } from '../../store/transact.ts';
import { actorOf } from '../auth/guard.ts';
import { changeEmail, createEmail, existingEmail, releaseEmails, removeEmail } from '../email-change.ts';
import { viewEmail } from '../halo/incoming-email.ts';
import { type EmailItem, HaloEmail } from '../halo/incoming-email-fields.ts';
import { MimeMessage } from '../halo/mail-fields.ts';
import { viewMimeMessage } from '../halo/mime-view.ts';
import { eachItem, idsOf } from '../http/items.ts';
import { byBigId, listOf, oneOrMany, saved } from '../http/shapes.ts';
import type { Api } from '../route.ts';
import type { ApiContext, QueuedEmail } from '../services.ts';
import { emailListRoute, viewEmails } from './incoming-email-list.ts';
import { viewMailboxes } from './mailbox.ts';

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
      const results = await transact(db, async (tx) => {
        queued.length = 0;
        await lockEmails(tx, idsOf(request.body));
        return await eachItem(request.body, (item) =>
          item.id
            ? changeEmail(tx, item, item.id, actor, queued)
            : createEmail(context, tx, item, actor, queued),
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
        return { queued: await releaseEmails(tx, ids, actorOf(request)), more: found.length > ids.length };
      });
      await services.enqueue(queued);
      return { released: queued.length, ids: queued.map(({ id }) => id).sort((a, b) => a - b), more };
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
      const email = await existingEmail(db, request.params.id);
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
      const { id, rawSha256, size } = await existingEmail(db, request.params.id);
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
    '/incomingemail/:id/mimemessage',
    {
      config: { access: 'read_mail' },
      schema: {
        tags: ['IncomingEmail'],
        summary: 'Read the message as a MimeMessage (ours)',
        params: byBigId,
        querystring: Type.Object({
          unsafe: Type.Optional(
            Type.Enum(['raw'], { description: 'htmlBody as the sender wrote it, scripts and all.' }),
          ),
        }),
        response: { 200: MimeMessage },
      },
    },
    async (request) => {
      const email = await existingEmail(db, request.params.id);
      return viewMimeMessage(await services.parse(email), request.query.unsafe === 'raw');
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
      const { ledgerId } = await existingEmail(db, request.params.id);
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
        const { state } = await existingEmail(tx, id);
        // Asked for twice: it is released already.
        if (state === 'queued' || state === 'processing') return [];
        if (state !== 'quarantined') {
          throw fail('conflict', `Incoming email ${id} is ${state}, not quarantined.`);
        }
        return await releaseEmails(tx, [id], actorOf(request));
      });
      await services.enqueue(queued);
      return (await viewEmails(db, [await existingEmail(db, id)]))[0]!;
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
        const [shown] = await viewEmails(tx, [await existingEmail(tx, id)]);
        await removeEmail(tx, id, actorOf(request));
        return { ...shown!, delete: true };
      }),
  );
}

async function viewWhole(context: ApiContext, email: EmailRow, withHtml: boolean): Promise<EmailItem> {
  const { db, services } = context;
  const mailbox = await findMailbox(db, email.mailboxId);
  const fits = email.size <= LIMITS.rawInJsonBytes;
  const raw = fits ? await services.raw.read(email.rawSha256) : null;
  const details = await findEmailDetails(db, email.id);
  if (details === null) throw fail('not_found', `There is no incoming email ${email.id}.`);
  // A quarantined message may be one that cannot be parsed; its record can be read all the same.
  const parsed = await services.parse(email).catch(() => null);
  const shown = viewEmail(email, mailbox?.kind ?? null, {
    details,
    raw,
    text: parsed?.text ?? null,
    html: withHtml ? (parsed?.html ?? null) : null,
    mailbox: mailbox === null ? null : (await viewMailboxes(context, db, [mailbox], false))[0]!,
    requester: email.requesterId === null ? null : await findRequester(db, email.requesterId),
  });
  return fits ? shown : { ...shown, _warning: `The message has ${email.size} bytes: data is at /raw only.` };
}
