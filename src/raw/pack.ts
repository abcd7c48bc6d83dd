/**
 * Many small messages in one file: what is committed together is written with one fsync, and costs the database a short
 * row each. Before each message stands a line with its digest and its size, so that a pack can be read without the
 * database too. A pack is written once and never changed.
 */
import { type FileHandle, open } from 'node:fs/promises';

type Message = { sha256: Buffer; bytes: Buffer };

/** Writes a new pack, complete and fsynced when this returns. Returns where each message begins, in their order. */
export async function writePack(path: string, messages: readonly Message[]): Promise<number[]> {
  const pieces: Buffer[] = [];
  const offsets: number[] = [];
  let length = 0;
  const add = (piece: Buffer): void => {
    pieces.push(piece);
    length += piece.length;
  };
  for (const { sha256, bytes } of messages) {
    add(Buffer.from(`${sha256.toString('hex')} ${bytes.length}\n`, 'latin1'));
    offsets.push(length);
    add(bytes);
    add(LINE_END);
  }
  const handle = await open(path, 'wx', 0o600);
  try {
    const { bytesWritten } = await handle.writev(pieces);
    // A disk that is nearly full takes a part and calls that a success; it does not take the rest.
    if (bytesWritten < length) await handle.appendFile(Buffer.concat(pieces).subarray(bytesWritten));
    await handle.sync();
  } finally {
    await handle.close();
  }
  return offsets;
}

const LINE_END = Buffer.from('\n');

/**
 * Reads messages of one pack, in their order. Fails as the file system does. Where a pack was cut off, or is on a bad spot
 * of the disk, it gives what is left of a message: whoever asks knows the digests.
 */
export async function readPack(
  path: string,
  places: readonly { offset: number; size: number }[],
): Promise<Buffer[]> {
  const handle = await open(path, 'r');
  try {
    const found: Buffer[] = [];
    for (const { offset, size } of places) found.push(await readAt(handle, offset, size));
    return found;
  } finally {
    await handle.close();
  }
}

async function readAt(handle: FileHandle, offset: number, size: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(size);
  for (let at = 0; at < size; ) {
    const bytesRead = await handle
      .read(bytes, at, size - at, offset + at)
      .then((read) => read.bytesRead, ifBad);
    if (bytesRead === 0) return bytes.subarray(0, at);
    at += bytesRead;
  }
  return bytes;
}

function ifBad(error: NodeJS.ErrnoException): number {
  if (error.code === 'EIO') return 0;
  throw error;
}
