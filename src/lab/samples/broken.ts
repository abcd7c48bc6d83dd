/** Mail that breaks the rules of its format, by accident or on purpose. */
import { mailDate, multipartEntity, textEntity } from './compose.ts';
import { CUSTOMERS, DESK } from './people.ts';
import { FROM_A_PERSON } from './requests.ts';
import type { Sample, SampleWriter } from './sample.ts';
import { letter, someRequest } from './words.ts';

/** More than LIMITS.mimeDepth. */
const TOO_DEEP = 60;

/**
 * The boundary is never closed, two header lines are none, there is no Message-ID, and 8-bit bytes and NUL stand
 * where only ASCII may. It can still be read, so it has to become a ticket.
 */
export function broken(writer: SampleWriter): Sample {
  const { random } = writer;
  const from = random.pick(CUSTOMERS);
  const { subject, body } = someRequest(random);
  const boundary = `----broken_${random.hex(8)}`;
  const head = [
    `Date: ${mailDate(writer.date)}`,
    `From: ${from.address}`,
    `To: ${DESK.address}`,
    'this line has no colon and is no header field',
    ': neither is this',
    `Subject: ${subject} üäö`,
    'MIME-Version: 1.0 (made by hand)',
    `Content-Type: multipart/mixed; boundary="${boundary}`,
    'X-Empty:',
  ].join('\r\n');
  const text = `--${boundary}\r\nContent-Type: text/plain\r\n\r\n${body} \xa0\xff\x00 caf\xe9\r\n`;
  return writer.add({
    kind: 'broken',
    bytes: Buffer.from(`${head}\r\n\r\n${text}`, 'latin1'),
    from,
    subject: `${subject} üäö`,
    messageId: null,
    thread: [],
    expect: FROM_A_PERSON,
  });
}

/** Multiparts sixty deep: no person writes so. It is set aside with its bytes, and the mailbox goes on. */
export function tooDeep(writer: SampleWriter): Sample {
  const { random } = writer;
  const from = random.pick(CUSTOMERS);
  const { subject, body } = someRequest(random);
  let entity = textEntity(letter(body, from, random));
  for (let depth = 0; depth < TOO_DEEP; depth += 1) {
    entity = multipartEntity('mixed', `level-${depth}-${random.hex(6)}`, [entity]);
  }
  return writer.write({
    kind: 'too-deep',
    from,
    subject,
    entity,
    expect: { outcome: 'quarantine', class: null, rule: null },
  });
}
