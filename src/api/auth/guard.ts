/** Who is calling, and whether they may. Every route says what it asks for; one that does not is a fault of ours. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { fail, type PenstockError } from '../../errors.ts';
import type { ClientDirectory } from './client-directory.ts';
import { type Access, mayCall, scopesFor } from './scopes.ts';
import type { Tokens } from './tokens.ts';

/** The client behind a request. */
export interface Caller {
  clientId: string;
  scopes: string[];
}

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
  }
  interface FastifyRequest {
    caller: Caller | null;
    /** Why there is no caller. */
    callerProblem: PenstockError | null;
  }
}

/** Who did it, for the audit log. */
export function actorOf(request: FastifyRequest): string {
  return `client:${request.caller!.clientId}`;
}

/**
 * First half: finds out who is calling, and refuses nobody, so that requests with bad tokens are counted by the
 * rate limit, too. Must be registered before the rate limit.
 */
export function identifyCallers(app: FastifyInstance, tokens: Tokens, clients: ClientDirectory): void {
  app.decorateRequest('caller', null);
  app.decorateRequest('callerProblem', null);
  app.addHook('onRoute', ({ url, config }) => {
    if (config?.access === undefined) throw new Error(`The route ${url} does not say who may call it.`);
  });
  app.addHook('onRequest', async (request) => {
    if (request.is404 || request.routeOptions.config.access === 'public') return;
    try {
      request.caller = await identify(request.headers.authorization, tokens, clients);
    } catch (error) {
      if ((error as PenstockError).code !== 'unauthorized') throw error;
      request.callerProblem = error as PenstockError;
    }
  });
}

async function identify(
  header: string | undefined,
  tokens: Tokens,
  clients: ClientDirectory,
): Promise<Caller> {
  const token = /^Bearer +([\w.~+/=-]+) *$/i.exec(header ?? '')?.[1];
  if (token === undefined) throw fail('unauthorized', 'The request carries no token.');
  const { clientId, scopes } = await tokens.verify(token);
  const client = await clients.active(clientId);
  if (client === null) throw fail('unauthorized', 'The client of this token is disabled.');
  return { clientId, scopes };
}

/** Second half: refuses who may not, before the body is read. */
export function guardRoutes(app: FastifyInstance): void {
  app.addHook('preParsing', async (request) => {
    const access = request.routeOptions.config.access;
    if (request.is404 || access === undefined || access === 'public') return;
    if (request.callerProblem !== null) throw request.callerProblem;
    if (!mayCall(access, request.caller!.scopes)) {
      const enough = scopesFor(access).join(', ');
      throw fail('forbidden', `This call needs one of the scopes ${enough}.`);
    }
  });
}
