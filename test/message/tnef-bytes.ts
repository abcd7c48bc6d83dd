/** Writes TNEF containers as Outlook does ([MS-OXTNEF] 2.1.3), for tests. */

const u16 = (value: number): Buffer => Buffer.from([value & 0xff, value >> 8]);
function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
const padded = (value: Buffer): Buffer =>
  Buffer.concat([u32(value.length), value, Buffer.alloc((4 - (value.length % 4)) % 4)]);

/** A property: type, id, then the rest as it stands. */
export function property(type: number, id: number, ...rest: Buffer[]): Buffer {
  return Buffer.concat([u16(type), u16(id), ...rest]);
}
export const unicode = (id: number, text: string): Buffer =>
  property(0x1f, id, u32(1), padded(Buffer.from(`${text}\0`, 'utf16le')));
export const string8 = (id: number, text: string): Buffer =>
  property(0x1e, id, u32(1), padded(Buffer.from(`${text}\0`, 'latin1')));
export const long = (id: number, value: number): Buffer => property(0x03, id, u32(value));
/** A property with a name of its own. */
export const named = (name: string, value: number): Buffer =>
  property(
    0x03,
    0x8001,
    Buffer.alloc(16, 7),
    u32(1),
    padded(Buffer.from(`${name}\0`, 'utf16le')),
    u32(value),
  );
export const binary = (id: number, ...values: Buffer[]): Buffer =>
  property(0x102, id, u32(values.length), ...values.map(padded));
export const multipleLongs = (id: number, ...values: number[]): Buffer =>
  property(0x1003, id, u32(values.length), ...values.map(u32));
export const object = (id: number, value: Buffer): Buffer => property(0x0d, id, u32(1), padded(value));

export function attribute(level: number, id: number, value: Buffer): Buffer {
  const sum = value.reduce((all, byte) => (all + byte) & 0xffff, 0);
  return Buffer.concat([Buffer.from([level]), u32(id), u32(value.length), value, u16(sum)]);
}
export const codepage = (value: number): Buffer =>
  attribute(1, 0x00069007, Buffer.concat([u32(value), u32(0)]));
export const title = (bytes: Buffer): Buffer =>
  attribute(2, 0x00018010, Buffer.concat([bytes, Buffer.from([0])]));
export const rendering = (): Buffer => attribute(2, 0x00069002, Buffer.alloc(14));
export const data = (bytes: Buffer): Buffer => attribute(2, 0x0006800f, bytes);
export const properties = (...all: Buffer[]): Buffer =>
  attribute(2, 0x00069005, Buffer.concat([u32(all.length), ...all]));

export function tnef(...attributes: Buffer[]): Buffer {
  return Buffer.concat([u32(0x223e9f78), u16(1), ...attributes]);
}

/** Three files: with all properties, with a title in Cyrillic only, and an embedded message. */
export const THREE_FILES = tnef(
  codepage(1251),
  attribute(1, 0x00069003, Buffer.alloc(40)),
  rendering(),
  title(Buffer.from([0xcf, 0xf0, 0xe8, 0xe2, 0xe5, 0xf2])),
  data(Buffer.alloc(1_000)),
  properties(
    long(0x3705, 1),
    named('Keywords', 3),
    binary(0x3702, Buffer.from('abc'), Buffer.from('defgh')),
    multipleLongs(0x6001, 1, 2, 3),
    property(0x0b, 0x7fff, Buffer.alloc(4)),
    unicode(0x3707, 'a long name with Ünïcode.pdf'),
    string8(0x370e, 'Application/PDF'),
  ),
  rendering(),
  title(Buffer.from([0xcf, 0xf0, 0xe8, 0xe2, 0xe5, 0xf2])),
  data(Buffer.alloc(7)),
  rendering(),
  properties(unicode(0x3001, 'An embedded message'), object(0x3701, Buffer.alloc(116))),
);
