/**
 * What the lab's Graph serves: mailboxes with folders, messages and contacts, all in memory. As in Exchange, a message
 * has two ids: an immutable one, and one that every move changes; a client that does not ask for the first gets the
 * second.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import type { Content } from '../mail-store.ts';

export interface LabMessage {
  readonly immutableId: string;
  /** Another one after each move. */
  id: string;
  folder: LabFolder;
  readonly content: Content;
  readonly createdDateTime: Date;
  readonly receivedDateTime: Date;
  lastModifiedDateTime: Date;
  isRead: boolean;
  isDraft: boolean;
  /** The version of its folder at its last change there. */
  version: number;
  changeKey: string;
}

/** That a message has left a folder. */
export interface Tombstone {
  immutableId: string;
  id: string;
  version: number;
}

export interface LabContact {
  id: string;
  displayName: string | null;
  givenName: string | null;
  surname: string | null;
  companyName: string | null;
  emailAddresses: { name: string | null; address: string | null }[];
  businessPhones: string[];
  mobilePhone: string | null;
}

export interface DeliverOptions {
  receivedDateTime?: Date;
  isRead?: boolean;
}

export class LabFolder {
  readonly id: string;
  readonly parentFolderId: string;
  readonly wellKnownName: string | null;
  displayName: string;
  messages: LabMessage[] = [];
  tombstones: Tombstone[] = [];
  /** Counts changes; what a delta token is about. */
  version = 0;

  constructor(displayName: string, parentFolderId: string, wellKnownName: string | null = null) {
    this.id = newId();
    this.displayName = displayName;
    this.parentFolderId = parentFolderId;
    this.wellKnownName = wellKnownName;
  }

  get unread(): number {
    return this.messages.filter(({ isRead }) => !isRead).length;
  }
}

const WELL_KNOWN: readonly [string, string][] = [
  ['inbox', 'Inbox'],
  ['sentitems', 'Sent Items'],
  ['deleteditems', 'Deleted Items'],
  ['drafts', 'Drafts'],
  ['junkemail', 'Junk Email'],
  ['archive', 'Archive'],
];

/** A user, or a shared mailbox, with its folders. */
export class LabMailbox {
  readonly address: string;
  readonly objectId: string = randomUUID();
  /** False for a user without a licence. */
  readonly online: boolean;
  readonly root = new LabFolder('Top of Information Store', newId(), 'msgfolderroot');
  readonly folders = new Map<string, LabFolder>();
  readonly contacts: LabContact[] = [];
  /** What was deleted for good, and may be recovered by an administrator. */
  readonly recoverable: LabMessage[] = [];

  constructor(address: string, online: boolean) {
    this.address = address;
    this.online = online;
    this.folders.set(this.root.id, this.root);
    for (const [wellKnownName, displayName] of WELL_KNOWN)
      this.addFolder(displayName, this.root, wellKnownName);
  }

  addFolder(
    displayName: string,
    parent: LabFolder = this.root,
    wellKnownName: string | null = null,
  ): LabFolder {
    const folder = new LabFolder(displayName, parent.id, wellKnownName);
    this.folders.set(folder.id, folder);
    return folder;
  }

  /** By id, by well-known name, or, for tests, by display name. */
  folder(name: string): LabFolder | undefined {
    const byId = this.folders.get(name);
    if (byId) return byId;
    const lower = name.toLowerCase();
    const all = [...this.folders.values()];
    return (
      all.find(({ wellKnownName }) => wellKnownName === lower) ??
      all.find((folder) => folder.displayName === name)
    );
  }

  childrenOf(parent: LabFolder): LabFolder[] {
    return [...this.folders.values()].filter(({ parentFolderId }) => parentFolderId === parent.id);
  }

  /** By either kind of id. */
  message(id: string): LabMessage | undefined {
    for (const { messages } of this.folders.values()) {
      const found = messages.find((message) => message.immutableId === id || message.id === id);
      if (found) return found;
    }
    return undefined;
  }

  deliver(
    folder: LabFolder,
    content: Content,
    { receivedDateTime, isRead }: DeliverOptions = {},
  ): LabMessage {
    const now = new Date();
    const message: LabMessage = {
      immutableId: newId(),
      id: newId(),
      folder,
      content,
      createdDateTime: now,
      receivedDateTime: receivedDateTime ?? now,
      lastModifiedDateTime: now,
      isRead: isRead ?? false,
      isDraft: false,
      version: 0,
      changeKey: '',
    };
    this.#place(message, folder);
    return message;
  }

  setRead(message: LabMessage, isRead: boolean): void {
    message.isRead = isRead;
    this.#changed(message);
  }

  move(message: LabMessage, target: LabFolder): void {
    this.#takeOut(message);
    message.id = newId();
    this.#place(message, target);
  }

  /** Takes a message out of sight, as DELETE does. */
  remove(message: LabMessage): void {
    this.#takeOut(message);
    this.recoverable.push(message);
  }

  removeFolder(folder: LabFolder): void {
    this.folders.delete(folder.id);
  }

  #place(message: LabMessage, folder: LabFolder): void {
    message.folder = folder;
    folder.messages.push(message);
    this.#changed(message);
  }

  #takeOut(message: LabMessage): void {
    const { folder, immutableId, id } = message;
    folder.version += 1;
    folder.messages = folder.messages.filter((other) => other !== message);
    folder.tombstones.push({ immutableId, id, version: folder.version });
  }

  #changed(message: LabMessage): void {
    message.folder.version += 1;
    message.version = message.folder.version;
    message.lastModifiedDateTime = new Date();
    message.changeKey = randomBytes(12).toString('base64');
  }
}

/** As long as Exchange's, with the characters that must be encoded in a path. */
export function newId(): string {
  return `AAMkAD${randomBytes(75).toString('base64')}AAA=`;
}

/** What no id of Exchange looks like. */
export function isMalformedId(id: string): boolean {
  return !/^AAMkAD[\w+/-]+=*$/.test(id);
}
