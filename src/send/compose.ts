/** Makes the bytes of a mail. The same mail gives the same bytes at every attempt. Pure. */
import { createHash } from 'node:crypto';
import MailComposer from 'nodemailer/lib/mail-composer';
import type { Attachment, Mailbox, OutgoingMail } from './mail.ts';
import { oneLine } from './one-line.ts';

export interface ComposeOptions {
  /** For servers that read recipients from the mail itself; they take it out. */
  withBcc?: boolean;
  /** Leave the attachments out: they are handed over on another way. */
  withoutAttachments?: boolean;
}

/** Our own mark on every mail, by which it is found again even where a server changes the Message-ID. */
export const MARK_FIELD = 'X-Penstock-Mail';

/** Composes RFC 5322 bytes. Nothing is read from files or addresses, whatever the texts say. */
export async function composeMail(mail: OutgoingMail, options: ComposeOptions = {}): Promise<Buffer> {
  const { recipients, html, inReplyTo } = mail;
  const composer = new MailComposer({
    from: plain(mail.from),
    to: recipients.to.map(plain),
    cc: recipients.cc.map(plain),
    ...(options.withBcc === true ? { bcc: recipients.bcc.map(plain) } : {}),
    ...(recipients.replyTo === null ? {} : { replyTo: plain(recipients.replyTo) }),
    subject: oneLine(mail.subject),
    text: mail.text,
    ...(html === null ? {} : { html }),
    messageId: `<${mail.messageId}>`,
    date: mail.date,
    ...(inReplyTo === null
      ? {}
      : { inReplyTo: `<${oneLine(inReplyTo)}>`, references: `<${oneLine(inReplyTo)}>` }),
    attachments: options.withoutAttachments === true ? [] : mail.attachments.map(part),
    headers: markFields(mail),
    disableFileAccess: true,
    disableUrlAccess: true,
    newline: '\r\n',
    // Without it each attempt would have other bytes.
    baseBoundary: createHash('sha256').update(mail.messageId).digest('hex').slice(0, 24),
  });
  const node = composer.compile();
  if (options.withBcc === true) node.keepBcc = true;
  return await node.build();
}

/** What tells machines not to answer (RFC 3834 section 5, MS-OXCMAIL), and ourselves that it is our own mail. */
function markFields({ automatic, instanceId, messageId }: OutgoingMail): Record<string, string> {
  return {
    'X-Loop': instanceId,
    [MARK_FIELD]: messageId,
    ...(automatic !== null
      ? {
          'Auto-Submitted': automatic,
          'X-Auto-Response-Suppress': 'All',
          Precedence: 'bulk',
        }
      : {}),
  };
}

function part({ filename, contentType, contentId, bytes }: Attachment): object {
  return {
    filename: oneLine(filename),
    contentType: /^[\w.+-]+\/[\w.+-]+$/.test(contentType) ? contentType : 'application/octet-stream',
    content: bytes,
    ...(contentId === null ? {} : { cid: oneLine(contentId) }),
  };
}

const plain = ({ name, address }: Mailbox): Mailbox => ({ name: oneLine(name), address: oneLine(address) });
