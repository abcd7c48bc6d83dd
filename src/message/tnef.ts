/**
 * The files in a TNEF container (winmail.dat), which Outlook wraps attachments in: their names, types and sizes.
 * Reads [MS-OXTNEF] 2.1.3 and its MAPI properties as far as these need. Pure and bounded: it goes forward only, and
 * what does not fit ends it.
 */
import { decodeBytes } from './charset.ts';

export interface TnefFile {
  /** As the sender wrote it; not safe to use. Null when there is none. */
  name: string | null;
  contentType: string | null;
  /** In bytes, as announced: the content itself may be cut off. */
  size: number;
}

export interface TnefContent {
  files: TnefFile[];
  /** False when the container is damaged, cut off, or has more files than were asked for. */
  complete: boolean;
}

const SIGNATURE = 0x223e9f78;
const ATTACH_TITLE = 0x8010;
const ATTACH_DATA = 0x800f;
const ATTACH_RENDDATA = 0x9002;
const ATTACH_PROPERTIES = 0x9005;
const OEM_CODEPAGE = 0x9007;

const PR_ATTACH_DATA = 0x3701;
const PR_ATTACH_FILENAME = 0x3704;
const PR_ATTACH_LONG_FILENAME = 0x3707;
const PR_ATTACH_MIME_TAG = 0x370e;
const PR_DISPLAY_NAME = 0x3001;

const OBJECT = 0x0d;
const STRING8 = 0x1e;
const UNICODE = 0x1f;
const BINARY = 0x102;
const MULTIPLE = 0x1000;
/** Bytes of the types of fixed size, padded to four. */
const FIXED_SIZES: ReadonlyMap<number, number> = new Map([
  [0x02, 4],
  [0x03, 4],
  [0x04, 4],
  [0x05, 8],
  [0x06, 8],
  [0x07, 8],
  [0x0a, 4],
  [0x0b, 4],
  [0x14, 8],
  [0x40, 8],
  [0x48, 16],
]);
const NAME_BYTES = 4_096;

/** The end of the data in the middle of something. */
class Cut extends Error {}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  take(length: number): Buffer {
    if (length > this.left) throw new Cut();
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  u8 = (): number => this.take(1).readUInt8();
  u16 = (): number => this.take(2).readUInt16LE();
  u32 = (): number => this.take(4).readUInt32LE();

  /** A value whose length, padded to four bytes, stands before it. */
  counted(): Buffer {
    const length = this.u32();
    const value = this.take(length);
    this.take(Math.min(this.left, (4 - (length % 4)) % 4));
    return value;
  }
}

interface OpenFile extends TnefFile {
  /** A long name of the properties comes before the 8.3 name of the title. */
  longName: string | null;
}

/** Null when these are no TNEF bytes. Lists at most `maxFiles`. */
export function readTnef(bytes: Buffer, maxFiles: number): TnefContent | null {
  const reader = new Reader(bytes);
  if (bytes.length < 6 || reader.u32() !== SIGNATURE) return null;
  reader.u16();
  const files: OpenFile[] = [];
  let codepage = 1252;
  const complete = untilCut(() => {
    while (reader.left > 0) {
      reader.u8();
      const attribute = reader.u32() & 0xffff;
      const length = reader.u32();
      const file = files.at(-1);
      // Announced before it is read: the size of a file is known even when its content is cut off.
      if (attribute === ATTACH_DATA && file !== undefined) file.size = length;
      const value = reader.take(length);
      reader.u16();
      if (attribute === OEM_CODEPAGE && length >= 4) codepage = value.readUInt32LE();
      else if (attribute === ATTACH_RENDDATA) {
        if (files.length >= maxFiles) throw new Cut();
        files.push({ name: null, contentType: null, size: 0, longName: null });
      } else if (file !== undefined && attribute === ATTACH_TITLE) file.name = text(value, codepage);
      else if (file !== undefined && attribute === ATTACH_PROPERTIES)
        // A property that cannot be read costs those after it, not the files after this one.
        untilCut(() => readProperties(new Reader(value), file, codepage));
    }
  });
  return {
    files: files.map(({ longName, name, ...file }) => ({ ...file, name: longName ?? name })),
    complete,
  };
}

/** False when the data ended too early. */
function untilCut(read: () => void): boolean {
  try {
    read();
    return true;
  } catch (error) {
    if (error instanceof Cut) return false;
    throw error;
  }
}

/** [MS-OXTNEF] 2.1.3.4: a count, then each property with type, id, perhaps a name, and its values. */
function readProperties(reader: Reader, file: OpenFile, codepage: number): void {
  for (let left = reader.u32(); left > 0; left -= 1) {
    const type = reader.u16();
    const id = reader.u16();
    if (id >= 0x8000) {
      reader.take(16);
      if (reader.u32() === 0) reader.u32();
      else reader.counted();
    }
    const base = type & ~MULTIPLE;
    const size = FIXED_SIZES.get(base);
    const isVariable = base === STRING8 || base === UNICODE || base === OBJECT || base === BINARY;
    // Without its size a value cannot be passed over.
    if (size === undefined && !isVariable) throw new Cut();
    for (let values = isVariable || base !== type ? reader.u32() : 1; values > 0; values -= 1) {
      if (size !== undefined) reader.take(size);
      else take(file, id, base, reader.counted(), codepage);
    }
  }
}

function take(file: OpenFile, id: number, type: number, value: Buffer, codepage: number): void {
  // The content of an embedded message begins with the id of its interface.
  if (id === PR_ATTACH_DATA && file.size === 0)
    file.size = Math.max(0, value.length - (type === OBJECT ? 16 : 0));
  if (type !== STRING8 && type !== UNICODE) return;
  const said = type === UNICODE ? text16(value) : text(value, codepage);
  if (id === PR_ATTACH_LONG_FILENAME) file.longName = said;
  else if (id === PR_ATTACH_FILENAME || id === PR_DISPLAY_NAME) file.name ??= said;
  else if (id === PR_ATTACH_MIME_TAG) file.contentType = said;
}

function text(value: Buffer, codepage: number): string | null {
  const end = value.indexOf(0);
  const bytes = value.subarray(0, Math.min(end < 0 ? value.length : end, NAME_BYTES));
  return decodeBytes(bytes, `cp${codepage}`).text || null;
}

function text16(value: Buffer): string | null {
  const said = value.subarray(0, NAME_BYTES).toString('utf16le');
  return said.split('\0', 1)[0]!.toWellFormed() || null;
}
