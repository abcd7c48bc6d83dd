/** `/Mailbox` (halo-api.md 3.1 to 3.4). */
import { isDeepStrictEqual } from 'node:util';
import { sql } from 'kysely';
import Type from 'typebox';
import { fail } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import type { DiagnosisStep } from '../../source/source.ts';
import { writeAudit } from '../../store/audit-log.ts';
import type { Database, Tx } from '../../store/database.ts';
import { mailboxProgress, secretNames } from '../../store/mailbox-progress.ts';
import {
  createMailbox,
  deleteMailbox,
  findMailbox,
  listMailboxes,
  type Mailbox,
  queuedMail,
  updateMailbox,
} from '../../store/mailboxes.ts';
import { notify } from '../../store/notify.ts';
import { lockCreation, lockMailboxes } from '../../store/row-locks.ts';
import { deleteSecret, readSecret, writeSecret } from '../../store/secrets.ts';
import { actorOf } from '../auth/guard.ts';
import { draftMailbox, type MailboxDraft } from '../halo/mailbox-draft.ts';
import { HaloMailbox, type MailboxItem } from '../halo/mailbox-fields.ts';
import { viewMailbox, viewSettings } from '../halo/mailbox-view.ts';
import { invalid } from '../http/problem.ts';
import { byId, listOf, oneOrMany, saved } from '../http/shapes.ts';
import { inOneTransaction } from '../http/transaction.ts';
import type { Api } from '../route.ts';
import type { ApiContext } from '../services.ts';

const DIAGNOSIS_MS = 60_000;

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
            Type.Boolean({ description: 'Without effect: there is no default entry here.' }),
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
      return await view(context, context.db, all.filter(chosenBy(request.query)), false);
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
      const tests = request.body.filter((item) => item._testonly === true).length;
      if (tests > 0) {
        if (request.body.length > 1) throw invalid('_testonly', 'is for one mailbox at a time');
        return await reply.code(200).send(await test(context, request.body[0]!));
      }
      const actor = actorOf(request);
      const views = await context.db.transaction().execute(async (tx) => {
        await lockMailboxes(
          tx,
          request.body.map((item) => item.id ?? 0),
        );
        if (request.body.some((item) => !item.id)) await lockCreation(tx, 'mailbox');
        return await inOneTransaction(request.body, (item) => save(context, tx, item, actor));
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
      return (await view(context, context.db, [mailbox], request.query.includedetails === true))[0]!;
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
        const [shown] = await view(context, tx, [mailbox], true);
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
export async function view(
  { config }: ApiContext,
  db: Database | Tx,
  mailboxes: Mailbox[],
  details: boolean,
): Promise<MailboxItem[]> {
  const progress = await mailboxProgress(
    db,
    mailboxes.map(({ id }) => id),
  );
  const secrets = await secretNames(
    db,
    mailboxes.map(({ id }) => ownerOf(id)),
  );
  return mailboxes.map((mailbox) => {
    const circumstances = {
      progress: progress.get(mailbox.id) ?? null,
      secrets: secrets.get(ownerOf(mailbox.id)) ?? [],
      staleIntervals: config.poller.staleIntervals,
    };
    return viewMailbox(mailbox, circumstances, details) as MailboxItem;
  });
}

const ownerOf = (mailboxId: number): string => `mailbox:${mailboxId}`;

async function save(context: ApiContext, tx: Tx, item: MailboxItem, actor: string): Promise<MailboxItem> {
  const current = item.id ? await find(tx, item.id) : null;
  const draft = draftMailbox(item, current, await transactionTime(tx));
  const { mailbox, warnings } =
    current === null
      ? await create(context, tx, draft, actor)
      : { mailbox: await update(context, tx, draft, current, item, actor), warnings: draft.warnings };
  warnings.push(...remarks(mailbox, current));
  const [shown] = await view(context, tx, [mailbox], true);
  return { ...shown!, _warning: warnings.length === 0 ? null : warnings.join('\n') };
}

async function create(
  context: ApiContext,
  tx: Tx,
  draft: MailboxDraft,
  actor: string,
): Promise<{ mailbox: Mailbox; warnings: string[] }> {
  const warnings = draft.warnings;
  const others = (await listMailboxes(tx)).filter((other) => isSameAccount(other, draft.mailbox));
  const same = others.find((other) => isRepeat(other, draft.mailbox));
  if (same !== undefined) {
    await writeSecrets(context, tx, same.id, draft);
    warnings.push(`Mailbox ${same.id} is the same in everything, so no second one was made.`);
    return { mailbox: same, warnings };
  }
  for (const { id, settings } of others) {
    const shared = settings.folders.filter((folder) => draft.mailbox.settings.folders.includes(folder));
    if (shared.length > 0) {
      warnings.push(`Mailbox ${id} reads ${shared.join(', ')} of the same account: its mail arrives twice.`);
    }
  }
  const mailbox = await createMailbox(tx, draft.mailbox);
  await writeSecrets(context, tx, mailbox.id, draft);
  await writeAudit(tx, {
    actor,
    action: 'create',
    entity: 'mailbox',
    entityId: mailbox.id,
    change: { after: viewSettings(mailbox), secrets: [...draft.secrets.keys()] },
  });
  return { mailbox, warnings };
}

function isSameAccount(a: Mailbox, b: Mailbox): boolean {
  const [left, right] = [a.settings.server, b.settings.server];
  return (
    a.kind === b.kind &&
    left.host.toLowerCase() === right.host.toLowerCase() &&
    left.port === right.port &&
    left.user === right.user
  );
}

/** Clients repeat a request whose answer they did not get; a mailbox must not be polled twice because of that. */
function isRepeat(known: Mailbox, draft: Mailbox): boolean {
  const comparable = (mailbox: Mailbox): unknown => ({
    ...viewSettings(mailbox),
    id: 0,
    penstock: { ...(viewSettings(mailbox).penstock as object), first_sync_since: null },
  });
  return isDeepStrictEqual(comparable(known), comparable(draft));
}

async function update(
  context: ApiContext,
  tx: Tx,
  draft: MailboxDraft,
  current: Mailbox,
  item: MailboxItem,
  actor: string,
): Promise<Mailbox> {
  const change = differences(viewSettings(current), viewSettings(draft.mailbox));
  if (item.changeseq && item.changeseq !== current.changeSeq) {
    const changes = Object.keys(change).length > 0 || (await secretsDiffer(context, tx, current.id, draft));
    if (!changes) return current;
    const message = `Mailbox ${current.id} was changed meanwhile (changeseq ${current.changeSeq}); read it again.`;
    throw fail('conflict', message, { field: 'changeseq' });
  }
  const mailbox = await updateMailbox(tx, draft.mailbox);
  await writeSecrets(context, tx, current.id, draft);
  await writeAudit(tx, {
    actor,
    action: 'update',
    entity: 'mailbox',
    entityId: current.id,
    change: { fields: change, secrets: [...draft.secrets.keys()], cleared: draft.clearSecrets },
  });
  return mailbox;
}

async function writeSecrets(context: ApiContext, tx: Tx, id: number, draft: MailboxDraft): Promise<void> {
  for (const [name, value] of draft.secrets) await writeSecret(tx, context.keys, ownerOf(id), name, value);
  for (const name of draft.clearSecrets) {
    if (!draft.secrets.has(name)) await deleteSecret(tx, ownerOf(id), name);
  }
}

async function secretsDiffer(context: ApiContext, tx: Tx, id: number, draft: MailboxDraft): Promise<boolean> {
  for (const [name, value] of draft.secrets) {
    if ((await readSecret(tx, context.keys, ownerOf(id), name)) !== value) return true;
  }
  return draft.clearSecrets.length > 0;
}

/** What changed, field by field, as [before, after]. */
function differences(
  before: Record<string, unknown>,
  after: Record<string, unknown>,
): Record<string, [unknown, unknown]> {
  const changed = Object.keys(after).filter((name) => !isDeepStrictEqual(before[name], after[name]));
  return Object.fromEntries(changed.map((name) => [name, [before[name], after[name]]]));
}

/** What a person may not have meant; after an update only what it brought about. */
function remarks(mailbox: Mailbox, before: Mailbox | null): string[] {
  const { after, afterFolder, server } = mailbox.settings;
  const was = before?.settings;
  const found: string[] = [];
  if (after === 'move' && (was?.after !== 'move' || was.afterFolder !== afterFolder)) {
    found.push(
      `Processed mail is moved to the folder ${afterFolder} on the server; imapleavemailininbox or penstock.after changes that.`,
    );
  }
  if (after === 'delete' && was?.after !== 'delete') found.push('Processed mail is deleted from the server.');
  if (server.tls === 'none' && was?.server.tls !== 'none') {
    found.push('TLS is off: the password travels readable.');
  }
  if (!server.tlsVerify && server.tls !== 'none' && was?.server.tlsVerify !== false) {
    found.push('Any certificate is accepted: whoever sits between can read the password.');
  }
  if (before === null && !mailbox.enabled) found.push('The mailbox is not enabled, so it is not polled.');
  return found;
}

async function transactionTime(tx: Tx): Promise<Date> {
  const { rows } = await sql<{ now: Date }>`select now() as now`.execute(tx);
  return rows[0]!.now;
}

/** Tries the posted settings, with stored secrets where none are posted. Answers 400 when a step fails. */
async function test(context: ApiContext, item: MailboxItem): Promise<MailboxItem> {
  const current = item.id ? await find(context.db, item.id) : null;
  const draft = draftMailbox(item, current, new Date());
  const stored = async (name: string): Promise<string | null> =>
    draft.secrets.get(name) ??
    (current === null ? null : await readSecret(context.db, context.keys, ownerOf(current.id), name));
  const secrets = { password: await stored('password'), token: await stored('token') };
  const { kind, settings } = draft.mailbox;
  const signal = AbortSignal.timeout(DIAGNOSIS_MS);
  const steps = await context.services.diagnose(kind, settings, secrets, signal);
  const failed = steps.find((step) => !step.ok);
  if (failed !== undefined) throw fail('mailbox_test_failed', tell(steps), { field: failed.step });
  const [shown] = await view(context, context.db, [draft.mailbox], true);
  return { ...shown!, _testonly: true, _warning: tell(steps) };
}

function tell(steps: DiagnosisStep[]): string {
  return steps
    .map(
      ({ step, ok, found, advice }) =>
        `${step}: ${ok ? 'ok' : 'failed'}, ${found}${advice ? ` ${advice}` : ''}`,
    )
    .join('\n');
}
