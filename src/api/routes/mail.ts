/** `/Mail/Integrator/*` and `/Mail/ProcessMail` (halo-api.md section 2): mail that programs hand in. */
import type { FastifyReply } from 'fastify';
import Type, { type Static } from 'typebox';
import { fail } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { writeAudit } from '../../store/audit-log.ts';
import { findEmail, findEmails } from '../../store/email-queries.ts';
import { findMailbox } from '../../store/mailboxes.ts';
import { lockEmails } from '../../store/row-locks.ts';
import { actorOf } from '../auth/guard.ts';
import { EMAIL_STATUS } from '../halo/enums.ts';
import { buildFromPayload } from '../halo/gmail-payload.ts';
import { viewEmail } from '../halo/incoming-email.ts';
import { HaloEmail } from '../halo/incoming-email-fields.ts';
import {
  AzureMessage,
  GmailMessage,
  type GmailMessageItem,
  ImapMessage,
  Pop3Message,
  type PostedMessageItem,
} from '../halo/mail-fields.ts';
import { buildMessage } from '../halo/mime-message.ts';
import { decodeBase64 } from '../http/base64.ts';
import { invalid } from '../http/problem.ts';
import { ingest, mailboxFor, noteArrival } from '../ingest.ts';
import { requeue } from '../requeue.ts';
import type { Api } from '../route.ts';
import type { ApiContext } from '../services.ts';

const ProcessAnswer = Type.Object(
  {
    id: Type.Integer(),
    status: Type.Union([Type.Integer(), Type.Null()], { description: EMAIL_STATUS.allowed }),
    error: Type.Union([Type.String(), Type.Null()]),
  },
  { title: 'ProcessedMail' },
);

const HAND_IN = 'Answered after the message is safely stored: 201, or 200 when it was known.';

export function mailRoutes(app: Api, context: ApiContext): void {
  for (const [path, what, body] of [
    ['/Mail/Integrator/IMAP', 'over IMAP', ImapMessage],
    ['/Mail/Integrator/Pop3', 'over POP3', Pop3Message],
    ['/Mail/Integrator/Azure', 'from Microsoft Graph', AzureMessage],
  ] as const) {
    app.post(
      path,
      {
        config: { access: 'ingest' },
        bodyLimit: LIMITS.requestBytes,
        schema: {
          tags: ['Mail'],
          summary: `Hand in a message that was read ${what}`,
          description: `${HAND_IN} The bytes come from incomingEmailId, raw or mimeMessage, whichever is there first.`,
          body,
          response: { 200: HaloEmail, 201: HaloEmail },
        },
      },
      async (request, reply) => await take(context, request.body, bytesOf, actorOf(request), reply),
    );
  }

  app.post(
    '/Mail/Integrator/Google',
    {
      config: { access: 'ingest' },
      bodyLimit: LIMITS.requestBytes,
      schema: {
        tags: ['Mail'],
        summary: 'Hand in a message that was read from Gmail',
        description: `${HAND_IN} The bytes come from incomingEmailId, raw, payload or mimeMessage, whichever is there first.`,
        body: GmailMessage,
        response: { 200: HaloEmail, 201: HaloEmail },
      },
    },
    async (request, reply) => await take(context, request.body, bytesOfGmail, actorOf(request), reply),
  );

  app.post(
    '/Mail/ProcessMail',
    {
      config: { access: 'ingest' },
      schema: {
        tags: ['Mail'],
        summary: 'Process stored messages',
        description:
          'Each id is answered, in order. Those that are processed are skipped; the others are queued with new attempts.',
        querystring: Type.Object({
          task_id: Type.Optional(Type.Integer({ description: 'Noted in the audit log.' })),
        }),
        body: Type.Array(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }), {
          maxItems: LIMITS.batchItems,
        }),
        response: { 200: Type.Array(ProcessAnswer) },
      },
    },
    async (request) => {
      const ids = request.body;
      const actor = actorOf(request);
      const { answers, queued } = await context.db.transaction().execute(async (tx) => {
        await lockEmails(tx, ids);
        const known = await findEmails(tx, ids);
        const open = [...known.values()].filter(({ state }) => state !== 'processed' && state !== 'ignored');
        const queued = await requeue(
          tx,
          open.map(({ id }) => id),
          actor,
        );
        const change = { task: request.query.task_id ?? null, ids: queued.map(({ id }) => id) };
        await writeAudit(tx, {
          actor,
          action: 'process',
          entity: 'incoming_email',
          entityId: 'many',
          change,
        });
        return { queued, answers: ids.map((id) => answerFor(id, known.get(id), queued)) };
      });
      await context.services.enqueue(queued);
      return answers;
    },
  );
}

function answerFor(
  id: number,
  email: { state: Parameters<typeof EMAIL_STATUS.code>[0] } | undefined,
  queued: { id: number }[],
): Static<typeof ProcessAnswer> {
  if (email === undefined) return { id, status: null, error: 'There is no such record.' };
  const state = queued.some((row) => row.id === id) ? 'queued' : email.state;
  return { id, status: EMAIL_STATUS.code(state), error: null };
}

/** What a posted message is made of. */
interface Content {
  bytes: Buffer;
  /** When the server received it; an ISO instant. */
  internalDate: string | null;
  remark: string | null;
}

async function take<M extends PostedMessageItem>(
  context: ApiContext,
  message: M,
  contentOf: (message: M) => Content,
  actor: string,
  reply: FastifyReply,
): Promise<Static<typeof HaloEmail>> {
  if (message.incomingEmailId) return await processKnown(context, message.incomingEmailId, actor, reply);
  const { mailbox, ingested, remark } = await context.db.transaction().execute(async (tx) => {
    const mailbox = await mailboxFor(tx, message.haloMailboxId ?? 0, 'haloMailboxId');
    const { bytes, internalDate, remark } = contentOf(message);
    const ingested = await ingest(tx, context.services.raw, mailbox, message.id ?? '', bytes, internalDate);
    if (ingested.isNew) await noteArrival(tx, ingested, actor);
    return { mailbox, ingested, remark };
  });
  const { email, isNew } = ingested;
  if (isNew) await context.services.enqueue([email]);
  reply.code(isNew ? 201 : 200);
  return { ...viewEmail(email, mailbox.kind, null), _warning: ingested.remark ?? remark };
}

/** The bytes of a posted message: what we were given, or what can be made of its structure. */
function bytesOf({ raw, mimeMessage }: PostedMessageItem): Content {
  if (raw) return { bytes: decodeBase64(raw, 'raw'), internalDate: null, remark: null };
  if (!mimeMessage) throw invalid('raw', 'or mimeMessage or incomingEmailId must be given');
  return {
    bytes: buildMessage(mimeMessage),
    internalDate: null,
    remark: emptyParts(mimeMessage.attachments?.length ?? 0),
  };
}

function bytesOfGmail(message: GmailMessageItem): Content {
  const { raw, payload, mimeMessage, internalDate } = message;
  if (!raw && !payload && !mimeMessage) {
    throw invalid('raw', 'or payload, mimeMessage or incomingEmailId must be given');
  }
  const received = new Date(internalDate ?? Number.NaN);
  const at = Number.isNaN(received.getTime()) ? null : received.toISOString();
  if (raw || !payload) return { ...bytesOf(message), internalDate: at };
  const { bytes, missing } = buildFromPayload(payload);
  return { bytes, internalDate: at, remark: emptyParts(missing) };
}

function emptyParts(count: number): string | null {
  return count === 0
    ? null
    : `The content of ${count} attachment${count === 1 ? '' : 's'} was not given; raw has all.`;
}

async function processKnown(
  context: ApiContext,
  id: number,
  actor: string,
  reply: FastifyReply,
): Promise<Static<typeof HaloEmail>> {
  const queued = await context.db.transaction().execute(async (tx) => {
    await lockEmails(tx, [id]);
    const email = await findEmail(tx, id);
    if (email === null)
      throw fail('not_found', `There is no incoming email ${id}.`, { field: 'incomingEmailId' });
    // What is on its way already needs no push, and what is done must not be done again.
    const waits = email.state !== 'processed' && email.state !== 'ignored' && email.state !== 'processing';
    return waits ? await requeue(tx, [id], actor) : [];
  });
  await context.services.enqueue(queued);
  const email = await findEmail(context.db, id);
  if (email === null) throw fail('not_found', `There is no incoming email ${id}.`);
  const mailbox = await findMailbox(context.db, email.mailboxId);
  reply.code(200);
  return viewEmail(email, mailbox?.kind ?? null, null);
}
