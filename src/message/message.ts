/**
 * The shape of a parsed message: what parsing yields and what rules, threading and the API read.
 * Plain data only: it crosses thread borders and is stored.
 */

/** A mailbox of RFC 5322 section 3.4. `address` is as written, without angle brackets; may be empty. */
export interface Address {
  name: string;
  address: string;
}

/** One header field in its order, decoded (RFC 2047) and unfolded. Never keyed by name: names are hostile. */
export interface Header {
  name: string;
  value: string;
}

/** A MIME leaf (RFC 2045) and what became of it. Every leaf of a message is listed exactly once. */
export interface Leaf {
  /** Position in the tree, as in IMAP: `1`, `2.1`, ... Files in a TNEF container are numbered below it. */
  part: string;
  contentType: string;
  /** Sanitised and unique within the message; null when the part has none. */
  filename: string | null;
  contentId: string | null;
  disposition: 'inline' | 'attachment' | null;
  /** Decoded size in bytes. */
  size: number;
  use: 'body' | 'attachment' | 'skipped';
  /** Why a leaf was skipped, what of a body is kept, or which container a file is in; null for others. */
  reason: string | null;
  /** For text bodies: the charset that was declared and the one that was used (section 14 of failures). */
  charsetDeclared: string | null;
  charsetUsed: string | null;
  /** How many characters could not be decoded. */
  decodeLoss: number;
}

/** What a delivery status notification says (RFC 3464). */
export interface DeliveryStatus {
  recipients: { address: string; action: string; status: string; diagnostic: string }[];
  /** Message-ID of the message it is about, when the notification carries it. */
  originalMessageId: string | null;
}

export interface ParsedMessage {
  headers: Header[];
  from: Address[];
  sender: Address | null;
  replyTo: Address[];
  to: Address[];
  cc: Address[];
  bcc: Address[];
  subject: string;
  /** Without angle brackets; null when missing or empty. */
  messageId: string | null;
  inReplyTo: string[];
  /** Oldest first, at most LIMITS.referencesCount, newest kept. */
  references: string[];
  /** The Date field as an ISO instant; null when missing or not a date. A claim of the sender, nothing more. */
  date: string | null;
  /** Time of the topmost Received field as an ISO instant: when our server took it. */
  receivedAt: string | null;
  /** The body as plain text; made from HTML when there is no text part. */
  text: string;
  textIsFromHtml: boolean;
  html: string | null;
  /** The newest part of `text`: without quoted chain. */
  newestText: string;
  leaves: Leaf[];
  deliveryStatus: DeliveryStatus | null;
  /** Oddities worth showing in the trace, in plain words. */
  warnings: string[];
}

/** What kind of sender wrote a message. `report`: read receipts (RFC 8098) and feedback reports (RFC 5965). */
export type MessageClass = 'human' | 'list' | 'auto-generated' | 'auto-replied' | 'bounce' | 'own' | 'report';

/** Why a message got its class: the header or fact that decided, and all others that pointed the same way. */
export interface Evidence {
  fact: string;
  value: string;
}

export interface Classification {
  class: MessageClass;
  evidence: Evidence[];
}
