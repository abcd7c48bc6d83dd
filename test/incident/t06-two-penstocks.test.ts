/**
 * Two Penstocks pointed at each other: each acknowledges new tickets, and neither knows the other. One server of mail
 * stands between them. Also what becomes of the answers and of what comes back, because the pieces are the same.
 */
import { sql } from 'kysely';
import { expect, it } from 'vitest';
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

it('exchange at most one message each way, and a sender without a mark is answered so often and no more', async () => {
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
