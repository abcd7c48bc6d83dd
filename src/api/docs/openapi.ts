/** The API's own description, OpenAPI 3.1, made from the schemas that validate: it cannot say anything else. */
import swagger from '@fastify/swagger';
import type { FastifySchema } from 'fastify';
import { scopesFor } from '../auth/scopes.ts';
import { ProblemBody } from '../http/problem.ts';
import type { Api } from '../route.ts';

const ABOUT = `Penstock ingests mail and keeps one record for every message. This is its API, which clients of HaloITSM and
HaloPSA can use unchanged: POST creates and updates, always with arrays; property names, paths and query parameters
are read in any letter case; unknown properties are ignored. What Halo does not have is under the property penstock
or marked as ours. All paths below /api also work without it.`;

const TAGS = [
  { name: 'Sign-in', description: 'Tokens, and what clients call first.' },
  { name: 'Mailbox', description: 'Accounts that are polled.' },
  { name: 'EmailRule', description: 'Rules that decide what a message leads to.' },
  { name: 'IncomingEmail', description: 'One record for every message.' },
  { name: 'Mail', description: 'Mail that programs hand in.' },
  { name: 'Notification', description: 'Where providers tell of new mail.' },
  { name: 'EmailStore', description: 'Mail that is to be sent.' },
  { name: 'Outgoingemail', description: 'What became of mail that was sent.' },
  { name: 'FormattedEmail', description: 'Templates of mail, and labels that mail is read by.' },
  { name: 'EmailAddressBook', description: 'Users that can be written to.' },
  { name: 'Users', description: 'Those who write to us.' },
  { name: 'Control', description: 'Settings of the installation.' },
  { name: 'Site', description: 'Where new users belong.' },
  { name: 'Destination', description: 'Where outcomes are sent, and what became of each.' },
  { name: 'Operation', description: 'Health, metrics and this document.' },
];

/** Statuses that calls can end with beside their own. */
const PROBLEMS = {
  400: 'Something in the request is wrong.',
  404: 'There is no such record.',
  429: 'Too many requests; Retry-After says how many seconds to wait.',
};
const WRITE_PROBLEMS = {
  409: 'The record is in a state that does not allow this.',
  413: 'The body or the message is too large.',
  415: 'The body is not JSON.',
};
const GUARD_PROBLEMS = {
  401: 'The token is missing, wrong or expired.',
  403: 'The token lacks the scope.',
};

/** Collects the routes that are added from now on. */
export async function describeRoutes(app: Api, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Penstock', description: ABOUT.replaceAll('\n', ' '), version },
      tags: TAGS,
      components: {
        securitySchemes: {
          token: { type: 'http', scheme: 'bearer', description: 'An access token of POST /auth/token.' },
        },
      },
    },
    transform: ({ schema, url, route }) => {
      const access = route.config?.access ?? 'public';
      const scopes = scopesFor(access);
      const problems: Record<string, string> = {
        ...PROBLEMS,
        ...(route.method === 'GET' ? {} : WRITE_PROBLEMS),
        ...(access === 'public' ? {} : GUARD_PROBLEMS),
      };
      const own = (schema?.response ?? {}) as Record<string, unknown>;
      const response: Record<string, unknown> = {};
      for (const [status, description] of Object.entries(problems)) {
        response[status] = { description, content: { 'application/json': { schema: ProblemBody } } };
      }
      const described = {
        ...schema,
        description: [schema?.description, scopes.length > 0 && `Scopes: ${scopes.join(', ')}.`]
          .filter(Boolean)
          .join(' '),
        ...(access === 'public' ? {} : { security: [{ token: [...scopes] }] }),
        response: { ...response, ...own },
      };
      return { schema: described as FastifySchema, url };
    },
    transformObject: (document) => {
      if (!('openapiObject' in document)) throw new Error('The document is not OpenAPI.');
      return shareSchemas(document.openapiObject as JsonObject) as typeof document.openapiObject;
    },
  });
}

type JsonObject = Record<string, unknown>;

/** Puts every schema with a title under components, once, and refers to it from where it stood. */
function shareSchemas(document: JsonObject): JsonObject {
  const shared = new Map<string, unknown>();
  const visit = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(visit);
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value)
      .filter(([key]) => !key.startsWith('x-'))
      .map(([key, inner]) => [key, visit(inner)] as const);
    const result = Object.fromEntries(entries);
    const { title, type } = result;
    const mayBeNull = Array.isArray(type) && type.includes('object') && type.includes('null');
    if (typeof title !== 'string' || (type !== 'object' && !mayBeNull)) return result;
    shared.set(title, { ...result, type: 'object' });
    const reference = { $ref: `#/components/schemas/${title}` };
    return mayBeNull ? { description: result.description, anyOf: [reference, { type: 'null' }] } : reference;
  };
  const paths = visit(document.paths);
  const components = document.components as JsonObject;
  const schemas = Object.fromEntries([...shared].sort(([a], [b]) => (a < b ? -1 : 1)));
  return { ...document, paths, components: { ...components, schemas } };
}
