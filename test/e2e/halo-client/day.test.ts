/**
 * A program written for Halo's API goes through a whole day against a daemon, with mail servers and those who are told
 * of outcomes around it. The day as it must be is `day.expected.md`.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { newSigningKey } from '../../../src/deliver/webhook.ts';
import { labCertificate } from '../../support/graph-lab.ts';
import { passDeliveryTime } from '../../support/outbox.ts';
import { startDaemon } from '../../support/pipe.ts';
import { runPenstock } from '../../support/process.ts';
import { HALO_SECRET, Receivers, ROUTING_KEY } from '../../support/receivers.ts';
import { Site, until } from '../../support/site.ts';
import { type SmtpLab, startSmtp } from '../../support/smtp.ts';
import { administratorsDay, type Desk, type Row, type World } from './day.ts';

/** An administrator's organisation: its mail server, its own certificate authority, and Penstock on it. */
async function open(): Promise<{ site: Site; smtp: SmtpLab; receivers: Receivers; desk: Desk }> {
  const receivers = await Receivers.start();
  const smtp = await startSmtp({ secure: false });
  const site = await Site.start({ backend: 'postgres' });
  const authority = join(site.env.PENSTOCK_DATA!, 'authority.pem');
  await writeFile(authority, labCertificate().cert);
  for (const user of ['support', 'orders']) site.server.addUser(user, { password: 'secret' });
  const daemon = startDaemon(site, {
    PENSTOCK_ROLES: 'api,poller,worker',
    PENSTOCK_PORT: '0',
    PENSTOCK_LOG_LEVEL: 'info',
    PENSTOCK_DESTINATIONS_ALLOW: '127.0.0.1',
    NODE_EXTRA_CA_CERTS: authority,
  });
  const [, origin] = await daemon.waitForLine(/"api":"(http[^"]+)"/, 60_000);
  const made = await runPenstock(['client', 'create', '--name', 'helpdesk', '--scope', 'all', '--json'], {
    env: site.env,
  });
  const client = JSON.parse(made.stdout) as { client_id: string; client_secret: string };
  const webhookKey = newSigningKey();
  receivers.webhookKeys = [webhookKey];
  return {
    site,
    smtp,
    receivers,
    desk: {
      origin: origin!,
      clientId: client.client_id,
      clientSecret: client.client_secret,
      imapPort: site.server.port,
      pop3Port: site.pop3.port,
      smtpPort: smtp.port,
      password: 'secret',
      webhook: { url: `${receivers.origin}/hook`, secret: webhookKey },
      halo: { url: receivers.origin, clientId: 'penstock', secret: HALO_SECRET },
      pagerDuty: { url: `${receivers.origin}/v2/enqueue`, key: ROUTING_KEY },
      splunkUrl: receivers.splunkUrl,
    },
  };
}

it('an administrator has a day with nothing but fetch and the contract; nothing is lost or doubled', async () => {
  const { site, smtp, receivers, desk } = await open();
  const mimeOf = async (subject: string): Promise<string> => {
    const found = () => smtp.received.find(({ mime }) => mime.includes(`\r\nSubject: ${subject}\r\n`));
    await until(
      () => found() !== undefined,
      () => `no mail ${subject} was sent: ${smtp.received.map(({ mime }) => mime).join('\n')}`,
    );
    return found()!.mime;
  };
  const messageId = (mime: string): string => /^Message-ID: (<.*>)\r$/im.exec(mime)![1]!;
  let endOutage = (): void => undefined;
  const world: World = {
    arrives: (user, text) => site.deliver(user, Buffer.from(text)),
    answers: async (subject, from, text) => {
      const id = messageId(await mimeOf(subject));
      const head = [
        `From: ${from}`,
        'To: support@example.org',
        `Subject: Re: ${subject}`,
        `In-Reply-To: ${id}`,
      ];
      site.deliver('support', Buffer.from([...head, '', text, ''].join('\r\n')));
    },
    bounces: async (subject, address) => {
      const id = messageId(await mimeOf(subject));
      site.deliver('support', bounce(id, address));
    },
    pagerDutyFails: () => {
      endOutage = receivers.faults.add({ at: 'pagerduty', action: { do: 'drop' } });
    },
    pagerDutyRecovers: () => endOutage(),
    minutesPass: async (minutes) => await passDeliveryTime(site.runtime.db, minutes * 60),
  };
  const rows: Row[] = [];
  for await (const row of administratorsDay(desk, world)) rows.push(row);
  await expect(table(rows)).toMatchFileSnapshot('./day.expected.md');
  await expectOnce(site, receivers, smtp);
});

/** Nothing was lost or doubled: on the mail servers, in the records, at those who are told, and in what was sent. */
async function expectOnce(site: Site, receivers: Receivers, smtp: SmtpLab): Promise<void> {
  const { db } = site.runtime;
  expect((await site.audit()).unaccounted).toBe(0);
  const emails = await site.emails();
  const subjects = emails.map(({ subject }) => subject).sort();
  expect(subjects).toEqual([
    'An order',
    'By Azure raw',
    'By Google payload',
    'By Google raw',
    'By IMAP raw',
    'By Pop3 structure',
    'By incomingEmailId',
    'NEWSLETTER 7',
    'PROBLEM web1 DISK FULL',
    'PROBLEM web1 RECOVERED',
    'PROBLEM web2 DISK FULL',
    'Printer',
    'Re: Your printer',
    'Undelivered Mail Returned to Sender',
  ]);
  const stored = new Set(await Promise.all(emails.map(async (email) => String(await site.rawBytes(email)))));
  for (const { bytes } of site.delivered) expect(stored).toContain(String(bytes));
  const { rows } = await sql<{ tickets: number; actions: number }>`
    select (select count(*)::int from ticket) as tickets,
      (select count(*)::int from ticket_action) as actions`.execute(db);
  expect(rows).toEqual([{ tickets: 10, actions: 12 }]);

  // Beside the test of each destination: all that the webhook takes is told it once.
  const hooks = receivers.of('webhook');
  expect(hooks).toHaveLength(receivers.webhookIds().length);
  expect(
    hooks
      .slice(1)
      .map(({ body }) => body.type)
      .sort(),
  ).toEqual([
    'alert.closed',
    'alert.opened',
    'alert.opened',
    'message.parked',
    ...Array<string>(8).fill('ticket.created'),
    'ticket.updated',
  ]);
  const noNews = /NEWSLETTER|Undelivered/;
  expect([...receivers.halo.mails.values()].map(({ subject }) => subject).sort()).toEqual(
    subjects.filter((subject) => !noNews.test(subject)),
  );
  expect(receivers.of('mail')).toHaveLength(receivers.halo.mails.size);
  expect(receivers.pages.get('web1')).toEqual({ state: 'resolved', calls: 1 });
  expect(receivers.pages.get('web2')).toEqual({ state: 'triggered', calls: 1 });
  expect(receivers.timeline.get('web1')).toEqual(['CRITICAL', 'RECOVERY']);
  expect(receivers.timeline.get('web2')).toEqual(['CRITICAL']);

  // An acknowledgement for each person's ticket in the mailbox that can send, and the two mails that were written.
  expect(smtp.received.flatMap(({ to }) => to).sort()).toEqual(
    ['ann', 'ann', 'bob', 'carl', 'dora', 'emil', 'fay', 'gone', 'gus'].map(
      (one) => `${one}@customer.example`,
    ),
  );
  expect(smtp.received.every(({ secure, user }) => secure && user === 'support@example.org')).toBe(true);
}

/** In Markdown. */
function table(rows: Row[]): string {
  const lines = rows.map(
    ({ step, request, answer, shown }) => `| ${step} | ${request} | ${answer} | ${shown} |`,
  );
  return ['| step | request | answer | shown |', '|---|---|---|---|', ...lines, ''].join('\n');
}

function bounce(messageId: string, address: string): Buffer {
  const parts = [
    'Content-Type: text/plain\r\n\r\nIt did not arrive.',
    `Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; ${address}\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 No such user\r\n`,
    `Content-Type: message/rfc822\r\n\r\nFrom: support@example.org\r\nMessage-ID: ${messageId}\r\n\r\nx\r\n`,
  ];
  const head = [
    'From: MAILER-DAEMON@mx.example',
    'To: support@example.org',
    'Subject: Undelivered Mail Returned to Sender',
    'Content-Type: multipart/report; report-type=delivery-status; boundary=b',
  ];
  return Buffer.from(
    `${head.join('\r\n')}\r\n\r\n${parts.map((part) => `--b\r\n${part}`).join('\r\n')}\r\n--b--\r\n`,
  );
}
