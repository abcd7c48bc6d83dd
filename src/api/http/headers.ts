/** Headers of every answer: the request's id, and what keeps a browser from making anything else of an answer. */
import type { FastifyInstance } from 'fastify';

export function secureHeaders(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({
      'x-request-id': request.id,
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      // Tokens and mail must not stay in caches on the way.
      'cache-control': 'no-store',
    });
  });
}
