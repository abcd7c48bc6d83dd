/**
 * What the lab server serves: users, folders and messages, all in memory. A message is a size and a function
 * that makes its bytes, so that a folder of 100,000 messages costs no more than its index.
 */
export interface Content {
  size: number;
  /** Makes the bytes; called for every fetch, so it must give the same bytes each time. */
  bytes(): Buffer;
}

export interface StoredMessage {
  readonly uid: number;
  readonly flags: Set<string>;
  readonly internalDate: Date;
  readonly content: Content;
  /** Set when the message is gone; views of other sessions still hold it until they are told. */
  expunged: boolean;
}

export interface DeliverOptions {
  internalDate?: Date;
  flags?: Iterable<string>;
}

/** How a user may log in. With `token`, XOAUTH2 takes exactly this bearer token. */
export interface Credentials {
  password?: string;
  token?: string;
  /** Whether an access token of another server lets this user in, beside `token`. */
  accepts?(token: string): boolean;
}

/** One folder. Replaced by a new object when its UIDVALIDITY changes, as on a real server. */
export class Folder {
  readonly path: string;
  readonly uidValidity: string;
  readonly specialUse: string | null;
  messages: StoredMessage[] = [];
  uidNext = 1;
  /** Counts changes, so that a view knows cheaply whether it is stale. */
  version = 0;
  readonly #watchers = new Set<() => void>();

  constructor(path: string, uidValidity: string, specialUse: string | null = null) {
    this.path = path;
    this.uidValidity = uidValidity;
    this.specialUse = specialUse;
  }

  add(content: Content, options: DeliverOptions = {}): StoredMessage {
    const message: StoredMessage = {
      uid: this.uidNext,
      flags: new Set(options.flags ?? []),
      internalDate: options.internalDate ?? new Date(),
      content,
      expunged: false,
    };
    this.uidNext += 1;
    this.messages.push(message);
    this.#changed();
    return message;
  }

  remove(gone: ReadonlySet<StoredMessage>): void {
    if (gone.size === 0) return;
    for (const message of gone) message.expunged = true;
    this.messages = this.messages.filter((message) => !message.expunged);
    this.#changed();
  }

  byUid(uid: number): StoredMessage | undefined {
    const index = lowerBound(this.messages, uid);
    const found = this.messages[index];
    return found?.uid === uid ? found : undefined;
  }

  /** Calls `listener` after every change until the returned function is called. */
  watch(listener: () => void): () => void {
    this.#watchers.add(listener);
    return () => this.#watchers.delete(listener);
  }

  #changed(): void {
    this.version += 1;
    for (const listener of this.#watchers) listener();
  }
}

export class User {
  readonly name: string;
  credentials: Credentials;
  readonly folders = new Map<string, Folder>();

  constructor(name: string, credentials: Credentials) {
    this.name = name;
    this.credentials = credentials;
  }
}

/** All users of one lab server. Paths are Unicode; INBOX is spelled in capitals. */
export class MailStore {
  readonly users = new Map<string, User>();
  #nextUidValidity = 1_700_000_000;

  addUser(name: string, credentials: Credentials): User {
    const user = new User(name, credentials);
    this.users.set(name, user);
    this.createFolder(name, 'INBOX');
    this.createFolder(name, 'Sent', '\\Sent');
    this.createFolder(name, 'Trash', '\\Trash');
    return user;
  }

  createFolder(user: string, path: string, specialUse: string | null = null): Folder {
    const folder = new Folder(path, String(this.#nextUidValidity++), specialUse);
    this.#user(user).folders.set(path, folder);
    return folder;
  }

  deleteFolder(user: string, path: string): boolean {
    return this.#user(user).folders.delete(path);
  }

  renameFolder(user: string, from: string, to: string): boolean {
    const { folders } = this.#user(user);
    const folder = folders.get(from);
    if (!folder || folders.has(to)) return false;
    folders.delete(from);
    folders.set(to, copyFolder(folder, to, folder.uidValidity));
    return true;
  }

  /**
   * Gives every message of a folder a new UID under a new UIDVALIDITY (RFC 9051 section 2.3.1.1), as a restored
   * or migrated mailbox does. Sessions that have the folder open keep seeing the old one until they select again.
   */
  bumpUidValidity(user: string, path: string, uidValidity?: string): Folder {
    const old = this.folder(user, path);
    const fresh = copyFolder(old, path, uidValidity ?? String(this.#nextUidValidity++));
    this.#user(user).folders.set(path, fresh);
    return fresh;
  }

  /** The folder, or an error that names it: for tests and demos, which know what exists. */
  folder(user: string, path: string): Folder {
    const folder = this.#user(user).folders.get(path);
    if (!folder) throw new Error(`No folder ${path} for ${user}`);
    return folder;
  }

  deliver(
    user: string,
    path: string,
    content: Buffer | Content,
    options: DeliverOptions = {},
  ): StoredMessage {
    return this.folder(user, path).add(Buffer.isBuffer(content) ? fixedContent(content) : content, options);
  }

  #user(name: string): User {
    const user = this.users.get(name);
    if (!user) throw new Error(`No user ${name}`);
    return user;
  }
}

export function fixedContent(bytes: Buffer): Content {
  return { size: bytes.length, bytes: () => bytes };
}

/** Index of the first message whose UID is `uid` or larger. */
export function lowerBound(messages: readonly StoredMessage[], uid: number): number {
  let low = 0;
  let high = messages.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((messages[middle] as StoredMessage).uid < uid) low = middle + 1;
    else high = middle;
  }
  return low;
}

function copyFolder(folder: Folder, path: string, uidValidity: string): Folder {
  const copy = new Folder(path, uidValidity, folder.specialUse);
  for (const { content, internalDate, flags } of folder.messages) copy.add(content, { internalDate, flags });
  return copy;
}
