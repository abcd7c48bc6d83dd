/**
 * The Halo-compatible API. Everything that can be reached over HTTP is put together here, without a port: a server
 * listens with it, a test injects requests.
 */
import { randomUUID } from 'node:crypto';
import { parse as parseQuery } from 'node:querystring';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Fastify from 'fastify';
import { LIMITS } from '../limits.ts';
import { ClientDirectory } from './auth/client-directory.ts';
import { guardRoutes, identifyCallers } from './auth/guard.ts';
import { Tokens } from './auth/tokens.ts';
import { describeRoutes } from './docs/openapi.ts';
import { docRoutes } from './docs/routes.ts';
import { acceptBodies } from './http/bodies.ts';
import { limitBodies } from './http/body-budget.ts';
import { CLOSING_OPTIONS, closeGently } from './http/closing.ts';
import { secureHeaders } from './http/headers.ts';
import { compileInput } from './http/input.ts';
import { frameworkErrors, handleErrors, handleUnknownRoutes } from './http/problem.ts';
import { limitRequests } from './http/rate-limit.ts';
import { tellRequests } from './http/request-events.ts';
import type { Api } from './route.ts';
import { authRoutes, tokenRoute } from './routes/auth.ts';
import { controlRoutes } from './routes/control.ts';
import { deliveryRoutes } from './routes/delivery.ts';
import { destinationRoutes } from './routes/destination.ts';
import { ruleRoutes } from './routes/email-rule.ts';
import { emailStoreRoutes } from './routes/email-store.ts';
import { formattedEmailRoutes } from './routes/formatted-email.ts';
import { emailRoutes } from './routes/incoming-email.ts';
import { mailRoutes } from './routes/mail.ts';
import { mailboxRoutes } from './routes/mailbox.ts';
import { mailboxCredentialRoutes } from './routes/mailbox-credential.ts';
import { notificationRoutes } from './routes/notification.ts';
import { operationRoutes } from './routes/operations.ts';
import { outgoingEmailRoutes } from './routes/outgoing-email.ts';
import { outlookContactRoutes } from './routes/outlook-contacts.ts';
import { refetchRoute } from './routes/refetch.ts';
import { signInLinkRoute, signInRoutes } from './routes/sign-in.ts';
import { siteRoutes } from './routes/site.ts';
import { userRoutes } from './routes/users.ts';
import type { ApiContext } from './services.ts';

/** Builds the API, ready to listen or to be injected. */
export async function buildApi(context: ApiContext): Promise<Api> {
  const { server } = context.config;
  const app = Fastify({
    trustProxy: server.trustProxy,
    bodyLimit: LIMITS.recordRequestBytes,
    // A request that trickles in must not hold its connection for ever.
    requestTimeout: LIMITS.requestTimeoutMs,
    ...CLOSING_OPTIONS,
    genReqId: () => randomUUID(),
    frameworkErrors,
    routerOptions: {
      // Halo's clients write /api/authinfo and /api/AuthInfo (halo-api.md 1.1).
      caseSensitive: false,
      ignoreTrailingSlash: true,
      querystringParser: (text) => parseQuery(text, '&', '=', { maxKeys: 200 }) as Record<string, string>,
      maxParamLength: 100,
    },
  }).withTypeProvider<TypeBoxTypeProvider>();

  app.setValidatorCompiler(compileInput);
  // Answers are made by us, field by field, so nothing is to be filtered; their schemas are for the document.
  app.setSerializerCompiler(() => JSON.stringify);
  closeGently(app);
  acceptBodies(app);
  handleErrors(app, context.events);
  secureHeaders(app);

  const tokens = new Tokens(context.db, context.keys);
  const clients = new ClientDirectory(context.db);
  identifyCallers(app, tokens, clients);
  await limitRequests(app, server.requestsPerMinute);
  handleUnknownRoutes(app);
  guardRoutes(app);
  limitBodies(app);
  tellRequests(app, context.events);

  await describeRoutes(app, context.version);
  const routes = async (scope: Api): Promise<void> => {
    authRoutes(scope, context);
    mailboxRoutes(scope, context);
    mailboxCredentialRoutes(scope, context);
    signInLinkRoute(scope, context);
    refetchRoute(scope, context);
    outlookContactRoutes(scope, context);
    ruleRoutes(scope, context);
    emailRoutes(scope, context);
    mailRoutes(scope, context);
    siteRoutes(scope, context);
    emailStoreRoutes(scope, context);
    outgoingEmailRoutes(scope, context);
    formattedEmailRoutes(scope, context);
    destinationRoutes(scope, context);
    deliveryRoutes(scope, context);
    userRoutes(scope, context);
    controlRoutes(scope, context);
  };
  await app.register(routes, { prefix: '/api' });
  await app.register(async (scope: Api) => {
    // The same calls at the root, for clients whose base URL lacks /api. They are described once.
    scope.addHook('onRoute', (route) => {
      route.schema = { ...route.schema, hide: true };
    });
    await routes(scope);
  });
  await app.register(async (scope: Api) => await tokenRoute(scope, context, tokens, clients));
  await app.register(async (scope: Api) => notificationRoutes(scope, context));
  signInRoutes(app, context);
  operationRoutes(app, context.services);
  docRoutes(app);
  return app;
}
