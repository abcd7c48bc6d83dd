/** Shapes that many calls share. */
import type { FastifyReply } from 'fastify';
import Type, { type Static, type TSchema } from 'typebox';
import { LIMITS } from '../../limits.ts';

const idUpTo = (maximum: number) => Type.Object({ id: Type.Integer({ minimum: 1, maximum }) });

export const byId = idUpTo(2_147_483_647);
/** For records that grow without end. */
export const byBigId = idUpTo(Number.MAX_SAFE_INTEGER);

/** The body of a POST: an array; a single record is taken as an array of one. */
export function listOf<T extends TSchema>(schema: T) {
  return Type.Array(schema, { minItems: 1, maxItems: LIMITS.batchItems });
}

/** The answer to a POST: the record for one item, an array for several. */
export function oneOrMany<T extends TSchema>(schema: T) {
  return Type.Unsafe<Static<T> | Static<T>[]>({
    description: 'One record for one item, else an array in the order of the items.',
    anyOf: [schema, { type: 'array', items: schema }],
  });
}

/** Answers a POST that saved: 201, also for updates (halo-api.md 1.8). */
export async function saved(reply: FastifyReply, records: object[]): Promise<never> {
  return (await reply.code(201).send(records.length === 1 ? records[0] : records)) as never;
}
