/**
 * How the lab's Graph sends: MIME at once, or a draft that gets attachments, by upload session too, and is sent. What is
 * sent is in Sent Items, and in the inbox of every mailbox of the lab that is a recipient.
 */
import { randomUUID } from 'node:crypto';
import { fixedContent } from '../mail-store.ts';
import { created, GraphFault, type LabAnswer, noContent, ok } from './answer.ts';
import type { LabMailbox, LabMessage } from './mail-store.ts';
import type { LabRequest, Route } from './routes.ts';

/** What a draft got beside its MIME. */
export interface LabFile {
  name: string;
  contentType: string;
  bytes: Buffer;
}

interface Upload {
  message: LabMessage;
  file: LabFile;
  size: number;
  received: number;
}

/** What Graph takes in one request that is no upload. */
const REQUEST_BYTES = 4 * 1024 * 1024;

export class LabOutgoing {
  readonly files = new Map<LabMessage, LabFile[]>();
  readonly #uploads = new Map<string, Upload>();
  /** Everybody who can be delivered to, by address. */
  readonly #mailboxes: ReadonlyMap<string, LabMailbox>;

  constructor(mailboxes: ReadonlyMap<string, LabMailbox>) {
    this.#mailboxes = mailboxes;
  }

  /** Takes a mail as sent and delivers it. */
  deliver(from: LabMailbox, mime: Buffer): void {
    const withoutBcc = Buffer.from(mime.toString('latin1').replace(/^Bcc: .*\r\n(?:[ \t].*\r\n)*/m, ''), 'latin1');
    const sent = from.folder('sentitems');
    if (sent) from.deliver(sent, fixedContent(withoutBcc), { isRead: true });
    for (const address of recipientsOf(mime)) {
      const mailbox = this.#mailboxes.get(address);
      const inbox = mailbox?.folder('inbox');
      if (mailbox && inbox) mailbox.deliver(inbox, fixedContent(withoutBcc));
    }
  }

  begin(message: LabMessage, item: Record<string, unknown>, host: string): LabAnswer {
    const id = randomUUID();
    const file = { name: String(item.name), contentType: String(item.contentType), bytes: Buffer.alloc(Number(item.size)) };
    this.#uploads.set(id, { message, file, size: Number(item.size), received: 0 });
    return created({ uploadUrl: `https://${host}/upload/${id}`, nextExpectedRanges: ['0-'] });
  }

  /** One piece of an upload. The address is the permission: a token is refused, as Exchange does. */
  put(id: string, range: string, body: Buffer, authorization: string | undefined): LabAnswer {
    const upload = this.#uploads.get(id);
    if (!upload) throw new GraphFault(404, 'ErrorItemNotFound', 'The upload session was not found.');
    if (authorization !== undefined) throw new GraphFault(401, 'InvalidAuthenticationToken', 'No token here.');
    const [, start = '', end = '', size = ''] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(range) ?? [];
    if (Number(start) !== upload.received || Number(end) - Number(start) + 1 !== body.length || Number(size) !== upload.size) {
      throw new GraphFault(416, 'InvalidRange', 'The range is not the next one.');
    }
    body.copy(upload.file.bytes, Number(start));
    upload.received += body.length;
    if (upload.received < upload.size) return ok({ nextExpectedRanges: [`${upload.received}-`] });
    this.add(upload.message, upload.file);
    this.#uploads.delete(id);
    return { status: 201, body: null };
  }

  add(message: LabMessage, file: LabFile): void {
    this.files.set(message, [...(this.files.get(message) ?? []), file]);
  }
}

export const OUTGOING_ROUTES: readonly Route[] = [
  { name: 'send-mail', method: 'POST', path: '/sendMail', role: 'send', answer: sendMail },
  { name: 'create-draft', method: 'POST', path: '/messages', role: 'write', answer: createDraft },
  { name: 'find-message', method: 'GET', path: '/messages', role: 'read', answer: findMessage },
  { name: 'attach', method: 'POST', path: '/messages/:message/attachments', role: 'write', answer: attach },
  {
    name: 'create-upload',
    method: 'POST',
    path: '/messages/:message/attachments/createUploadSession',
    role: 'write',
    answer: createUpload,
  },
  { name: 'send-draft', method: 'POST', path: '/messages/:message/send', role: 'send', answer: sendDraft },
];

function sendMail({ mailbox, text, outgoing }: LabRequest): LabAnswer {
  outgoing.deliver(mailbox, mimeOf(text));
  return noContent(202);
}

function createDraft({ mailbox, text }: LabRequest): LabAnswer {
  const drafts = mailbox.folder('drafts')!;
  const draft = mailbox.deliver(drafts, fixedContent(mimeOf(text)), { isRead: true });
  draft.isDraft = true;
  return created({ id: draft.immutableId, isDraft: true });
}

function findMessage({ mailbox, query }: LabRequest): LabAnswer {
  const wanted = /^internetMessageId eq '(<[^']+>)'$/.exec(query.filter ?? '')?.[1];
  if (wanted === undefined) throw new GraphFault(400, 'ErrorInvalidUrlQuery', 'The lab finds by internetMessageId.');
  const all = [...mailbox.folders.values()].flatMap(({ messages }) => messages);
  const found = all.filter(({ content }) => headOf(content.bytes()).includes(`Message-ID: ${wanted}`));
  return ok({ value: found.map(({ immutableId, isDraft }) => ({ id: immutableId, isDraft })) });
}

function attach({ mailbox, names, body, outgoing }: LabRequest): LabAnswer {
  const bytes = Buffer.from(String(body.contentBytes), 'base64');
  if (bytes.length > 3 * 1024 * 1024) throw new GraphFault(413, 'ErrorMessageSizeExceeded', 'Use an upload session.');
  outgoing.add(draftOf(mailbox, names), { name: String(body.name), contentType: String(body.contentType), bytes });
  return created({ id: randomUUID() });
}

function createUpload({ mailbox, names, body, outgoing, host }: LabRequest): LabAnswer {
  return outgoing.begin(draftOf(mailbox, names), (body.AttachmentItem ?? {}) as Record<string, unknown>, host);
}

function sendDraft({ mailbox, names, outgoing }: LabRequest): LabAnswer {
  const draft = draftOf(mailbox, names);
  mailbox.remove(draft);
  outgoing.deliver(mailbox, draft.content.bytes());
  return noContent(202);
}

function draftOf(mailbox: LabMailbox, names: Record<string, string>): LabMessage {
  const message = mailbox.message(names.message ?? '');
  if (message?.isDraft === true) return message;
  throw new GraphFault(404, 'ErrorItemNotFound', 'The specified object was not found in the store.');
}

function mimeOf(text: string | null): Buffer {
  if (text === null) throw new GraphFault(400, 'BadRequest', 'The lab takes MIME only.');
  if (text.length > REQUEST_BYTES) throw new GraphFault(413, 'RequestEntityTooLarge', 'The request is too large.');
  const mime = Buffer.from(text, 'base64');
  if (!/^message-id: /im.test(headOf(mime))) throw new GraphFault(400, 'ErrorMimeContentInvalid', 'The MIME is invalid.');
  return mime;
}

/** The header with long fields in one line each. */
function headOf(mime: Buffer): string {
  return mime.toString('latin1').split('\r\n\r\n', 1)[0]!.replace(/\r\n[ \t]+/g, ' ');
}

function recipientsOf(mime: Buffer): string[] {
  const fields = headOf(mime).split('\r\n').filter((line) => /^(?:to|cc|bcc):/i.test(line));
  return fields.flatMap((line) => [...line.matchAll(/[\w.+-]+@[\w.-]+/g)].map(([address]) => address.toLowerCase()));
}
