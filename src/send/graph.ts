/**
 * Sends through Microsoft Graph (learn.microsoft.com/graph/api/user-sendmail). Always as MIME: in JSON a mail cannot have
 * the fields that keep machines from answering (only names that begin with X- are taken). One request is enough up to
 * 4 MB; a larger mail is made as a draft of the same MIME, gets its attachments by upload session, and is then sent.
 */
import { fail } from '../errors.ts';
import type { GraphClient } from '../source/graph/client.ts';
import type { GraphMailbox } from '../source/graph/graph-source.ts';
import { composeMail } from './compose.ts';
import { type Attachment, type OutgoingMail, pendingRecipients, type Sent, type Transport } from './mail.ts';
import { uploadInChunks } from './upload-session.ts';

export interface GraphSendOptions {
  /** The largest request that is sent in one; Graph takes 4 MB. */
  requestBytes: number;
  /** From here on an attachment goes by upload session. */
  uploadBytes: number;
}
const DEFAULTS: GraphSendOptions = { requestBytes: 3_900_000, uploadBytes: 2_800_000 };

interface Listed {
  id?: string;
  isDraft?: boolean;
}

export function graphTransport(graph: GraphMailbox, options: Partial<GraphSendOptions> = {}): Transport {
  const limits = { ...DEFAULTS, ...options };
  const within = async <T>(signal: AbortSignal, run: (client: GraphClient) => Promise<T>): Promise<T> => {
    const client = graph.client();
    const abort = (): void => client.close();
    signal.addEventListener('abort', abort, { once: true });
    try {
      signal.throwIfAborted();
      return await run(client);
    } finally {
      signal.removeEventListener('abort', abort);
      client.close();
    }
  };
  return {
    canLook: true,
    send: (mail, handover, signal) =>
      within(signal, async (client) => {
        const whole = await base64Mime(mail, false);
        if (whole.length <= limits.requestBytes) {
          await handover();
          await client.json(client.mailbox('/sendMail'), {
            what: 'send a mail',
            method: 'POST',
            text: whole,
          });
        } else {
          await sendDraft(client, mail, handover, limits, signal);
        }
        return sentTo(mail, null);
      }),
    find: (mail, _since, signal) =>
      within(signal, async (client) => {
        const sent = (await withMessageId(client, mail)).find(({ isDraft }) => isDraft === false);
        return sent === undefined ? null : sentTo(mail, sent.id ?? null);
      }),
    check: null,
    close: () => undefined,
  };
}

const sentTo = (mail: OutgoingMail, providerId: string | null): Sent => ({
  accepted: pendingRecipients(mail),
  refused: [],
  providerId,
  messageId: null,
});

async function base64Mime(mail: OutgoingMail, withoutAttachments: boolean): Promise<string> {
  return (await composeMail(mail, { withBcc: true, withoutAttachments })).toString('base64');
}

/** A mail of ours in any folder: a draft, in the outbox, or sent. */
async function withMessageId(client: GraphClient, { messageId }: OutgoingMail): Promise<Listed[]> {
  const filter = encodeURIComponent(`internetMessageId eq '<${messageId.replaceAll("'", "''")}>'`);
  const path = client.mailbox(`/messages?$filter=${filter}&$select=id,isDraft`);
  const { value = [] } = ((await client.json(path, { what: 'look for a mail' })) ?? {}) as {
    value?: Listed[];
  };
  return value;
}

async function sendDraft(
  client: GraphClient,
  mail: OutgoingMail,
  handover: () => Promise<void>,
  limits: GraphSendOptions,
  signal: AbortSignal,
): Promise<void> {
  const text = await base64Mime(mail, true);
  if (text.length > limits.requestBytes) {
    throw fail('send_refused', 'The text alone is larger than Graph takes', { answered: true });
  }
  // Left over from an attempt that ended before the mail was sent.
  for (const { id, isDraft } of await withMessageId(client, mail))
    if (isDraft === true && id !== undefined) await remove(client, id);
  const made = await client.json(client.mailbox('/messages'), { what: 'make a draft', method: 'POST', text });
  const { id } = (made ?? {}) as Listed;
  if (id === undefined) throw fail('server_protocol', 'The draft has no id');
  try {
    for (const attachment of mail.attachments) await attach(client, id, attachment, limits, signal);
    await handover();
  } catch (error) {
    await remove(client, id).catch(() => undefined);
    throw error;
  }
  await client.json(client.mailbox(`/messages/${encodeURIComponent(id)}/send`), {
    what: 'send a draft',
    method: 'POST',
  });
}

async function remove(client: GraphClient, id: string): Promise<void> {
  const path = client.mailbox(`/messages/${encodeURIComponent(id)}`);
  await client.json(path, { what: 'remove a draft', method: 'DELETE' });
}

async function attach(
  client: GraphClient,
  id: string,
  { filename: name, contentType, contentId, bytes }: Attachment,
  limits: GraphSendOptions,
  signal: AbortSignal,
): Promise<void> {
  const path = client.mailbox(`/messages/${encodeURIComponent(id)}/attachments`);
  const about = {
    name,
    contentType,
    isInline: contentId !== null,
    ...(contentId === null ? {} : { contentId }),
  };
  if (bytes.length < limits.uploadBytes) {
    const body = {
      '@odata.type': '#microsoft.graph.fileAttachment',
      ...about,
      contentBytes: bytes.toString('base64'),
    };
    await client.json(path, { what: 'attach a file', method: 'POST', body });
    return;
  }
  const session = await client.json(`${path}/createUploadSession`, {
    what: 'begin an upload',
    method: 'POST',
    body: { AttachmentItem: { attachmentType: 'file', size: bytes.length, ...about } },
  });
  const { uploadUrl } = (session ?? {}) as { uploadUrl?: string };
  if (uploadUrl === undefined) throw fail('server_protocol', 'The upload session has no address');
  await uploadInChunks(uploadUrl, bytes, client.settings, signal);
}
