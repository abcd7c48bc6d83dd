/**
 * Columns of many rows as parameters of one statement, for `unnest`. They travel in the binary form of arrays: as text
 * each value would be escaped here, joined, and taken apart again there, which costs more than all else about it.
 *
 * The form is that of array_recv in PostgreSQL's src/backend/utils/adt/arrayfuncs.c; those of the elements are the binary
 * forms of their types (https://www.postgresql.org/docs/18/protocol-overview.html#PROTOCOL-FORMAT-CODES).
 */
import { type RawBuilder, sql } from 'kysely';

interface ElementType<T> {
  name: string;
  /** As in pg_type; the built-in ones are the same everywhere. */
  oid: number;
  bytes(value: T): number;
  write(target: Buffer, at: number, value: T): void;
}

type Column<T> = (values: readonly (T | null)[]) => RawBuilder<T[]>;

const HEADER_BYTES = 20;
const LENGTH_BYTES = 4;
const IS_NULL = -1;

function column<T>(type: ElementType<T>): Column<T> {
  return (values) => sql`${encode(type, values)}::${sql.raw(type.name)}[]`;
}

function encode<T>(type: ElementType<T>, values: readonly (T | null)[]): Buffer {
  let length = HEADER_BYTES;
  for (const value of values) length += LENGTH_BYTES + (value === null ? 0 : type.bytes(value));
  const target = Buffer.allocUnsafe(length);
  target.writeInt32BE(values.length === 0 ? 0 : 1, 0); // dimensions
  target.writeInt32BE(values.includes(null) ? 1 : 0, 4);
  target.writeInt32BE(type.oid, 8);
  if (values.length === 0) return target.subarray(0, 12);
  target.writeInt32BE(values.length, 12);
  target.writeInt32BE(1, 16); // index of the first element
  let at = HEADER_BYTES;
  for (const value of values) {
    const bytes = value === null ? IS_NULL : type.bytes(value);
    target.writeInt32BE(bytes, at);
    at += LENGTH_BYTES;
    if (value === null) continue;
    type.write(target, at, value);
    at += bytes;
  }
  return target;
}

function textual(name: string, oid: number): ElementType<string> {
  return {
    name,
    oid,
    bytes: (value) => Buffer.byteLength(value),
    write: (target, at, value) => target.write(value, at),
  };
}

const EPOCH_2000_MS = Date.UTC(2000, 0, 1);

export const texts = column(textual('text', 25));
/** Each value is JSON text. */
export const jsons = column(textual('json', 114));
export const jsonbs = column<string>({
  name: 'jsonb',
  oid: 3802,
  bytes: (value) => 1 + Buffer.byteLength(value),
  write(target, at, value) {
    target.writeUInt8(1, at); // the version of the form
    target.write(value, at + 1);
  },
});
export const byteas = column<Buffer>({
  name: 'bytea',
  oid: 17,
  bytes: (value) => value.length,
  write: (target, at, value) => target.set(value, at),
});
export const uuids = column<string>({
  name: 'uuid',
  oid: 2950,
  bytes: () => 16,
  write: (target, at, value) => target.write(value.replaceAll('-', ''), at, 'hex'),
});
export const booleans = column<boolean>({
  name: 'bool',
  oid: 16,
  bytes: () => 1,
  write: (target, at, value) => target.writeUInt8(value ? 1 : 0, at),
});
export const smallints = column<number>({
  name: 'int2',
  oid: 21,
  bytes: () => 2,
  write: (target, at, value) => target.writeInt16BE(value, at),
});
export const ints = column<number>({
  name: 'int4',
  oid: 23,
  bytes: () => 4,
  write: (target, at, value) => target.writeInt32BE(value, at),
});
export const bigints = column<number>({
  name: 'int8',
  oid: 20,
  bytes: () => 8,
  write: (target, at, value) => target.writeBigInt64BE(BigInt(value), at),
});
export const floats = column<number>({
  name: 'float8',
  oid: 701,
  bytes: () => 8,
  write: (target, at, value) => target.writeDoubleBE(value, at),
});
/** Each value is a point in time as `Date.parse` reads it. */
export const timestamps = column<string>({
  name: 'timestamptz',
  oid: 1184,
  bytes: () => 8,
  write: (target, at, value) =>
    target.writeBigInt64BE(BigInt(Date.parse(value) - EPOCH_2000_MS) * 1_000n, at),
});
