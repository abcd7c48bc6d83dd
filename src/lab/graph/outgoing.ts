/**
 * How the lab's Graph sends: MIME at once, or a draft that gets attachments, by upload session too, and is sent. What is
 * sent is in Sent Items, and in the inbox of every mailbox of the lab that is a recipient.
 */
import { randomUUID } from 'node:crypto';
import type { LabAnswer } from '../http/answer.ts';
import { fixedContent } from '../mail-store.ts';
import { created, GraphFault, noContent, ok } from './answer.ts';
import { headOf } from './delivery.ts';
import type { LabMailbox, LabMessage } from './mail-store.ts';
import type { LabRequest, Route } from './routes.ts';

/** What Graph takes in one request that is no upload. */
const REQUEST_BYTES = 4 * 1024 * 1024;

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
  if (wanted === undefined)
    throw new GraphFault(400, 'ErrorInvalidUrlQuery', 'The lab finds by internetMessageId.');
  const all = [...mailbox.folders.values()].flatMap(({ messages }) => messages);
  const found = all.filter(({ content }) => headOf(content.bytes()).includes(`Message-ID: ${wanted}`));
  return ok({ value: found.map(({ immutableId, isDraft }) => ({ id: immutableId, isDraft })) });
}

function attach({ mailbox, names, body, outgoing }: LabRequest): LabAnswer {
  const bytes = Buffer.from(String(body.contentBytes), 'base64');
  if (bytes.length > 3 * 1024 * 1024)
    throw new GraphFault(413, 'ErrorMessageSizeExceeded', 'Use an upload session.');
  outgoing.add(draftOf(mailbox, names), {
    name: String(body.name),
    contentType: String(body.contentType),
    bytes,
  });
  return created({ id: randomUUID() });
}

function createUpload({ mailbox, names, body, outgoing, host }: LabRequest): LabAnswer {
  return outgoing.begin(
    draftOf(mailbox, names),
    (body.AttachmentItem ?? {}) as Record<string, unknown>,
    host,
  );
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
  if (text.length > REQUEST_BYTES)
    throw new GraphFault(413, 'RequestEntityTooLarge', 'The request is too large.');
  const mime = Buffer.from(text, 'base64');
  if (!/^message-id: /im.test(headOf(mime)))
    throw new GraphFault(400, 'ErrorMimeContentInvalid', 'The MIME is invalid.');
  return mime;
}
