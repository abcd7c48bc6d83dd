/**
 * What every kind of mail server looks like to the intake. A source speaks one protocol and yields raw bytes
 * under source keys; it decides nothing and knows nothing of the database.
 *
 * Identity of a message on its server is (folder, epoch, key). IMAP: epoch = UIDVALIDITY, key = UID (RFC 9051
 * section 2.3.1.1). Kinds without an epoch use ''. Never the Message-ID.
 */
import type { Readable } from 'node:stream';
import type { PenstockError } from '../errors.ts';

export type SourceKind = 'imap' | 'pop3' | 'graph' | 'gmail';

/** What is done on the server after the commit. `move` needs a folder. */
export type Disposition = 'leave' | 'seen' | 'move' | 'delete';

/**
 * A message as the server lists it. `size` is what the server claims; it may lie. 0 = not known yet: {@link Session.list}
 * tells size and date, where they cost a request of their own.
 */
export interface Listed {
  key: string;
  size: number;
  /** When the server received it, as an ISO instant; null when it is not known or the protocol has no such thing. */
  internalDate: string | null;
}

/** A piece of a listing. Storing `cursor` together with what became of `items` makes the listing resumable. */
export interface Page {
  items: Listed[];
  /** Opaque to all but the source; hand it back to {@link Session.changes}. */
  cursor: string;
}

/** A folder when it was opened. */
export interface FolderView {
  path: string;
  epoch: string;
  /** Messages in it now; an estimate for progress only. */
  count: number;
  /** False when the server lets nobody change flags or delete here. */
  writable: boolean;
}

/**
 * Listing since a cursor. `lost`: the cursor is no longer valid, everything must be listed and rebound. Open the
 * folder again then: its epoch may be another one.
 */
export type Changes =
  | { lost: false; pages: AsyncIterable<Page>; total: number }
  | { lost: true; reason: string };

/** The bytes of one message, or why there are none. */
export type Fetched =
  | { key: string; bytes: Buffer }
  /** Larger than `maxBytes` of the call: fetch it with {@link Session.stream}. */
  | { key: string; tooLarge: true }
  | { key: string; error: PenstockError };

/** Facts that recognise a message after its key changed: compare all of them. */
export interface Fingerprint {
  key: string;
  /** SHA-256 of the header block with its final empty line, as the server sends it. */
  headerSha256: Buffer;
  size: number;
}

export type Disposed = 'done' | 'gone' | PenstockError;

/**
 * One live connection. Calls never overlap: the caller awaits one before the next. Every call is bounded by a
 * deadline inside, and fails with an error of ours when the connection is dead.
 */
export interface Session {
  /**
   * True: it sees the folder as it was when it began, and what it disposes of takes effect only as it ends (POP3). It
   * serves one pass, asks for dispositions last and all at once, and waits without a connection.
   */
  readonly snapshot: boolean;

  /** Opens a folder for the calls below. Fails with `folder_missing`. */
  open(path: string): Promise<FolderView>;

  /**
   * Lists the open folder after `cursor`, ascending; null lists from the start. With `until`, stops after what
   * that cursor covers. Selects by key, never by date or by \Seen. Other calls may be made between two pages.
   * Always `lost` when the epoch is no longer the one that {@link open} gave. `fetching`: each page is fetched before the
   * next one is asked for, so its messages may be read together with it.
   */
  changes(cursor: string | null, until?: string | null, fetching?: boolean): Promise<Changes>;

  /**
   * The cursor that means "everything there now is known". Used to begin from now. Fails with `folder_changed` when
   * the epoch is no longer the one that {@link open} gave.
   */
  currentCursor(): Promise<string>;

  /** All keys of the open folder, in chunks, ascending. For the audit and for late arrivals. Fails as above. */
  keys(): AsyncIterable<string[]>;

  /** Sizes and dates of these messages, in pieces. Keys that are gone are left out. */
  list(keys: readonly string[]): AsyncIterable<Listed[]>;

  /** Fetches small messages whole, without marking them. Answers for every key asked, in any order. */
  fetch(keys: readonly string[], maxBytes: number): AsyncIterable<Fetched>;

  /** Streams one message. The stream fails with `message_oversized` past `maxBytes`; never ends short silently. */
  stream(key: string, maxBytes: number): Promise<Readable>;

  /** Facts for rebinding after a lost cursor. Keys that are gone are left out. */
  fingerprints(keys: readonly string[]): AsyncIterable<Fingerprint>;

  /** Which of these are still there. A message is gone only when this says so. */
  existing(keys: readonly string[]): Promise<Set<string>>;

  /** Carries out a disposition for messages of the open folder. Safe to repeat. May end a {@link snapshot}. */
  dispose(keys: readonly string[], what: Disposition, folder: string | null): Promise<Map<string, Disposed>>;

  /**
   * Waits for a hint that something changed in the open folder, at most `ms`. A hint proves nothing. `parted`: the
   * connection was given up meanwhile, so that others could have it or because it was a {@link snapshot}; connect
   * again. Everything that was fetched must be safe by now: a snapshot tells the server that it is.
   */
  wait(ms: number, signal: AbortSignal): Promise<'changed' | 'timeout' | 'parted'>;

  /** Ends the connection; never throws, never hangs. */
  close(): Promise<void>;
}

/** One step of a diagnosis, in the order it was tried. */
export interface DiagnosisStep {
  step: 'credential' | 'dns' | 'tcp' | 'tls' | 'greeting' | 'capabilities' | 'login' | 'folders' | 'sending';
  ok: boolean;
  /** What was found, for a person. */
  found: string;
  /** What to change; null when all is well. */
  advice: string | null;
  milliseconds: number;
}

export interface Source {
  readonly kind: SourceKind;
  /** Resolves when the server may be connected to again; left out where it never minds. Fails when `signal` ends it. */
  ready?(signal: AbortSignal): Promise<void>;
  /** Connects and logs in. `signal` ends the attempt. */
  connect(signal: AbortSignal): Promise<Session>;
  /** Tries the settings step by step and says what to change. Stops at the first step that fails. */
  diagnose(signal: AbortSignal): Promise<DiagnosisStep[]>;
}

/** How to reach an IMAP or POP3 server. */
export interface ServerSettings {
  host: string;
  port: number;
  tls: 'implicit' | 'starttls' | 'none';
  /** PEM of an extra certificate authority, or null for the system's own. */
  tlsCa: string | null;
  /** False accepts any certificate: only when asked for by name. */
  tlsVerify: boolean;
  user: string;
  auth: { kind: 'password'; password: string } | { kind: 'xoauth2'; token: string };
  /** Folders to watch, first one with a live connection. */
  folders: string[];
  /** Largest message to take. */
  maxMessageBytes: number;
}
