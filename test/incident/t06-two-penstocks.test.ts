/**
 * Two Penstocks pointed at each other: each acknowledges new tickets, and neither knows the other. One server of mail
 * stands between them. Also what becomes of the answers and of what comes back, because the pieces are the same.
 */
import { sql } from 'kysely';
import { expect, it, onTestFinished } from 'vitest';
import { serveApi } from '../../src/api-server.ts';
import { Deliverer } from '../../src/deliver/deliverer.ts';
import { AllowList } from '../../src/deliver/egress.ts';
import { addDestination } from '../../src/deliver/save.ts';
import { makeSender } from '../../src/delivery.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { createClient } from '../../src/store/clients.ts';
import { listDeliveries } from '../../src/store/deliveries.ts';
import { defaultMailboxSettings } from '../../src/store/mailbox-settings.ts';
import { defaultSending } from '../../src/store/sending-settings.ts';
import { Pipe } from '../support/pipe.ts';
import { Site, until } from '../support/site.ts';
import { startSmtp } from '../support/smtp.ts';

const FAST = { work: { sending: { everyMs: 200 } } };

/** A site with one mailbox that sends through this server. */
async function penstock(user: string, port: number, tlsCa: string): Promise<Site> {
  const site = await Site.start({ backend: 'postgres' });
  const smtp = {
    host: 'localhost',
    port,
    tls: 'implicit',
    tlsVerify: true,
    tlsCa,
    auth: 'none',
    user: '',
  } as const;
  // Databases of tests are copies, but no two installations have the same name.
  await sql`update instance set id = gen_random_uuid()`.execute(site.runtime.db);
  await site.addMailbox(user, {
    addresses: [`${user}@example.com`],
    sending: { ...defaultSending('smtp'), smtp, perMinute: 1_000 },
    // By default nobody is answered whom nobody knew before.
    policy: { ...defaultMailboxSettings('localhost', user).policy, newRequesterAcknowledge: true },
  });
  return site;
}

const mail = (from: string, subject: string, body = 'Hello.', more: string[] = []): Buffer =>
  Buffer.from(
    [`From: ${from}`, 'To: a@example.com', `Subject: ${subject}`, ...more, '', body, ''].join('\r\n'),
  );

it('T6.2 T6.3 T21.1 exchange at most one message each way; a sender without a mark is answered so often and no more; a forged report does nothing', async () => {
  const smtp = await startSmtp();
  const { tlsCa } = smtp.settings();
  const a = await penstock('a', smtp.port, tlsCa!);
  const b = await penstock('b', smtp.port, tlsCa!);
  const pipes = [await Pipe.start(a, FAST), await Pipe.start(b, FAST)];
  /** Takes what was sent to the other side, until nothing comes any more. */
  let carried = 0;
  const carry = async (): Promise<void> => {
    for (; carried < smtp.received.length; carried++) {
      const { to, mime } = smtp.received[carried]!;
      if (to.includes('a@example.com')) a.deliver('a', Buffer.from(mime));
      if (to.includes('b@example.com')) b.deliver('b', Buffer.from(mime));
    }
    await Promise.all([a.waitUntilProcessed(), b.waitUntilProcessed()]);
  };
  // The first mail is one of b's own people, as a's mailbox sees it.
  a.deliver('a', mail('b@example.com', 'A question'));
  await a.waitUntilProcessed();
  await until(() => smtp.received.length === 1);
  await carry();
  // b made a ticket of the acknowledgement, which is a machine's, and so says nothing.
  const tickets = await b.runtime.db.selectFrom('ticket').select('subject').execute();
  expect(tickets.map(({ subject }) => subject)).toEqual(['[ID:1] A question']);
  await carry();
  expect(smtp.received.map(({ from, to }) => `${from} ${to}`)).toEqual(['a@example.com b@example.com']);
  expect(smtp.received[0]!.mime).toMatch(/^Auto-Submitted: auto-replied\r$/m);

  // A sender that answers everything and has no mark at all (T6.3).
  for (let i = 0; i < 9; i++) a.deliver('a', mail('robot@other.example', `Again ${i}`));
  await a.waitUntilProcessed();
  await until(() => smtp.received.length === 6);
  await pipes[0]!.waitFor('answer.limited', 4);
  expect(pipes[0]!.of('answer.limited')).toHaveLength(4);

  // A person answers the acknowledgement: the token in its Message-ID is enough, whoever writes.
  const [acknowledged] = await a.runtime.db.selectFrom('outgoing_email').selectAll().orderBy('id').execute();
  a.deliver(
    'a',
    mail('friend@third.example', 'Other subject', 'Me too.', [`In-Reply-To: <${acknowledged!.message_id}>`]),
  );
  await a.waitUntilProcessed();
  const actions = await a.runtime.db
    .selectFrom('ticket_action')
    .select(['kind', 'ticket_id'])
    .where('ticket_id', '=', 1)
    .orderBy('id')
    .execute();
  expect(actions.map(({ kind }) => kind)).toEqual(['create', 'update']);

  // A report about it is tied to it; one about a mail that we never sent does nothing (T21.1).
  const report = (id: string): Buffer =>
    Buffer.from(
      [
        'From: MAILER-DAEMON@mx.example',
        'To: a@example.com',
        'Subject: Undelivered Mail Returned to Sender',
        `Content-Type: multipart/report; report-type=delivery-status; boundary=b`,
        '',
        '--b\r\nContent-Type: text/plain\r\n\r\nIt did not arrive.',
        '--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; b@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 No such user\r\n',
        `--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: a@example.com\r\nMessage-ID: <${id}>\r\n\r\nx\r\n--b--\r\n`,
      ].join('\r\n'),
    );
  a.deliver('a', report('forged@example.com'));
  a.deliver('a', report(acknowledged!.message_id));
  await a.waitUntilProcessed();
  const bounced = await a.runtime.db
    .selectFrom('outgoing_email')
    .select(['id', 'bounce'])
    .where('bounced_at', 'is not', null)
    .execute();
  expect(bounced).toMatchObject([
    { id: acknowledged!.id, bounce: { recipient: 'b@example.com', status: '5.1.1' } },
  ]);
}, 240_000);

/** An API in front of a pipe, and what brings its outcomes out. Both end with the test. */
async function serve(pipe: Pipe): Promise<string> {
  const { runtime, work, events } = pipe;
  const sender = makeSender(runtime, work);
  const readFacts = (): Promise<never> => Promise.reject(new Error('nobody asks'));
  const metrics = createMetrics({ events, readFacts });
  const api = await serveApi({ runtime, work, events, sender, metrics, readFacts });
  const deliverer = new Deliverer(runtime.db, events, sender);
  deliverer.start();
  onTestFinished(async () => {
    await deliverer.stop(1_000);
    await api.close();
  });
  return api.localUrl;
}

/** The first becomes a destination of the second, as any Halo would. */
async function point(from: Site, to: Site, url: string): Promise<void> {
  const mailbox = await to.addMailbox('handed-in');
  const { clientId, clientSecret } = await createClient(to.runtime.db, 'the other', ['all']);
  const { db, keys } = from.runtime;
  await db.transaction().execute(async (tx) => {
    const context = { tx, keys, allowed: new AllowList(['127.0.0.1']), actor: 'test' };
    await addDestination(context, 'halo', {
      name: 'the other',
      secret: clientSecret,
      settings: { url },
      halo: { clientId, mailboxId: mailbox.id },
    });
  });
}

it('T6.2 that hand each other their mail as integrators take each message once, and come to rest', async () => {
  const sites = [
    await Site.start({ backend: 'postgres' }),
    await Site.start({ backend: 'postgres' }),
  ] as const;
  const env = { PENSTOCK_DESTINATIONS_ALLOW: '127.0.0.1', PENSTOCK_PORT: '0' };
  const pipes = [await Pipe.start(sites[0], { env }), await Pipe.start(sites[1], { env })] as const;
  const urls = [await serve(pipes[0]), await serve(pipes[1])] as const;
  await sites[0].addMailbox('desk');
  await point(sites[0], sites[1], urls[1]);
  await point(sites[1], sites[0], urls[0]);
  const bytes = mail('ann@customer.example', 'Printer');
  sites[0].deliver('desk', bytes);
  await sites[0].waitUntilProcessed();
  const open = async (): Promise<number> => {
    const counts = sites.map(async ({ runtime: { db } }) => {
      const { rows } = await sql<{ open: number }>`
        select (select count(*)::int from delivery where state <> 'delivered')
          + (select count(*)::int from incoming_email where state in ('queued', 'retrying', 'waiting')) as open`.execute(
        db,
      );
      return rows[0]!.open;
    });
    return (await Promise.all(counts)).reduce((sum, one) => sum + one, 0);
  };
  // A message comes back to the mailbox that it is handed in for, where it is known by its content.
  const stored = async () => await Promise.all(sites.map((site) => site.emails()));
  await until(async () => (await stored()).flat().length >= 3 && (await open()) === 0);
  const emails = await stored();
  expect(emails.map((rows) => rows.length)).toEqual([2, 1]);
  for (const [index, rows] of emails.entries())
    for (const email of rows) expect(await sites[index]!.rawBytes(email)).toEqual(bytes);
  const deliveries = await Promise.all(sites.map(({ runtime }) => listDeliveries(runtime.db, { count: 10 })));
  expect(deliveries.map((rows) => rows.map(({ state }) => state))).toEqual([
    ['delivered', 'delivered'],
    ['delivered'],
  ]);
});
