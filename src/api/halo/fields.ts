/**
 * Field types of Halo's records. Every field may be absent or null on input; a description is required, because
 * the API's document is made from it.
 */
import Type, { type TOptional, type TUnsafe } from 'typebox';

type Field<T> = TOptional<TUnsafe<T | null>>;

const INT32 = 2_147_483_647;

function field<T>(type: string, description: string, more: object = {}): Field<T> {
  return Type.Optional(Type.Unsafe<T | null>({ type: [type, 'null'], description, ...more }));
}

export const int = (description: string): Field<number> =>
  field('integer', description, { format: 'int32', minimum: -INT32 - 1, maximum: INT32 });

/** Ids of records that grow without end; JavaScript numbers hold them exactly. */
export const bigId = (description: string): Field<number> =>
  field('integer', description, { format: 'int64', minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

export const text = (description: string, maxLength = 4_000): Field<string> =>
  field('string', description, { maxLength });

export const flag = (description: string): Field<boolean> => field('boolean', description);

export const date = (description: string): Field<string> =>
  field('string', description, { format: 'date-time' });

export const uuid = (description: string): Field<string> =>
  field('string', description, {
    pattern: '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$',
    maxLength: 36,
  });

/** Taken and never given back. */
export const secret = (description: string): Field<string> =>
  field('string', `Write-only: ${description}`, { maxLength: 16_384, writeOnly: true });

export const base64 = (description: string): Field<string> =>
  field('string', description, { contentEncoding: 'base64' });

/** Mail content: may hold characters that no text column takes, because it ends up in bytes. */
export const content = (description: string): Field<string> =>
  field('string', description, { 'x-content': true });

/** A date as the API prints it: UTC, or null for none. */
export function printDate(value: Date | string | null | undefined): string | null {
  if (value === null || value === undefined) return null;
  return typeof value === 'string' ? value : value.toISOString();
}
