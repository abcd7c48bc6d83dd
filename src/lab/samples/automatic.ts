/** What mail systems send by themselves: absence notes, bounces (RFC 3464), read receipts (RFC 8098). */
import { type Entity, multipartEntity, textEntity } from './compose.ts';
import { DESK, firstName, person } from './people.ts';
import type { Sample, SampleWriter } from './sample.ts';

/** An absence note that answers a mail of the desk in an open conversation (RFC 3834). */
export function autoReply(writer: SampleWriter, to: Sample): Sample {
  const { random } = writer;
  const { from } = to;
  return writer.write({
    kind: 'auto-reply',
    from,
    subject: `Automatic reply: ${to.subject}`,
    entity: textEntity(
      `I am out of the office until ${random.between(2, 28)} April and read mail again after that.\n\n${firstName(from)}\n`,
    ),
    answers: { ...to, thread: [...to.thread, `reply.${random.hex(12)}@${DESK.host}`] },
    headers: [
      ['Auto-Submitted', 'auto-replied'],
      ['X-Auto-Response-Suppress', 'All'],
      ['Precedence', 'auto_reply'],
    ],
    expect: { outcome: 'update', class: 'auto-replied', rule: null },
  });
}

/** A mail of the desk could not be delivered. */
export function bounce(writer: SampleWriter): Sample {
  const { random } = writer;
  const host = random.pick(['larkfield.example', 'olivar.example', 'prairiefreight.example']);
  const recipient = `gone.${random.hex(4)}@${host}`;
  const original = `reply.${random.hex(12)}@${DESK.host}`;
  const daemon = person('Mail Delivery System', 'MAILER-DAEMON', `mx.${host}`, 0);
  const parts: Entity[] = [
    textEntity(
      `This is the mail system at host mx.${host}.\n\nYour message could not be delivered.\n\n` +
        `<${recipient}>: host mx.${host} said: 550 5.1.1 User unknown\n`,
    ),
    {
      headers: ['Content-Type: message/delivery-status'],
      body: Buffer.from(
        `Reporting-MTA: dns; mx.${host}\r\nArrival-Date: ${writer.date.toUTCString()}\r\n\r\n` +
          `Final-Recipient: rfc822; ${recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\n` +
          `Diagnostic-Code: smtp; 550 5.1.1 User unknown\r\n`,
      ),
    },
    {
      headers: ['Content-Type: text/rfc822-headers'],
      body: Buffer.from(
        `From: ${DESK.address}\r\nTo: ${recipient}\r\nSubject: Re: your request\r\nMessage-ID: <${original}>\r\n`,
      ),
    },
  ];
  return writer.write({
    kind: 'bounce',
    from: daemon,
    subject: 'Undelivered Mail Returned to Sender',
    entity: report('delivery-status', `${random.hex(12)}/mx.${host}`, parts),
    headers: [
      ['Return-Path', '<>'],
      ['Auto-Submitted', 'auto-replied'],
    ],
    expect: { outcome: 'ignore', class: 'bounce', rule: null },
  });
}

/** Somebody has opened a mail of the desk. */
export function readReceipt(writer: SampleWriter, to: Sample): Sample {
  const { random } = writer;
  const { from } = to;
  const parts: Entity[] = [
    textEntity(`Your message was displayed on ${writer.date.toUTCString()}.\n`),
    {
      headers: ['Content-Type: message/disposition-notification'],
      body: Buffer.from(
        `Reporting-UA: mail.${from.host}; Pocket Mail 2.1\r\nFinal-Recipient: rfc822; ${from.address}\r\n` +
          `Original-Message-ID: <reply.${random.hex(12)}@${DESK.host}>\r\n` +
          'Disposition: manual-action/MDN-sent-manually; displayed\r\n',
      ),
    },
  ];
  return writer.write({
    kind: 'read-receipt',
    from,
    subject: `Read: ${to.subject}`,
    entity: report('disposition-notification', `mdn-${random.hex(16)}`, parts),
    follows: to,
    expect: { outcome: 'ignore', class: 'report', rule: null },
  });
}

/** RFC 6522. */
function report(type: string, boundary: string, parts: readonly Entity[]): Entity {
  const entity = multipartEntity('report', boundary, parts);
  return {
    headers: [`Content-Type: multipart/report; report-type=${type};\r\n boundary="${boundary}"`],
    body: entity.body,
  };
}
