/** `/auth/token`, `/AuthInfo` and `/Lookup` (halo-api.md 1.3 to 1.5): what every client calls first. */
import formbody from '@fastify/formbody';
import type { FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { fail } from '../../errors.ts';
import type { ClientDirectory } from '../auth/client-directory.ts';
import { FailureBrake } from '../auth/failure-brake.ts';
import { grantScopes } from '../auth/scopes.ts';
import type { Tokens } from '../auth/tokens.ts';
import type { Api } from '../route.ts';
import type { ApiContext } from '../services.ts';

const TOKEN_SECONDS = 3_600;
const FORM_BYTES = 64 * 1024;

export function authRoutes(app: Api, context: ApiContext): void {
  app.get(
    '/AuthInfo',
    {
      config: { access: 'public' },
      schema: {
        tags: ['Sign-in'],
        summary: 'Where to get a token',
        response: {
          200: Type.Object({
            auth_url: Type.String({ description: 'URL of the token server; the token call is below it.' }),
            tenant_id: Type.Null({ description: 'There are no tenants here.' }),
          }),
        },
      },
    },
    async (request) => {
      const base = context.config.server.publicUrl ?? `${request.protocol}://${request.host}`;
      return { auth_url: `${base.replace(/\/+$/, '')}/auth`, tenant_id: null };
    },
  );

  app.get(
    '/Lookup',
    {
      config: { access: 'any' },
      schema: {
        tags: ['Sign-in'],
        summary: 'A lookup list',
        description:
          'Halo’s lists are not kept here. One entry is answered for any list, because a known client takes an empty one for a failed connection.',
        querystring: Type.Object({ lookupid: Type.Optional(Type.Integer({ description: 'Which list.' })) }),
        response: {
          200: Type.Array(Type.Object({ id: Type.Integer(), lookupid: Type.Integer(), name: Type.String() })),
        },
      },
    },
    async (request) => [{ id: 1, lookupid: request.query.lookupid ?? 0, name: 'Penstock' }],
  );
}

const TokenForm = Type.Object(
  {
    grant_type: Type.Optional(Type.String({ description: 'client_credentials.' })),
    client_id: Type.Optional(Type.String({ maxLength: 200 })),
    client_secret: Type.Optional(Type.String({ maxLength: 1_000, writeOnly: true })),
    scope: Type.Optional(
      Type.String({
        maxLength: 2_000,
        description: 'Scopes, with spaces between. Default all that the client has.',
      }),
    ),
    tenant: Type.Optional(
      Type.String({ maxLength: 200, description: 'Ignored: there are no tenants here.' }),
    ),
  },
  { title: 'TokenRequest' },
);

/** Errors as RFC 6749 section 5.2 has them; clients print `error_description`. */
const TokenError = Type.Object(
  { error: Type.String(), error_description: Type.String() },
  { title: 'TokenError' },
);

/** The token call has its own plugin, because no other call takes forms. */
export async function tokenRoute(
  app: Api,
  context: ApiContext,
  tokens: Tokens,
  clients: ClientDirectory,
): Promise<void> {
  await app.register(formbody, { bodyLimit: FORM_BYTES });
  const brake = new FailureBrake();
  const seconds = context.tokenSeconds ?? TOKEN_SECONDS;
  app.post(
    '/auth/token',
    {
      config: { access: 'public' },
      bodyLimit: FORM_BYTES,
      schema: {
        tags: ['Sign-in'],
        summary: 'Get an access token',
        description: 'OAuth 2 client credentials (RFC 6749 section 4.4), as a form.',
        consumes: ['application/x-www-form-urlencoded'],
        querystring: Type.Object({ tenant: Type.Optional(Type.String({ description: 'Ignored.' })) }),
        body: TokenForm,
        response: {
          200: Type.Object({
            access_token: Type.String(),
            token_type: Type.Literal('Bearer'),
            expires_in: Type.Integer({ description: 'Seconds.' }),
            scope: Type.String(),
          }),
          400: TokenError,
          401: TokenError,
        },
      },
    },
    async (request, reply) => {
      const { grant_type, scope } = request.body;
      const { id, secret } = credentials(request);
      if (grant_type !== 'client_credentials') {
        return await refuse(reply, 400, 'unsupported_grant_type', 'grant_type must be client_credentials.');
      }
      const address = request.ip ?? 'socket';
      const wait = brake.secondsToWait(address);
      if (wait > 0) {
        reply.header('retry-after', String(wait));
        throw fail('rate_limited', 'Too many wrong secrets came from this address.');
      }
      const client = id === '' || secret === '' ? null : await clients.authenticate(id, secret);
      if (client === null) {
        brake.noteFailure(address);
        return await refuse(reply, 401, 'invalid_client', 'client_id or client_secret is wrong.');
      }
      const granted = grantScopes(scope, client.scopes);
      if (granted === null)
        return await refuse(reply, 400, 'invalid_scope', 'The client has none of these scopes.');
      const token = await tokens.issue({ clientId: client.clientId, scopes: granted }, seconds);
      return {
        access_token: token,
        token_type: 'Bearer' as const,
        expires_in: seconds,
        scope: granted.join(' '),
      };
    },
  );
}

/** From the form, or as HTTP Basic (RFC 6749 section 2.3.1), which standard OAuth libraries prefer. */
function credentials(request: FastifyRequest<{ Body: { client_id?: string; client_secret?: string } }>): {
  id: string;
  secret: string;
} {
  const { client_id: id = '', client_secret: secret = '' } = request.body;
  const basic = /^Basic +([\w+/=]+) *$/i.exec(request.headers.authorization ?? '')?.[1];
  if (id !== '' || basic === undefined) return { id, secret };
  const [user = '', password = ''] = Buffer.from(basic, 'base64').toString('utf8').split(':', 2);
  try {
    return { id: decodeURIComponent(user), secret: decodeURIComponent(password) };
  } catch {
    return { id: '', secret: '' };
  }
}

async function refuse(
  reply: FastifyReply,
  status: 400 | 401,
  error: string,
  description: string,
): Promise<never> {
  if (status === 401) reply.header('www-authenticate', 'Basic realm="penstock"');
  return (await reply.code(status).send({ error, error_description: description })) as never;
}
