import type { FastifyInstance } from 'fastify';
import type { Events } from '../../observe/events.ts';

/** Tells of every answered request: by pattern, never by URL, because a query may hold what must not be logged. */
export function tellRequests(app: FastifyInstance, events: Events): void {
  app.addHook('onResponse', async (request, reply) => {
    events.emit('api.answered', {
      method: request.method,
      route: request.routeOptions.url ?? '(unknown)',
      status: reply.statusCode,
      milliseconds: Math.round(reply.elapsedTime * 10) / 10,
      client: request.caller?.clientId ?? null,
    });
  });
}
