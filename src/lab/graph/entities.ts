/** Folders, messages and contacts as JSON. Names and types are those of Graph's v1.0 metadata; a test insists. */
import { endOfHeader } from '../imap/message-sections.ts';
import type { LabContact, LabFolder, LabMailbox, LabMessage, Tombstone } from './mail-store.ts';

/** Bytes that a message takes in the store beside its own. */
const STORE_OVERHEAD = 1_500;

export function folderEntity(mailbox: LabMailbox, folder: LabFolder): Record<string, unknown> {
  return {
    id: folder.id,
    displayName: folder.displayName,
    parentFolderId: folder.parentFolderId,
    childFolderCount: mailbox.childrenOf(folder).length,
    unreadItemCount: folder.unread,
    totalItemCount: folder.messages.length,
    isHidden: false,
  };
}

export function messageEntity(message: LabMessage, immutable: boolean): Record<string, unknown> {
  const bytes = message.content.bytes();
  const header = headerFields(bytes.subarray(0, endOfHeader(bytes)).toString('latin1'));
  return {
    id: immutable ? message.immutableId : message.id,
    createdDateTime: instant(message.createdDateTime),
    lastModifiedDateTime: instant(message.lastModifiedDateTime),
    changeKey: message.changeKey,
    categories: [],
    receivedDateTime: instant(message.receivedDateTime),
    sentDateTime: instant(message.receivedDateTime),
    hasAttachments: /^content-disposition: *attachment/im.test(bytes.toString('latin1')),
    internetMessageId: header.get('message-id') ?? null,
    subject: header.get('subject') ?? null,
    importance: 'normal',
    parentFolderId: message.folder.id,
    isDeliveryReceiptRequested: null,
    isReadReceiptRequested: false,
    isRead: message.isRead,
    isDraft: message.isDraft,
    inferenceClassification: 'focused',
    from: recipient(header.get('from')),
    sender: recipient(header.get('from')),
    toRecipients: header.has('to') ? [recipient(header.get('to'))] : [],
    ccRecipients: [],
    bccRecipients: [],
    flag: { flagStatus: 'notFlagged' },
  };
}

/** PidTagMessageSize, as Graph gives extended properties: the id normalised, the value as text. */
export function sizeProperty(message: LabMessage): { id: string; value: string } {
  return { id: 'Integer 0xe08', value: String(message.content.size + STORE_OVERHEAD) };
}

export function removedEntity(tombstone: Tombstone, immutable: boolean): Record<string, unknown> {
  return {
    '@odata.type': '#microsoft.graph.message',
    id: immutable ? tombstone.immutableId : tombstone.id,
    '@removed': { reason: 'deleted' },
  };
}

export function contactEntity(contact: LabContact): Record<string, unknown> {
  return { ...contact };
}

/** The chosen properties, and with them always the id and what OData adds. */
export function select(
  entity: Record<string, unknown>,
  names: readonly string[] | null,
): Record<string, unknown> {
  if (names === null) return entity;
  const kept = new Set(['id', ...names]);
  return Object.fromEntries(Object.entries(entity).filter(([name]) => kept.has(name) || name.includes('@')));
}

/** Graph gives times of mail without fractions of a second. */
export function instant(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}

function headerFields(header: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of header.replace(/\r?\n[ \t]/g, ' ').split(/\r?\n/)) {
    const match = /^([!-9;-~]+): ?(.*)$/.exec(line);
    if (match && !fields.has(match[1]!.toLowerCase())) fields.set(match[1]!.toLowerCase(), match[2]!);
  }
  return fields;
}

function recipient(field: string | undefined): Record<string, unknown> | null {
  if (field === undefined) return null;
  const [, name = '', address = field] = /^"?(.*?)"? *<(.*)>$/.exec(field) ?? [];
  return { emailAddress: { name: name || address, address } };
}
