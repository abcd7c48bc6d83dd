/** The mails that outcomes bring about, from a mail that comes in to the ones that go out: by template, with signature. */
import { expect, it } from 'vitest';
import type { Template } from '../../src/outbound/template.ts';
import { saveFormattedEmail } from '../../src/store/formatted-emails.ts';
import { defaultMailboxSettings } from '../../src/store/mailbox-settings.ts';
import { saveRule } from '../../src/store/rules.ts';
import { defaultSending } from '../../src/store/sending-settings.ts';
import { makeRule } from '../rule/fixtures.ts';
import { Pipe } from '../support/pipe.ts';
import { Site, until } from '../support/site.ts';
import { startSmtp } from '../support/smtp.ts';

const DESK = 'desk@example.com';

const mail = (from: string, subject: string, more: string[] = []): Buffer =>
  Buffer.from(
    [`From: ${from}`, `To: ${DESK}`, `Subject: ${subject}`, ...more, '', 'Hello.', ''].join('\r\n'),
  );

it('new people are welcomed, tickets acknowledged, and what a rule answers takes the place of that', async () => {
  const smtp = await startSmtp();
  const site = await Site.start({ backend: 'postgres' });
  const template = async (changes: Partial<Template>): Promise<number> =>
    await site.runtime.db.transaction().execute((tx) =>
      saveFormattedEmail(tx, {
        id: 0,
        name: 'test',
        use: 'template',
        labels: {},
        template: { subject: '', text: '', html: '', to: '', cc: '', ...changes },
      }),
    );
  const acknowledgementTemplateId = await template({
    subject: '{{ticket.tag}} We have it',
    text: '{{user.firstname}}: {{ticket.subject}}\n-- \n{{signature}}',
    html: '<p>{{user.name}}: {{ticket.subject}}</p>{{signature}}',
  });
  const responseTemplateId = await template({ subject: 'Known outage', text: 'We know, {{user.name}}.' });
  const rule = { type: 'ignore' as const, responseTemplateId };
  await site.runtime.db.transaction().execute(async (tx) => {
    await saveRule(tx, makeRule({ id: 0, name: 'outage', subject: 'OUTAGE', responseTemplateId }), 'test');
    await saveRule(tx, makeRule({ id: 0, name: 'closed', subject: 'CLOSED', ...rule }), 'test');
  });
  const { host, port, tlsCa } = smtp.settings();
  await site.addMailbox('desk', {
    addresses: [DESK],
    policy: {
      ...defaultMailboxSettings('localhost', 'desk').policy,
      newRequesterAcknowledge: true,
      newRequesterWelcome: true,
    },
    sending: {
      ...defaultSending('smtp'),
      smtp: { host, port, tls: 'implicit', tlsVerify: true, tlsCa, auth: 'none', user: '' },
      displayName: 'The desk',
      signature: 'Your desk',
      signatureHtml: '<b>Your desk</b>',
      acknowledgementTemplateId,
      perMinute: 1_000,
    },
  });
  await Pipe.start(site, { work: { sending: { everyMs: 200 } } });
  /** To whom, and with what subject, once there are so many. */
  const sent = async (count: number): Promise<string[]> => {
    await site.waitUntilProcessed();
    await until(() => smtp.received.length >= count);
    return smtp.received.map(({ to, mime }) => `${to} ${/^Subject: (.*)\r$/m.exec(mime)![1]}`).sort();
  };

  site.deliver('desk', mail('Ann Lee <ann@customer.example>', 'Printer <b>'));
  expect(await sent(2)).toEqual([
    'ann@customer.example Welcome to desk',
    'ann@customer.example [ID:1] We have it',
  ]);
  const [acknowledged] = smtp.received.filter(({ mime }) => mime.includes('We have it'));
  expect(acknowledged!.mime).toContain('From: The desk <desk@example.com>\r\n');
  expect(acknowledged!.mime).toContain('Ann: Printer <b>\r\n-- \r\nYour desk');
  expect(acknowledged!.mime).toContain('<p>Ann Lee: Printer &lt;b&gt;</p><b>Your desk</b>');
  const [welcome] = smtp.received.filter(({ mime }) => mime.includes('Welcome'));
  expect(welcome!.mime).toMatch(/kept under your\s+name, Ann Lee/);

  // Known by now; answered by a rule; answered though nothing else comes of it; and a machine.
  site.deliver('desk', mail('Ann Lee <ann@customer.example>', 'Second'));
  site.deliver('desk', mail('Bob <bob@customer.example>', 'OUTAGE'));
  site.deliver('desk', mail('Carl <carl@customer.example>', 'CLOSED'));
  site.deliver('desk', mail('robot@customer.example', 'Third', ['Auto-Submitted: auto-generated']));
  site.deliver('desk', mail('robot@customer.example', 'OUTAGE', ['Precedence: bulk']));
  const all = [
    'ann@customer.example Welcome to desk',
    'ann@customer.example [ID:1] We have it',
    'ann@customer.example [ID:N] We have it',
    'bob@customer.example Known outage',
    'bob@customer.example Welcome to desk',
    'carl@customer.example Known outage',
  ];
  // Numbers of tickets come in the order of processing.
  const lines = (await sent(all.length)).map((line) => line.replace(/\[ID:(?!1\])\d+\]/, '[ID:N]'));
  expect(lines.sort()).toEqual(all.sort());
  for (const { mime } of smtp.received) expect(mime).toMatch(/^Auto-Submitted: auto-replied\r$/m);
  const mails = await site.runtime.db.selectFrom('outgoing_email').select('id').execute();
  expect(mails).toHaveLength(all.length);
});
