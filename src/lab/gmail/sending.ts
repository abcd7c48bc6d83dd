/** How the lab's Gmail sends: an upload of MIME. What is sent is in SENT, and in the inbox of every user of the lab. */
import type { LabAnswer } from '../http/answer.ts';
import { apiError } from './errors.ts';
import type { LabMailbox, LabMessage } from './mail-store.ts';

/** What Gmail takes. */
export const UPLOAD_BYTES = 36_700_160;

/** `rewrite`: gives the mail a Message-ID of its own, as Gmail does with some. */
export function sendUpload(
  from: LabMailbox,
  mime: Buffer,
  mailboxOf: (address: string) => LabMailbox | undefined,
  rewrite: boolean,
): LabAnswer {
  let text = mime.toString('latin1');
  const recipients = fieldsOf(text, /^(?:to|cc|bcc)$/i).flatMap(
    ({ value }) => value.match(/[\w.+-]+@[\w.-]+/g) ?? [],
  );
  if (recipients.length === 0) return apiError(400, 'invalidArgument', 'Recipient address required');
  text = text.replace(/^Bcc: .*\r\n(?:[ \t].*\r\n)*/m, '');
  if (rewrite)
    text = text.replace(
      /^Message-ID: .*\r\n(?:[ \t].*\r\n)*/m,
      `Message-ID: <CA${Date.now()}@mail.gmail.com>\r\n`,
    );
  const sent = from.add(Buffer.from(text, 'latin1'), ['SENT']);
  for (const address of recipients)
    mailboxOf(address.toLowerCase())?.add(Buffer.from(text, 'latin1'), ['INBOX', 'UNREAD']);
  return { status: 200, body: { id: sent.id, threadId: sent.id, labelIds: ['SENT'] } };
}

/** `payload` of a message asked for as metadata. */
export function metadataOf({ raw }: LabMessage, wanted: readonly string[]): object {
  const names = new Set(wanted.map((name) => name.toLowerCase()));
  const headers = fieldsOf(raw.toString('latin1')).filter(({ name }) => names.has(name.toLowerCase()));
  return { headers };
}

/** Whether a message is found by a search: `rfc822msgid:` and `in:sent after:` are what the lab knows. */
export function isFound(message: LabMessage, query: string): boolean {
  const [, id] = /^rfc822msgid:(\S+)$/.exec(query) ?? [];
  if (id !== undefined) {
    return fieldsOf(message.raw.toString('latin1'), /^message-id$/i).some(({ value }) => value === `<${id}>`);
  }
  const [, after] = /^in:sent after:(\d+)$/.exec(query) ?? [];
  return after !== undefined && message.labels.has('SENT') && message.internalDate >= Number(after) * 1000;
}

function fieldsOf(text: string, name = /./): { name: string; value: string }[] {
  const head = text.split('\r\n\r\n', 1)[0]!.replace(/\r\n[ \t]+/g, ' ');
  return head.split('\r\n').flatMap((line) => {
    const colon = line.indexOf(':');
    const field = { name: line.slice(0, colon), value: line.slice(colon + 1).trim() };
    return colon > 0 && name.test(field.name) ? [field] : [];
  });
}
