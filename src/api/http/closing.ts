/**
 * What becomes of requests when the server stops: new ones are refused at once, running ones get a moment to end,
 * and whoever is slower than that loses the connection. So nobody holds up a stop, and nothing that was answered is
 * undone: an answer is only sent after its commit.
 */
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { fail } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { sendProblem } from './problem.ts';

/** For the framework: the refusal is ours, and what is still open after the grace is closed. */
export const CLOSING_OPTIONS = { return503OnClosing: false, forceCloseConnections: true } as const;

/** Must be registered before all other hooks: a request that is refused takes part in nothing. */
export function closeGently(app: FastifyInstance, graceMs: number = LIMITS.requestGraceMs): void {
  const running = new Set<ServerResponse>();
  const { promise: quiet, resolve: becomeQuiet } = Promise.withResolvers<void>();
  let closing = false;

  app.addHook('onRequest', async (request, reply) => {
    if (closing) return await sendProblem(reply, fail('stopping', 'Penstock is stopping.'), request);
    running.add(reply.raw);
    // Also comes when the client goes away.
    reply.raw.once('close', () => {
      running.delete(reply.raw);
      if (closing && running.size === 0) becomeQuiet();
    });
  });
  app.addHook('onSend', async (_request, reply) => {
    if (closing) reply.header('connection', 'close');
  });
  app.addHook('preClose', async () => {
    closing = true;
    if (running.size > 0) await Promise.race([quiet, sleep(graceMs)]);
  });
}
