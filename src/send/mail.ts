/** A mail on its way out, as transports see it. */

/** RFC 5322 section 3.4: an address with the name of whose it is. */
export interface Mailbox {
  name: string;
  address: string;
}

export interface Recipients {
  to: Mailbox[];
  cc: Mailbox[];
  bcc: Mailbox[];
  /** Reply-To; null: answers go to the sender. */
  replyTo: Mailbox | null;
}

/** A recipient that the server does not take. */
export interface RefusedRecipient {
  address: string;
  /** What the server said. */
  message: string;
}

export interface Attachment {
  filename: string;
  contentType: string;
  /** Set for a picture that the HTML shows as `cid:...`. */
  contentId: string | null;
  bytes: Buffer;
}

export interface OutgoingMail {
  /** With angle brackets nowhere: `token.unique@domain`. Ours, and never that of another mail. */
  messageId: string;
  date: Date;
  from: Mailbox;
  recipients: Recipients;
  subject: string;
  text: string;
  html: string | null;
  inReplyTo: string | null;
  attachments: Attachment[];
  /** Auto-Submitted (RFC 3834 section 5) of what we send by ourselves: no machine must answer it. Null: a person's. */
  automatic: 'auto-replied' | 'auto-generated' | null;
  /** What our own mail carries in `X-Loop`. */
  instanceId: string;
  /** Recipients that the server has taken at an earlier attempt: they do not get it again. */
  delivered: readonly string[];
}

/** What the server did with a mail. */
export interface Sent {
  accepted: string[];
  /** `temporary`: worth another attempt. */
  refused: (RefusedRecipient & { temporary: boolean })[];
  /** The server's own id; null where it gives none. */
  providerId: string | null;
  /** The Message-ID that the mail has now, where the server gave it another one. */
  messageId: string | null;
}

/** One way out of a mailbox. Every call settles, with an error of ours when it fails. */
export interface Transport {
  /** Whether {@link find} can tell if a mail was sent. */
  readonly canLook: boolean;
  /**
   * Sends. `handover` is called, and waited for, before the first byte that could make the server send; when it fails
   * nothing goes out. An error after it leaves open whether the mail was sent, unless its field `answered` is true: then
   * the server said that it was not.
   */
  send(mail: OutgoingMail, handover: () => Promise<void>, signal: AbortSignal): Promise<Sent>;
  /** Looks for a mail that may have been sent since a time; null when it was not. */
  find(mail: OutgoingMail, since: Date, signal: AbortSignal): Promise<Sent | null>;
  /** Tries everything but to send; null where nothing can be tried so. Fails as {@link send} does. */
  readonly check: ((signal: AbortSignal) => Promise<void>) | null;
  /** Ends what is kept between mails. */
  close(): void;
}

/** Everybody who is to get a mail and has not got it, each once. */
export function pendingRecipients({ recipients, delivered }: OutgoingMail): string[] {
  const done = new Set(delivered.map((address) => address.toLowerCase()));
  const pending = new Map<string, string>();
  for (const { address } of [...recipients.to, ...recipients.cc, ...recipients.bcc]) {
    const key = address.toLowerCase();
    if (!done.has(key) && !pending.has(key)) pending.set(key, address);
  }
  return [...pending.values()];
}
