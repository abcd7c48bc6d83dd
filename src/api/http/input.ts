/**
 * Reads what a client sent by the schema of the call: property names in any letter case (halo-api.md 1.1), unknown
 * properties left out, dates brought to UTC, zero dates to null. Then the schema itself decides. What comes out has
 * only keys that the schema names, so no key of a client ever becomes a key of ours.
 */
import type { FastifySchemaCompiler } from 'fastify';
import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/schema';
import { type Detail, InvalidRequest } from './problem.ts';

interface JsonSchema {
  type?: string | readonly string[];
  format?: string;
  properties?: Record<string, JsonSchema>;
  items?: JsonSchema;
  /** Set on text that is mail content: it goes into bytes, not into a text column, and may hold anything. */
  'x-content'?: boolean;
}

/** The validator of all requests: bodies are taken strictly, queries and paths are text that is converted. */
export const compileInput: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const validator = Compile(schema);
  const shape = schema as unknown as JsonSchema;
  return (given: unknown) => {
    const details: Detail[] = [];
    const value = httpPart === 'body' ? readRoot(shape, given, details) : readText(shape, given);
    if (details.length === 0 && validator.Check(value)) return { value };
    const [, errors] = validator.Errors(value);
    for (const { instancePath, message } of errors.slice(0, 20)) {
      details.push(locate(instancePath, message, shape));
    }
    return { error: new InvalidRequest(details) };
  };
};

/** Reads a value as the body of a call with this schema would be read. Fails with `validation_failed`. */
export function readBody<T extends TSchema>(schema: T, given: unknown): Static<T> {
  const validate = compileInput({ schema, method: '', url: '', httpPart: 'body' });
  const result = validate(given) as { value?: Static<T>; error?: Error };
  if (result.error !== undefined) throw result.error;
  return result.value as Static<T>;
}

function locate(instancePath: string, message: string, root: JsonSchema): Detail {
  const path = instancePath.split('/').slice(1);
  const index = root.type === 'array' && path.length > 0 ? Number(path.shift()) : undefined;
  const field = path.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~')).join('.');
  return { ...(index === undefined ? {} : { index }), field, message };
}

/** Clients post arrays even for one record, and some post the record itself: both are taken. */
function readRoot(schema: JsonSchema, given: unknown, details: Detail[]): unknown {
  const single = schema.type === 'array' && !Array.isArray(given) && given !== null && given !== undefined;
  return read(schema, single ? [given] : given, details, '', undefined);
}

function read(
  schema: JsonSchema,
  value: unknown,
  details: Detail[],
  field: string,
  index: number | undefined,
): unknown {
  if (typeof value === 'string') return readString(schema, value, details, field, index);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items === undefined) return value;
    return value.map((item, at) =>
      field === '' && index === undefined
        ? read(items, item, details, '', at)
        : read(items, item, details, `${field}.${at}`, index),
    );
  }
  if (schema.properties === undefined) return {};
  const names = namesOf(schema.properties);
  const result: Record<string, unknown> = {};
  for (const [given, inner] of Object.entries(value)) {
    const name = names.get(given.toLowerCase());
    if (name === undefined || (name !== given && Object.hasOwn(value, name))) continue;
    const path = field === '' ? name : `${field}.${name}`;
    result[name] = read(schema.properties[name]!, inner, details, path, index);
  }
  return result;
}

function readString(
  schema: JsonSchema,
  value: string,
  details: Detail[],
  field: string,
  index: number | undefined,
): string | null {
  if (schema.format === 'date-time') return readDate(value);
  if (schema['x-content'] !== true && !isStorable(value)) {
    const message = 'must not contain NUL or half a surrogate pair';
    details.push({ ...(index === undefined ? {} : { index }), field, message });
  }
  return value;
}

/** PostgreSQL takes neither in text nor in JSON. */
function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}

const ISO_DATE = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?)?(Z|[+-]\d\d:?\d\d)?$/i;

/**
 * A date as a UTC instant. Without an offset it is UTC; the vendor's zero dates (before 1901) are null; what is no
 * date is returned as it is, for the schema to refuse.
 */
export function readDate(given: string): string | null {
  const text = given.trim();
  if (text === '') return null;
  if (!ISO_DATE.test(text)) return given;
  const hasTime = text.length > 10;
  const hasOffset = hasTime && /(Z|[+-]\d\d:?\d\d)$/i.test(text);
  const instant = new Date(hasTime && !hasOffset ? `${text}Z` : text);
  if (Number.isNaN(instant.getTime())) return given;
  return instant.getUTCFullYear() < 1901 ? null : instant.toISOString();
}

/** Query and path: every value is text. A value that does not convert is left for the schema to refuse. */
function readText(schema: JsonSchema, given: unknown): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  const names = namesOf(schema.properties ?? {});
  for (const [key, value] of Object.entries((given ?? {}) as Record<string, string | string[]>)) {
    const name = names.get(key.toLowerCase());
    if (name !== undefined) result[name] = convert(schema.properties![name]!, value);
  }
  return result;
}

function convert(schema: JsonSchema, given: string | string[]): unknown {
  if (schema.type === 'array') {
    const parts = (Array.isArray(given) ? given : [given]).flatMap((part) => part.split(','));
    return parts
      .filter((part) => part.trim() !== '')
      .map((part) => convertOne(schema.items ?? {}, part.trim()));
  }
  return convertOne(schema, Array.isArray(given) ? (given.at(-1) ?? '') : given);
}

function convertOne(schema: JsonSchema, text: string): unknown {
  if (schema.type === 'integer') return /^-?\d{1,16}$/.test(text) ? Number(text) : text;
  if (schema.type === 'boolean') {
    if (/^(true|1)$/i.test(text)) return true;
    return /^(false|0)$/i.test(text) ? false : text;
  }
  if (schema.format === 'date-time') return readDate(text) ?? undefined;
  // A text that no column can hold finds nothing; it must not become an error of the database.
  return text.replaceAll('\0', '').toWellFormed();
}

const known = new WeakMap<object, Map<string, string>>();

/** Printed names by their lower-case form. */
function namesOf(properties: Record<string, JsonSchema>): Map<string, string> {
  let names = known.get(properties);
  if (names === undefined) {
    names = new Map(Object.keys(properties).map((name) => [name.toLowerCase(), name]));
    known.set(properties, names);
  }
  return names;
}
