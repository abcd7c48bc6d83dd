/** Every call that changes something, with a request that each would take. mutations.test.ts tries them in all ways. */
import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { queueDeliveries } from '../../src/store/deliveries.ts';
import { outcome } from '../support/outbox.ts';
import { type Fixture, mailboxItem, newMailbox, rawMessage } from './fixture.ts';

/** A request that is taken. `id` is what `{id}` in the path stands for. */
export interface Given {
  id?: number;
  body?: unknown;
}

export interface Mutation {
  /** A scope that is not enough. */
  scope: 'edit:tickets' | 'read:tickets';
  /** Whether it reads a body. */
  reads: boolean;
  /** Makes what the request is about, anew each time. */
  make(api: Fixture): Promise<Given>;
  /** For those that update by `id`: two fields that two writers change, and where the record is read afterwards. */
  update?: { fields: readonly [string, string]; read(id: number): string; values?: readonly unknown[] };
}

const name = (): string => `m${randomBytes(6).toString('hex')}`;
const address = (): string => `${name()}@example.org`;

/** Posts one record and returns its id. */
async function made(api: Fixture, path: string, item: object): Promise<number> {
  const answer = await api.send('POST', `/api/${path}`, [item]);
  if (answer.statusCode !== 201) throw new Error(`${path}: ${answer.payload}`);
  return (answer.json() as { id: number }).id;
}

const sender = (api: Fixture): Promise<number> =>
  newMailbox(api, { smtpserver: 'smtp.example.org', smtpaddress: address() });

/** A record of a message, in quarantine. */
async function quarantined(api: Fixture): Promise<{ id: number; fingerprint: string }> {
  const mbid = await newMailbox(api);
  const id = await made(api, 'incomingemail', { mbid, mailid: name(), data: rawMessage(name()) });
  const fingerprint = name();
  await api.db
    .updateTable('incoming_email')
    .set({ state: 'quarantined', error_fingerprint: fingerprint })
    .where('id', '=', id)
    .execute();
  return { id, fingerprint };
}

const destination = (api: Fixture): Promise<number> =>
  made(api, 'Destination', { type: 'webhook', name: name(), url: 'https://hub.example.org/' });

/** A delivery that was given up. */
async function dead(api: Fixture): Promise<Given> {
  const id = await destination(api);
  const event = outcome(1);
  await api.db
    .transaction()
    .execute((tx) => queueDeliveries(tx, [{ destinationId: id, ledgerId: event.email.id, event }]));
  const { rows } = await sql<{ id: number }>`
    update delivery set state = 'dead', finished_at = now() where destination_id = ${id} returning id`.execute(
    api.db,
  );
  return { id, body: { ids: rows.map((row) => row.id) } };
}

/** A mail that failed. */
async function failed(api: Fixture): Promise<number> {
  const id = await made(api, 'EmailStore', {
    mailbox_id: await sender(api),
    emailto: address(),
    emailsubject: name(),
    emailbody: 'x',
  });
  const row = await api.db
    .updateTable('outgoing_email')
    .set({ state: 'failed', error_code: 'send_refused', error_message: 'no' })
    .where('email_store_id', '=', id)
    .returning('id')
    .executeTakeFirstOrThrow();
  return row.id;
}

const posted = async (api: Fixture): Promise<Given> => ({
  body: { id: name(), haloMailboxId: await newMailbox(api), raw: rawMessage(name()) },
});

const about = (make: (api: Fixture) => Promise<number>, scope: Mutation['scope']): Mutation => ({
  scope,
  reads: false,
  make: async (api) => ({ id: await make(api) }),
});
const taking = (
  make: (api: Fixture) => Promise<Given>,
  scope: Mutation['scope'],
  update?: Mutation['update'],
): Mutation => ({ scope, reads: true, make, ...(update === undefined ? {} : { update }) });

const ADMIN = 'edit:tickets';
const MAIL = 'read:tickets';

/** By method and path. */
export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'POST /api/Mailbox': taking(async () => ({ body: [mailboxItem({ username: address() })] }), ADMIN, {
    fields: ['name', 'smtpdisplayname'],
    read: (id) => `/api/Mailbox/${id}`,
  }),
  'DELETE /api/Mailbox/{id}': about(newMailbox, ADMIN),
  'POST /api/Mailbox/{id}/poll': about(newMailbox, ADMIN),
  'POST /api/Mailbox/{id}/refetch': taking(async (api) => ({ id: await newMailbox(api), body: {} }), ADMIN),
  'POST /api/Mailbox/{id}/authorize': about(newMailbox, ADMIN),
  'POST /api/MailboxCredential': taking(
    async (api) => ({ body: [{ mailbox_id: await newMailbox(api), password: name() }] }),
    ADMIN,
    { fields: ['smtpdisplayname', 'redirect_uri'], read: (id) => `/api/MailboxCredential/${id}` },
  ),
  'DELETE /api/MailboxCredential/{id}': about(
    async (api) => await made(api, 'MailboxCredential', { mailbox_id: await newMailbox(api), password: 'x' }),
    ADMIN,
  ),
  'POST /api/Site': taking(
    async () => ({ body: [{ name: name(), email_domains: [`${name()}.example`] }] }),
    ADMIN,
    {
      fields: ['name', 'client_id'],
      read: () => '/api/Site',
    },
  ),
  'DELETE /api/Site/{id}': about((api) => made(api, 'Site', { name: name() }), ADMIN),
  'POST /api/Destination': taking(
    async () => ({ body: [{ type: 'webhook', name: name(), url: 'https://hub.example.org/' }] }),
    ADMIN,
    { fields: ['name', 'concurrency'], read: (id) => `/api/Destination/${id}` },
  ),
  'DELETE /api/Destination/{id}': about(destination, ADMIN),
  'POST /api/Destination/{id}/test': about(destination, ADMIN),
  'POST /api/Destination/{id}/replay': taking(dead, ADMIN),
  'POST /api/Destination/{id}/release': taking(dead, ADMIN),
  'POST /api/EmailRule': taking(async () => ({ body: [{ type: 1, name: name(), subject: name() }] }), ADMIN, {
    fields: ['name', 'seq'],
    read: (id) => `/api/EmailRule/${id}`,
  }),
  'DELETE /api/EmailRule/{id}': about((api) => made(api, 'EmailRule', { type: 1, name: name() }), ADMIN),
  'POST /api/EmailRule/test': taking(async () => ({ body: { raw: rawMessage('x') } }), ADMIN),
  'POST /api/incomingemail': taking(
    async (api) => ({ body: [{ mbid: await newMailbox(api), mailid: name(), data: rawMessage(name()) }] }),
    MAIL,
    { fields: ['agentid', 'addactiontofaultid'], read: (id) => `/api/incomingemail/${id}` },
  ),
  'DELETE /api/incomingemail/{id}': about(async (api) => (await quarantined(api)).id, MAIL),
  'POST /api/incomingemail/{id}/release': about(async (api) => (await quarantined(api)).id, MAIL),
  'POST /api/incomingemail/release': taking(
    async (api) => ({ body: { fingerprint: (await quarantined(api)).fingerprint } }),
    MAIL,
  ),
  'POST /api/Mail/Integrator/IMAP': taking(posted, MAIL),
  'POST /api/Mail/Integrator/Pop3': taking(posted, MAIL),
  'POST /api/Mail/Integrator/Azure': taking(posted, MAIL),
  'POST /api/Mail/Integrator/Google': taking(posted, MAIL),
  'POST /api/Mail/ProcessMail': taking(async (api) => ({ body: [(await quarantined(api)).id] }), MAIL),
  'POST /api/EmailStore': taking(
    async (api) => ({
      body: [{ mailbox_id: await sender(api), emailto: address(), emailsubject: name(), emailbody: 'x' }],
    }),
    MAIL,
    { fields: ['emailsubject', 'emailbody'], read: (id) => `/api/EmailStore/${id}` },
  ),
  'DELETE /api/EmailStore/{id}': about(
    async (api) =>
      await made(api, 'EmailStore', { mailbox_id: await sender(api), emailto: address(), emailbody: 'x' }),
    MAIL,
  ),
  'POST /api/Outgoingemail': taking(async (api) => ({ body: [{ id: await failed(api), error: '' }] }), MAIL),
  'DELETE /api/Outgoingemail/{id}': about(failed, MAIL),
  'POST /api/formattedemail': taking(async () => ({ body: [{ template_name: name() }] }), ADMIN, {
    fields: ['template_name', 'subject'],
    read: (id) => `/api/formattedemail/${id}`,
  }),
  'DELETE /api/formattedemail/{id}': about(
    (api) => made(api, 'formattedemail', { template_name: name() }),
    ADMIN,
  ),
  'POST /api/Users': taking(async () => ({ body: [{ emailaddress: address(), name: 'Ann' }] }), ADMIN, {
    fields: ['firstname', 'colour'],
    read: (id) => `/api/Users/${id}`,
  }),
  'POST /api/Control': taking(async () => ({ body: [{ email_start_tag: '[ID:' }] }), ADMIN),
};

/** Calls that carry another proof than a token of ours; auth.test.ts and notification.test.ts have them. */
export const WITHOUT_TOKEN = [
  'POST /auth/token',
  'POST /api/Mail/Azure',
  'POST /notifications/graph',
  'POST /notifications/gmail',
];

/** How many rows each table has, but for the log of changes, which notes repeated requests too. */
export async function rowCounts({ db }: Fixture): Promise<Record<string, number>> {
  const { rows: tables } = await sql<{ name: string }>`
    select table_name as name from information_schema.tables
    where table_schema = 'public' and table_type = 'BASE TABLE' and table_name <> 'audit_log'`.execute(db);
  const counts = sql.join(
    tables.map(({ name }) => sql`select ${name} as name, count(*) as count from ${sql.table(name)}`),
    sql` union all `,
  );
  const { rows } = await sql<{ name: string; count: number }>`${counts}`.execute(db);
  return Object.fromEntries(rows.map(({ name, count }) => [name, Number(count)]));
}
