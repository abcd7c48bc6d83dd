/**
 * Messages in files, for `penstock import`: single messages (.eml), mbox files and maildirs, alone or in folders
 * of any depth. Nothing is held in memory but the message that is read, and that only as a stream.
 */
import { createReadStream } from 'node:fs';
import { type FileHandle, lstat, open, opendir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { fail } from '../errors.ts';
import { looksLikeMbox, type MboxQuoting, MboxScanner, unquoteFromLines } from './mbox.ts';

export type MailFlag = 'seen' | 'answered' | 'flagged' | 'deleted' | 'draft' | 'passed';

export interface FileMessage {
  /** Path of the file; in an mbox file also the number of the message, from 1: `archive.mbox#17`. */
  name: string;
  /** Bytes that `open` yields. */
  size: number;
  /** When it was delivered, as an ISO instant, if the file tells: by its separator line, or its name in a maildir. */
  receivedAt: string | null;
  /** What a maildir says about it. */
  flags: readonly MailFlag[];
  /** The raw message. May be opened again; it can fail with a system error when the file is gone by then. */
  open(): Readable;
}

export interface MailFileOptions {
  /** How mbox files protect lines that begin with `From `. */
  mboxQuoting?: MboxQuoting;
  /** Hears of files in folders that are no mail, and why. Files that are named themselves must be mail. */
  onSkipped?: (path: string, reason: string) => void;
}

const CHUNK = 256 * 1024;
const PEEK = 4 * 1024;
const HEADER_LINE = /^[!-9;-~]{1,100}:/;
/** In a folder many a text begins like a message. These are names that messages have; MH uses numbers. */
const MESSAGE_NAME = /^\d+$|\.eml$/i;
/** As Dovecot and others name them: `:2,FS`; `;` and `!` where a colon is not allowed in file names. */
const MAILDIR_FLAGS = /[:;!]2,([A-Za-z]*)$/;
const FLAG_LETTERS: Readonly<Record<string, MailFlag>> = {
  D: 'draft',
  F: 'flagged',
  P: 'passed',
  R: 'answered',
  S: 'seen',
  T: 'deleted',
};

/**
 * All messages below the given paths, in the order of the paths; within a folder in the order of names. Fails
 * with `not_found` for a path that is not there and `validation_failed` for a named file that is no mail.
 * Links inside folders are not followed.
 */
export async function* readMailFiles(
  paths: readonly string[],
  options: MailFileOptions = {},
): AsyncGenerator<FileMessage> {
  for (const path of paths) {
    const facts = await stat(path).catch((cause: NodeJS.ErrnoException) => {
      throw fail('not_found', `${path} cannot be read: ${cause.code ?? cause.message}.`, { path }, cause);
    });
    if (facts.isDirectory()) yield* readFolder(path, options);
    else if (facts.isFile()) {
      const kind = await kindOfFile(path);
      if (kind === 'other') {
        throw fail('validation_failed', `${path} is neither a message nor an mbox file.`, { path });
      }
      yield* readFile(path, kind, options);
    } else throw fail('validation_failed', `${path} is neither a file nor a folder.`, { path });
  }
}

/** How many messages and bytes there are, for a progress bar. Reads mbox files once from end to end. */
export async function countMailFiles(
  paths: readonly string[],
  options: MailFileOptions = {},
): Promise<{ messages: number; bytes: number }> {
  const total = { messages: 0, bytes: 0 };
  for await (const { size } of readMailFiles(paths, { ...options, onSkipped: undefined })) {
    total.messages += 1;
    total.bytes += size;
  }
  return total;
}

async function* readFolder(root: string, options: MailFileOptions): AsyncGenerator<FileMessage> {
  const waiting = [root];
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    const names = await namesIn(folder);
    const isMaildir = ['cur', 'new'].every((name) => names.includes(name)) && (await hasFolders(folder));
    if (isMaildir) yield* readMaildir(folder);
    const deeper: string[] = [];
    for (const name of names) {
      // `tmp` holds messages that are not delivered yet.
      if (isMaildir && ['cur', 'new', 'tmp'].includes(name)) continue;
      const path = join(folder, name);
      const facts = await lstat(path).catch(() => null);
      if (facts?.isDirectory()) deeper.push(path);
      // Beside the messages of a maildir lie the indexes of its server.
      else if (isMaildir) continue;
      else if (!facts?.isFile()) options.onSkipped?.(path, 'neither a file nor a folder');
      else {
        const kind = await kindOfFile(path);
        if (kind === 'mbox' || (kind === 'message' && MESSAGE_NAME.test(name))) {
          yield* readFile(path, kind, options);
        } else options.onSkipped?.(path, 'no message');
      }
    }
    waiting.push(...deeper.reverse());
  }
}

async function hasFolders(folder: string): Promise<boolean> {
  const [current, fresh] = await Promise.all(['cur', 'new'].map((name) => lstat(join(folder, name))));
  return Boolean(current?.isDirectory() && fresh?.isDirectory());
}

/** The messages of one maildir (https://cr.yp.to/proto/maildir.html): those that a reader has seen, then new ones. */
async function* readMaildir(folder: string): AsyncGenerator<FileMessage> {
  for (const part of ['cur', 'new']) {
    for (const name of await namesIn(join(folder, part))) {
      if (name.startsWith('.')) continue;
      const path = join(folder, part, name);
      // A mail program that runs may rename or remove a file between the listing and now.
      const facts = await lstat(path).catch(() => null);
      if (!facts?.isFile()) continue;
      yield {
        name: path,
        size: facts.size,
        receivedAt: maildirTime(name),
        flags: maildirFlags(name),
        open: () => createReadStream(path),
      };
    }
  }
}

/** The flags in the name of a file of a maildir, in the order of their letters. */
export function maildirFlags(name: string): MailFlag[] {
  const letters = MAILDIR_FLAGS.exec(name)?.[1] ?? '';
  return [...letters].flatMap((letter) => FLAG_LETTERS[letter] ?? []);
}

/** Names begin with the seconds since 1970 at which the message was delivered. */
function maildirTime(name: string): string | null {
  const seconds = /^(\d{9,10})\./.exec(name)?.[1];
  return seconds === undefined ? null : new Date(Number(seconds) * 1000).toISOString();
}

async function* readFile(
  path: string,
  kind: 'message' | 'mbox',
  options: MailFileOptions,
): AsyncGenerator<FileMessage> {
  if (kind === 'mbox') {
    yield* readMbox(path, options.mboxQuoting ?? 'mboxrd');
    return;
  }
  const { size } = await stat(path);
  yield { name: path, size, receivedAt: null, flags: [], open: () => createReadStream(path) };
}

async function* readMbox(path: string, quoting: MboxQuoting): AsyncGenerator<FileMessage> {
  const { size: fileSize } = await stat(path);
  const scanner = new MboxScanner(quoting);
  let number = 0;
  const message = ({ start, end, size, receivedAt }: ReturnType<MboxScanner['end']>[number]): FileMessage => {
    number += 1;
    return {
      name: `${path}#${number}`,
      size,
      receivedAt: receivedAt?.toISOString() ?? null,
      flags: [],
      open: () => {
        const bytes = createReadStream(path, { start, end: end - 1, highWaterMark: CHUNK });
        return Readable.from(unquoteFromLines(bytes, quoting), { objectMode: false });
      },
    };
  };
  if (fileSize === 0) return;
  // What is appended while we read waits for the next import.
  for await (const chunk of createReadStream(path, { end: fileSize - 1, highWaterMark: CHUNK })) {
    for (const found of scanner.push(chunk as Buffer)) yield message(found);
  }
  for (const found of scanner.end()) yield message(found);
}

/** Told by its first bytes; names say little. An empty file is an mbox without messages when it is named so. */
async function kindOfFile(path: string): Promise<'message' | 'mbox' | 'other'> {
  const beginning = await peek(path);
  if (beginning.length === 0) return /mbox/i.test(basename(path)) ? 'mbox' : 'other';
  if (looksLikeMbox(beginning)) return 'mbox';
  return /\.eml$/i.test(path) || HEADER_LINE.test(beginning.toString('latin1')) ? 'message' : 'other';
}

async function peek(path: string): Promise<Buffer> {
  let file: FileHandle | undefined;
  try {
    file = await open(path);
    const buffer = Buffer.alloc(PEEK);
    const { bytesRead } = await file.read(buffer, 0, PEEK, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file?.close();
  }
}

async function namesIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const entry of await opendir(folder)) names.push(entry.name);
  return names.sort();
}
