/** Reads what a request of OData is about: its path in either form, and its body. */
import type { IncomingMessage } from 'node:http';
import { readBody } from '../http/answer.ts';
import { GraphFault } from './answer.ts';
import type { RouteName } from './faults.ts';
import type { Route } from './routes.ts';

export interface Matched {
  name: RouteName;
  /** Null for subscriptions, which are below no user. */
  route: Route | null;
  names: Record<string, string>;
}

const REQUEST_BYTES = 5 * 1024 * 1024;

const SUBSCRIPTIONS: readonly { name: RouteName; method: string; path: string }[] = [
  { name: 'create-subscription', method: 'POST', path: '/subscriptions' },
  { name: 'list-subscriptions', method: 'GET', path: '/subscriptions' },
  { name: 'get-subscription', method: 'GET', path: '/subscriptions/:subscription' },
  { name: 'renew-subscription', method: 'PATCH', path: '/subscriptions/:subscription' },
  { name: 'delete-subscription', method: 'DELETE', path: '/subscriptions/:subscription' },
  { name: 'reauthorize-subscription', method: 'POST', path: '/subscriptions/:subscription/reauthorize' },
];

/** Decoded segments below the version; `users('a')` is `users/a`. Null for a path without the version. */
export function segmentsOf(pathname: string): string[] | null {
  const raw = pathname.split('/').slice(1);
  if (raw[0] !== 'v1.0') return null;
  return raw.slice(1).flatMap((segment) => {
    const bracketed = /^(\w+)\('(.*)'\)$/.exec(segment);
    const parts = bracketed ? [bracketed[1]!, bracketed[2]!] : [segment];
    return parts.map((part) => decodeURIComponent(part));
  });
}

export function matchRoute(
  method: string,
  segments: string[] | null,
  routes: readonly Route[],
): Matched | null {
  if (segments === null) return null;
  for (const route of routes) {
    const names = route.method === method ? match(`/users/:user${route.path}`, segments) : null;
    if (names) return { name: route.name, route, names };
  }
  for (const { name, method: wanted, path } of SUBSCRIPTIONS) {
    const names = wanted === method ? match(path, segments) : null;
    if (names) return { name, route: null, names };
  }
  return null;
}

export async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const body = await readBody(request, REQUEST_BYTES);
  if (body === null) throw new GraphFault(413, 'RequestEntityTooLarge', 'The request is too large.');
  return body;
}

/** The JSON object in a body; an empty one without a body. */
export function jsonOf(body: Buffer): Record<string, unknown> {
  if (body.length === 0) return {};
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new GraphFault(400, 'BadRequest', 'Unable to read JSON request payload.');
}

function match(pattern: string, segments: readonly string[]): Record<string, string> | null {
  const wanted = pattern.split('/').slice(1);
  if (wanted.length !== segments.length) return null;
  const names: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const segment = segments[index]!;
    if (part.startsWith(':')) names[part.slice(1)] = segment;
    else if (part.toLowerCase() !== segment.toLowerCase()) return null;
  }
  return names;
}
