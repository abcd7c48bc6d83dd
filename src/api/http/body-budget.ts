/**
 * Bodies are held in memory while they are read, and a mail may be large. So large bodies share a budget: one that
 * does not fit is refused before a byte of it is read, and the client tries again.
 */
import type { FastifyInstance } from 'fastify';
import { fail } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';

/** Must be registered after the guard: who may not call must not take from the budget. */
export function limitBodies(app: FastifyInstance, bytesAtOnce: number = LIMITS.requestBytesAtOnce): void {
  let taken = 0;
  app.addHook('preParsing', async (request, reply) => {
    const { bodyLimit } = request.routeOptions;
    const announced = Number(request.headers['content-length'] ?? bodyLimit);
    // Larger ones are refused by the route's own limit.
    const bytes = Math.min(announced, bodyLimit ?? announced);
    if (!(bytes > LIMITS.requestBytesSmall) || (request.method !== 'POST' && request.method !== 'DELETE'))
      return;
    if (taken > 0 && taken + bytes > bytesAtOnce) {
      throw fail('overloaded', 'Too many large requests are being read at the moment.');
    }
    taken += bytes;
    reply.raw.once('close', () => {
      taken -= bytes;
    });
  });
}
