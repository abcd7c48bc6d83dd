/** `/EmailStore` (halo-api.md section 8): mail that is to be sent. */
import Type from 'typebox';
import { asPenstockError, fail } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { readAddressList } from '../../outbound/address-list.ts';
import { writeAudit } from '../../store/audit-log.ts';
import type { Database, Tx } from '../../store/database.ts';
import {
  deleteEmailStore,
  type EmailStoreRow,
  findEmailStore,
  listEmailStores,
  lockEmailStore,
  lockEmailStores,
  outgoingOf,
} from '../../store/email-stores.ts';
import { findMailbox } from '../../store/mailboxes.ts';
import { attachmentsOf } from '../../store/outgoing.ts';
import { replyKeys } from '../../store/reply-keys.ts';
import { transact } from '../../store/transact.ts';
import { actorOf } from '../auth/guard.ts';
import { saveStore } from '../email-store-save.ts';
import { viewEmailStore } from '../halo/email-store.ts';
import { type EmailStoreItem, HaloEmailStore } from '../halo/email-store-fields.ts';
import { draftMailbox } from '../halo/mailbox-draft.ts';
import { eachItem, idsOf } from '../http/items.ts';
import { invalid } from '../http/problem.ts';
import { byId, listOf, oneOrMany, saved } from '../http/shapes.ts';
import type { Api } from '../route.ts';
import type { ApiContext } from '../services.ts';

export function emailStoreRoutes(app: Api, context: ApiContext): void {
  const { db, keys, services } = context;

  app.get(
    '/EmailStore',
    {
      config: { access: 'read_mail' },
      schema: {
        tags: ['EmailStore'],
        summary: 'List mails that were to be sent',
        description: `The newest ${LIMITS.pageSize}, the newest first, without attachments.`,
        response: { 200: Type.Array(HaloEmailStore) },
      },
    },
    async () => await viewAll(db, await listEmailStores(db, LIMITS.pageSize)),
  );

  app.post(
    '/EmailStore',
    {
      config: { access: 'write_mail' },
      bodyLimit: LIMITS.requestBytes,
      schema: {
        tags: ['EmailStore'],
        summary: 'Send mail',
        description:
          'The answer comes when the mail is stored; it is sent then, and tried again where that helps. The same item ' +
          'again within ten minutes is taken for a repeated request and sends nothing. With test_credentials a mail is ' +
          'sent at once by these settings, and nothing is stored.',
        body: listOf(HaloEmailStore),
        response: { 201: oneOrMany(HaloEmailStore) },
      },
    },
    async (request, reply) => {
      const actor = actorOf(request);
      const tests = request.body.filter((item) => item.test_credentials);
      if (tests.length > 0) {
        if (request.body.length > 1) throw invalid('test_credentials', 'must be alone in a request');
        return await saved(reply, [await sendTest(context, tests[0]!)]);
      }
      const [tokenKey] = await replyKeys(db, keys);
      const { subjectStartTag: start, subjectEndTag: end } = services.subjectTags();
      const results = await transact(db, async (tx) => {
        await lockEmailStores(tx, idsOf(request.body));
        const context = { tx, actor, tokenKey: tokenKey!, tags: { start, end } };
        return await eachItem(request.body, (item) => saveStore(item, context));
      });
      const views = await viewAll(
        db,
        results.map(({ row }) => row),
      );
      return await saved(
        reply,
        views.map((view, index) => ({ ...view, _warning: results[index]!.warning })),
      );
    },
  );

  app.get(
    '/EmailStore/:id',
    {
      config: { access: 'read_mail' },
      schema: {
        tags: ['EmailStore'],
        summary: 'Read one',
        params: byId,
        querystring: Type.Object({
          includedetails: Type.Optional(Type.Boolean({ description: 'With attachments and their content.' })),
        }),
        response: { 200: HaloEmailStore },
      },
    },
    async (request) => {
      const row = await find(db, request.params.id);
      const mails = (await outgoingOf(db, [row.id])).get(row.id)!;
      const files = request.query.includedetails === true ? await attachmentsOf(db, row.id) : null;
      return viewEmailStore(row, mails, files);
    },
  );

  app.delete(
    '/EmailStore/:id',
    {
      config: { access: 'write_mail' },
      schema: {
        tags: ['EmailStore'],
        summary: 'Delete one',
        description: 'What of it is not sent yet is not sent any more.',
        params: byId,
        response: { 200: HaloEmailStore },
      },
    },
    async (request) =>
      await db.transaction().execute(async (tx) => {
        const { id } = request.params;
        const row = (await lockEmailStore(tx, id)) ?? (await find(tx, id));
        const [view] = await viewAll(tx, [row]);
        await deleteEmailStore(tx, id);
        await writeAudit(tx, {
          actor: actorOf(request),
          action: 'delete',
          entity: 'email_store',
          entityId: id,
        });
        return view!;
      }),
  );
}

async function find(db: Database | Tx, id: number): Promise<EmailStoreRow> {
  const row = await findEmailStore(db, id);
  if (row === null) throw fail('not_found', `There is no e-mail ${id}.`);
  return row;
}

async function viewAll(db: Database | Tx, rows: EmailStoreRow[]): Promise<EmailStoreItem[]> {
  const mails = await outgoingOf(
    db,
    rows.map(({ id }) => id),
  );
  return rows.map((row) => viewEmailStore(row, mails.get(row.id)!, null));
}

/** Sends by settings that may not be saved; what the server says is in the answer, because nothing is stored. */
async function sendTest({ db, services }: ApiContext, item: EmailStoreItem): Promise<EmailStoreItem> {
  const credentials = item.test_credentials!;
  const current = credentials.id ? await findMailbox(db, credentials.id) : null;
  if (credentials.id && current === null)
    throw invalid('test_credentials', 'names a mailbox that does not exist');
  const { mailbox, secrets } = draftMailbox(credentials, current, new Date());
  const { mailboxes, wrong } = readAddressList(item.emailto ?? '');
  if (mailboxes.length === 0 || wrong.length > 0) throw invalid('emailto', 'must be an address');
  const mail = {
    to: mailboxes,
    subject: item.emailsubject || 'Test of the settings',
    text: item.emailbody || 'This mail was sent to test the settings of a mailbox.',
  };
  try {
    await services.sendTest(
      mailbox,
      Object.fromEntries(secrets),
      mail,
      AbortSignal.timeout(LIMITS.diagnosisMs),
    );
    return { ...item, test_credentials: null, _emailsent: true, _warning: null };
  } catch (thrown) {
    const { message, hint } = asPenstockError(thrown);
    return { ...item, test_credentials: null, _emailsent: false, _warning: `${message} ${hint}` };
  }
}
