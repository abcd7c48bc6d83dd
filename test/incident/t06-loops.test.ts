import { describe, expect, it } from 'vitest';
import { classify } from '../../src/message/classify.ts';
import type { MessageClass } from '../../src/message/message.ts';
import { parseMessage } from '../../src/message/parse.ts';
import { findTicket } from '../../src/ticket/thread.ts';
import { multipart, withHeaders } from '../message/mail.ts';
import { makeContext, makeFacts, makeTicket } from '../ticket/fixtures.ts';

const CONTEXT = { ownAddresses: ['help@example.org', 'Support@Example.org'], instanceId: 'penstock-7f3a' };

async function classOf(source: Buffer): Promise<{ class: MessageClass; facts: string[] }> {
  const result = classify(await parseMessage(source), CONTEXT);
  return { class: result.class, facts: result.evidence.map((entry) => entry.fact.toLowerCase()) };
}

const PERSON = 'From: Alice <alice@example.com>';

/** What decides, the class, the header fields beside From (a From among them replaces it), and a body. */
const CASES: [string, MessageClass, string[], string?][] = [
  // People
  ['nothing', 'human', []],
  ['a reply', 'human', ['Subject: Re: Printer', 'In-Reply-To: <1@example.org>']],
  ['Auto-Submitted: no', 'human', ['Auto-Submitted: no']],
  ['Precedence: first-class', 'human', ['Precedence: first-class']],
  ['suppressed read receipts', 'human', ['X-Auto-Response-Suppress: RN, NRN']],
  ['a return path', 'human', ['Return-Path: <alice@example.com>']],
  ['a subject about holidays alone', 'human', ['Subject: Out of office on Friday, who is on call?']],
  [
    'a subject about a parcel',
    'human',
    ['Subject: Delivery failed: parcel 4711'],
    'It could not be delivered.',
  ],
  ['a question about a bounce', 'human', ['Subject: Undeliverable: my invoice'], 'I get 550 5.1.1, why?'],
  [
    'a forwarded bounce',
    'human',
    ['Subject: Fwd: Undelivered Mail Returned to Sender'],
    'This is the mail system at host mx.',
  ],
  ['a loop mark of someone else', 'human', ['X-Loop: other@example.net']],
  ['a vendor field that says no', 'human', ['X-Autoreply: no']],
  ['a priority', 'human', ['X-Priority: 1', 'Importance: high']],

  // Ourselves
  ['our loop mark', 'own', ['X-Loop: penstock-7f3a']],
  ['our loop mark among others', 'own', ['X-Loop: other', 'X-Loop: <penstock-7f3a>']],
  ['our address', 'own', ['From: help@example.org']],
  ['our address in other letters', 'own', ['From: Desk <HELP@EXAMPLE.ORG>']],
  ['our address with a tag', 'own', ['From: support+t42@example.org']],
  ['our address as the sender field', 'own', [PERSON, 'Sender: help@example.org']],
  ['our own automatic answer', 'own', ['X-Loop: penstock-7f3a', 'Auto-Submitted: auto-replied']],
  ['a bounce that carries our mark', 'own', ['From: MAILER-DAEMON@example.net', 'X-Loop: penstock-7f3a']],

  // Bounces
  ['mailer-daemon', 'bounce', ['From: MAILER-DAEMON@mx.example.net']],
  ['mailer-daemon without a domain', 'bounce', ['From: MAILER-DAEMON (Mail Delivery Subsystem)']],
  [
    'Mail Delivery Subsystem of Gmail',
    'bounce',
    ['From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>', 'Auto-Submitted: auto-replied'],
  ],
  ['X-Failed-Recipients of Exim', 'bounce', ['X-Failed-Recipients: bob@example.net']],
  [
    'Exchange NDR',
    'bounce',
    ['From: postmaster@example.net', 'X-MS-Exchange-Message-Is-Ndr: ', 'Subject: Undeliverable: Hi'],
  ],
  [
    'report-type of the content type',
    'bounce',
    ['Content-Type: multipart/report; report-type=delivery-status; boundary=b'],
  ],
  [
    'report-type in quotes and upper case',
    'bounce',
    ['Content-Type: Multipart/Report; boundary=b; Report-Type="Delivery-Status"'],
  ],
  ['null path and a subject', 'bounce', ['Return-Path: <>', 'Subject: Undelivered Mail Returned to Sender']],
  [
    'null path and qmail',
    'bounce',
    ['Return-Path: <>', 'Subject: failure notice'],
    'Hi. This is the qmail-send program at mx.',
  ],
  [
    'null path and Exim text',
    'bounce',
    ['Return-Path: <>'],
    'This message was created automatically by mail delivery software.',
  ],
  [
    'postmaster and Exchange text',
    'bounce',
    ['From: System Administrator <postmaster@example.net>'],
    'Your message did not reach some or all of the intended recipients.',
  ],
  [
    'postmaster and a German subject',
    'bounce',
    ['From: postmaster@example.net', 'Subject: Unzustellbar: Angebot'],
  ],
  [
    'postmaster and a Japanese subject',
    'bounce',
    ['From: postmaster@example.net', 'Subject: =?utf-8?B?6YWN5L+h5LiN6IO9?='],
  ],
  [
    'three marks of the content',
    'bounce',
    ['Subject: Delivery failure'],
    'The message could not be delivered: 550 5.1.1',
  ],
  ['a subject behind a spam mark', 'bounce', ['Return-Path: <>', 'Subject: [SPAM] Undeliverable: Hi']],

  // Automatic answers
  ['Auto-Submitted: auto-replied', 'auto-replied', ['Auto-Submitted: auto-replied']],
  ['auto-replied with a parameter', 'auto-replied', ['Auto-Submitted: Auto-Replied; owner-email="a@b"']],
  ['auto-replied with a comment', 'auto-replied', ['Auto-Submitted: auto-replied (vacation)']],
  ['Precedence: auto_reply', 'auto-replied', ['Precedence: auto_reply']],
  ['X-Autoreply', 'auto-replied', ['X-Autoreply: yes']],
  ['X-Autorespond', 'auto-replied', ['X-Autorespond: Printer']],
  ['X-Auto-Reply-From', 'auto-replied', ['X-Auto-Reply-From: a@b']],
  ['X-Mail-Autoreply', 'auto-replied', ['X-Mail-Autoreply: 1']],
  ['X-Vacation', 'auto-replied', ['X-Vacation: yes']],
  ['X-Autogenerated: Reply', 'auto-replied', ['X-Autogenerated: Reply']],
  ['X-POST-MessageClass', 'auto-replied', ['X-POST-MessageClass: 9; Autoresponder']],
  ['Delivered-To: Autoresponder', 'auto-replied', ['Delivered-To: Autoresponder']],
  [
    'Exchange out of office',
    'auto-replied',
    ['Subject: Automatic reply: Printer', 'X-Auto-Response-Suppress: All'],
  ],
  [
    'German out of office',
    'auto-replied',
    ['Subject: Automatische Antwort: Drucker', 'X-Auto-Response-Suppress: DR, OOF, AutoReply'],
  ],
  [
    'French out of office',
    'auto-replied',
    ['Subject: =?utf-8?Q?R=C3=A9ponse_automatique?= : x', 'Auto-Submitted: auto-generated'],
  ],
  [
    'a subject that answers a message',
    'auto-replied',
    ['Subject: Out of Office: Printer', 'In-Reply-To: <1@example.org>'],
  ],
  ['a subject with a null path', 'auto-replied', ['Subject: Abwesenheitsnotiz', 'Return-Path: <>']],
  ['an answer through a list', 'auto-replied', ['Auto-Submitted: auto-replied', 'List-Id: <l.example.org>']],

  // Lists
  ['List-Id', 'list', ['List-Id: Friends <friends.example.org>']],
  ['List-Unsubscribe', 'list', ['List-Unsubscribe: <mailto:leave@example.org>']],
  ['List-Unsubscribe-Post', 'list', ['List-Unsubscribe-Post: List-Unsubscribe=One-Click']],
  ['Precedence: list', 'list', ['Precedence: list']],
  ['Mailing-List', 'list', ['Mailing-List: contact help@lists.example.org']],
  ['X-Mailman-Version', 'list', ['X-Mailman-Version: 2.1']],
  ['a list in bulk', 'list', ['Precedence: bulk', 'List-Post: <mailto:l@example.org>']],

  // Programs
  ['Auto-Submitted: auto-generated', 'auto-generated', ['Auto-Submitted: auto-generated']],
  ['Auto-Submitted: auto-notified', 'auto-generated', ['Auto-Submitted: auto-notified; owner-token=1']],
  ['Precedence: bulk', 'auto-generated', ['Precedence: bulk']],
  ['Precedence: junk', 'auto-generated', ['Precedence: Junk']],
  ['X-Precedence: bulk', 'auto-generated', ['X-Precedence: bulk']],
  ['X-Auto-Response-Suppress: All', 'auto-generated', ['X-Auto-Response-Suppress: All']],
  ['X-Auto-Response-Suppress: OOF', 'auto-generated', ['X-Auto-Response-Suppress: OOF']],
  [
    'X-Auto-Response-Suppress: DR, OOF, AutoReply',
    'auto-generated',
    ['X-Auto-Response-Suppress: DR, OOF, AutoReply'],
  ],
  ['a null path alone', 'auto-generated', ['Return-Path: <>']],
  ['postmaster alone', 'auto-generated', ['From: postmaster@example.net']],
  ['no-reply', 'auto-generated', ['From: no-reply@example.net']],
  ['noreply with a tag', 'auto-generated', ['From: noreply-billing@example.net']],
  ['FirstClass', 'auto-generated', ['X-FC-MachineGenerated: true']],
  ['cron', 'auto-generated', ['X-Cron-Env: <SHELL=/bin/sh>', 'From: root@example.net (Cron Daemon)']],
  ['Jenkins', 'auto-generated', ['X-Jenkins-Job: build']],
  ['Jira', 'auto-generated', ['X-JIRA-FingerPrint: abc']],
];

describe('T6 mail loops', () => {
  it('T6.1 the table has at least sixty header sets', () => {
    expect(CASES.length).toBeGreaterThanOrEqual(60);
  });

  it.each(CASES)('T6.1 %s is %s', async (_name, expected, fields, body) => {
    const headers = fields.some((field) => field.startsWith('From:')) ? fields : [PERSON, ...fields];
    const result = await classOf(withHeaders(headers, body));
    expect(result.class).toBe(expected);
    // Whoever is no person is told apart by facts, and these are kept.
    expect(result.facts.length > 0).toBe(expected !== 'human');
  });

  it.each([
    ['disposition-notification', 'report'],
    ['feedback-report', 'report'],
    ['delivery-status', 'bounce'],
  ])('T6.1 a part of message/%s is a %s', async (type, expected) => {
    const source = multipart('report', [
      { headers: ['Content-Type: text/plain'], body: 'Hello' },
      { headers: [`Content-Type: message/${type}`], body: 'Final-Recipient: rfc822; a@b\r\nAction: failed' },
    ]);
    expect((await classOf(source)).class).toBe(expected);
  });

  it('T6.1 a confirmation of delivery is a report and no bounce', async () => {
    const source = multipart('report; report-type=delivery-status', [
      {
        headers: ['Content-Type: message/delivery-status'],
        body: 'Final-Recipient: rfc822; a@b\r\nAction: delivered',
      },
    ]);
    expect((await classOf(source)).class).toBe('report');
  });

  it('T6.1 a delayed message is a bounce', async () => {
    const source = multipart('report; report-type=delivery-status', [
      {
        headers: ['Content-Type: message/delivery-status'],
        body: 'Final-Recipient: rfc822; a@b\r\nAction: delayed',
      },
    ]);
    expect((await classOf(source)).class).toBe('bounce');
  });

  it('T6.1 a person who attaches a bounce is a person', async () => {
    const source = multipart('mixed', [
      { headers: ['Content-Type: text/plain'], body: 'My mail could not be delivered, see attachment. 550?' },
      {
        headers: ['Content-Type: message/rfc822'],
        body: 'From: MAILER-DAEMON@example.net\r\n\r\nundelivered',
      },
    ]);
    expect((await classOf(source)).class).toBe('human');
  });

  it('T6.1 the evidence names the header and its value', async () => {
    const message = await parseMessage(
      withHeaders([PERSON, 'Precedence: bulk', 'Auto-Submitted: auto-generated']),
    );
    expect(classify(message, CONTEXT)).toEqual({
      class: 'auto-generated',
      evidence: [
        { fact: 'Auto-Submitted', value: 'auto-generated' },
        { fact: 'precedence', value: 'bulk' },
      ],
    });
  });

  it('T6.1 classifying changes nothing and answers the same again', async () => {
    const message = await parseMessage(withHeaders(['From: MAILER-DAEMON@example.net']));
    const copy = structuredClone(message);
    expect(classify(message, CONTEXT)).toEqual(classify(message, CONTEXT));
    expect(message).toEqual(copy);
  });

  it('T6.1 header names like __proto__ are names like any other', async () => {
    expect(
      (await classOf(withHeaders([PERSON, '__proto__: x', 'constructor: y', 'toString: z']))).class,
    ).toBe('human');
  });

  it.each(['help@example.org', 'HELP@example.org', 'help+anything@example.org', 'support@example.org'])(
    'T6.4 mail from %s is our own',
    async (address) => {
      const result = await classOf(withHeaders([`From: Somebody <${address}>`]));
      expect(result).toEqual({ class: 'own', facts: ['sender is one of our mailboxes'] });
    },
  );

  it.each(['help@example.com', 'xhelp@example.org', 'help@sub.example.org', ''])(
    'T6.4 mail from %j is not our own',
    async (address) => {
      expect((await classOf(withHeaders([`From: <${address}>`]))).class).toBe('human');
    },
  );

  it('T6.4 without an instance id no loop mark is ours', async () => {
    const message = await parseMessage(withHeaders([PERSON, 'X-Loop: ']));
    expect(classify(message, { ownAddresses: [], instanceId: '' }).class).toBe('human');
  });

  it.each([
    'X-Penstock-Mail: r16-aaaaaaaaaaaaaaaaaaaaaaaaaa.0123456789abcdef@example.org',
    'X-Penstock-Ticket: 42',
    'X-Halo-Ticket-Id: 42',
    'X-Loop: penstock-7f3',
    'Authentication-Results: example.org; dmarc=pass header.from=example.org',
    'Authentication-Results: example.org; dmarc=fail header.from=example.com',
  ])('T21.2 %s of a sender makes it neither our own mail nor part of a ticket', async (field) => {
    const message = await parseMessage(withHeaders([PERSON, field]));
    expect(classify(message, CONTEXT)).toMatchObject({ class: 'human', evidence: [] });
    const facts = makeFacts({ tickets: [makeTicket(42, { participants: ['alice@example.com'] })] });
    expect(findTicket(message, facts, makeContext())).toMatchObject({ ticketId: null, evidence: [] });
  });
});
