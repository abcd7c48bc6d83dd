/** Where the lab's Graph delivers what is sent, and the uploads of attachments on the way. */
import { randomUUID } from 'node:crypto';
import type { LabAnswer } from '../http/answer.ts';
import { fixedContent } from '../mail-store.ts';
import { created, GraphFault, ok } from './answer.ts';
import type { LabMailbox, LabMessage } from './mail-store.ts';

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
    const withoutBcc = Buffer.from(
      mime.toString('latin1').replace(/^Bcc: .*\r\n(?:[ \t].*\r\n)*/m, ''),
      'latin1',
    );
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
    const file = {
      name: String(item.name),
      contentType: String(item.contentType),
      bytes: Buffer.alloc(Number(item.size)),
    };
    this.#uploads.set(id, { message, file, size: Number(item.size), received: 0 });
    return created({ uploadUrl: `https://${host}/upload/${id}`, nextExpectedRanges: ['0-'] });
  }

  /** One piece of an upload. The address is the permission: a token is refused, as Exchange does. */
  put(id: string, range: string, body: Buffer, authorization: string | undefined): LabAnswer {
    const upload = this.#uploads.get(id);
    if (!upload) throw new GraphFault(404, 'ErrorItemNotFound', 'The upload session was not found.');
    if (authorization !== undefined)
      throw new GraphFault(401, 'InvalidAuthenticationToken', 'No token here.');
    const [, start = '', end = '', size = ''] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(range) ?? [];
    if (
      Number(start) !== upload.received ||
      Number(end) - Number(start) + 1 !== body.length ||
      Number(size) !== upload.size
    ) {
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

/** The header with long fields in one line each. */
export function headOf(mime: Buffer): string {
  return mime
    .toString('latin1')
    .split('\r\n\r\n', 1)[0]!
    .replace(/\r\n[ \t]+/g, ' ');
}

function recipientsOf(mime: Buffer): string[] {
  const fields = headOf(mime)
    .split('\r\n')
    .filter((line) => /^(?:to|cc|bcc):/i.test(line));
  return fields.flatMap((line) =>
    [...line.matchAll(/[\w.+-]+@[\w.-]+/g)].map(([address]) => address.toLowerCase()),
  );
}
