/** So many requests a minute for each client; callers without a valid token are counted by address. */
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance } from 'fastify';
import { fail } from '../../errors.ts';

/** Counted in this process: with several, each allows as many. */
export async function limitRequests(app: FastifyInstance, requestsPerMinute: number): Promise<void> {
  await app.register(rateLimit, {
    max: requestsPerMinute,
    timeWindow: 60_000,
    cache: 20_000,
    // On a unix socket there is no address, and the plugin's own key would fail.
    keyGenerator: (request) => request.caller?.clientId ?? request.ip ?? 'socket',
    // Health and metrics are asked by the operator's own machines, which must not be shut out when it matters.
    allowList: (request) => /^\/(health\/|metrics$)/.test(request.routeOptions.url ?? ''),
    errorResponseBuilder: (_request, { max }) =>
      fail('rate_limited', `More than ${max} requests in a minute.`),
  });
}
