/**
 * Sends through the Gmail API (developers.google.com/gmail/api/reference/rest/v1/users.messages/send), as an upload of
 * the MIME bytes, which takes mails of 35 MB. Gmail may give a mail another Message-ID; what it has then is read back.
 */
import type { GmailApi } from '../source/gmail/api.ts';
import { composeMail, MARK_FIELD } from './compose.ts';
import { type OutgoingMail, pendingRecipients, type Sent, type Transport } from './mail.ts';

/** Mails in Sent that are looked at, the newest first, where the search by Message-ID finds nothing. */
const LOOK_AT = 100;

export function gmailTransport(api: GmailApi): Transport {
  return {
    canLook: true,
    async send(mail, handover, signal) {
      const mime = await composeMail(mail, { withBcc: true });
      await handover();
      const id = await api.send(mime, signal);
      // Sent is sent: what is not known of it then is a smaller loss than a second copy.
      const fields = await api.fields(id, ['Message-ID'], signal).catch(() => null);
      return sentTo(mail, id, fields?.get('message-id') ?? null);
    },
    async find(mail, since, signal) {
      const seconds = Math.floor(since.getTime() / 1000) - 60;
      for (const query of [`rfc822msgid:${mail.messageId}`, `in:sent after:${seconds}`]) {
        for (const id of await api.search(query, LOOK_AT, signal)) {
          const fields = await api.fields(id, ['Message-ID', MARK_FIELD], signal);
          if (
            fields === null ||
            !fields.labels.has('SENT') ||
            fields.get(MARK_FIELD.toLowerCase()) !== mail.messageId
          )
            continue;
          return sentTo(mail, id, fields.get('message-id') ?? null);
        }
      }
      return null;
    },
    check: null,
    close: () => undefined,
  };
}

function sentTo(mail: OutgoingMail, providerId: string, field: string | null): Sent {
  const now = field?.replace(/^\s*<|>\s*$/g, '') ?? null;
  return {
    accepted: pendingRecipients(mail),
    refused: [],
    providerId,
    messageId: now === mail.messageId ? null : now,
  };
}
