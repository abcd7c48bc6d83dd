/**
 * Sign-in of a person for a mailbox: a link that an administrator makes, where it leads, and where the browser comes back to.
 * The two that browsers open ask for no token of ours; the link and the answer of the provider are proof.
 */
import type { FastifyReply } from 'fastify';
import Type from 'typebox';
import { asPenstockError } from '../../errors.ts';
import { actorOf } from '../auth/guard.ts';
import { readCookies, writeCookie } from '../consent/cookies.ts';
import { CONSENT_POLICY, type ConsentPage, pageOf, render } from '../consent/page.ts';
import { printDate } from '../halo/fields.ts';
import { byId } from '../http/shapes.ts';
import type { Api } from '../route.ts';
import type { ApiContext } from '../services.ts';

/** Makes a link: below /api, for administrators. */
export function signInLinkRoute(app: Api, { services: { signIns } }: ApiContext): void {
  app.post(
    '/Mailbox/:id/authorize',
    {
      config: { access: 'admin' },
      schema: {
        tags: ['Mailbox'],
        summary: 'Make a link with which a person signs in for a mailbox (ours)',
        description:
          'The link lasts ten minutes, for one sign-in, in any browser. It shows nothing and gives nothing away: whoever opens it must sign in at the provider with an account that may read the mailbox.',
        params: byId,
        querystring: Type.Object({
          credential_id: Type.Optional(
            Type.Integer({ description: 'The first for which somebody signs in, when absent.' }),
          ),
        }),
        response: {
          201: Type.Object({
            id: Type.Integer({ description: 'The mailbox.' }),
            url: Type.String({ description: 'The link.' }),
            expires_at: Type.String({ description: 'When it ends.' }),
          }),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const { url, expiresAt } = await signIns.link(
        id,
        request.query.credential_id ?? null,
        actorOf(request),
      );
      return await reply.code(201).send({ id, url, expires_at: printDate(expiresAt)! });
    },
  );
}

/** Where browsers go: at the root, and not for programs. */
export function signInRoutes(app: Api, { events, services: { signIns } }: ApiContext): void {
  const config = { access: 'public' } as const;
  const query = Type.Object({}, { additionalProperties: true });

  /** Runs one step; what goes wrong is a page, too. */
  const paged = async (path: string, reply: FastifyReply, step: () => Promise<ConsentPage | null>) => {
    let page: ConsentPage | null;
    try {
      page = await step();
    } catch (thrown) {
      const { code, message, status, hint } = asPenstockError(thrown);
      if (status >= 500) events.emit('api.failed', { method: 'GET', path, code, message });
      const text = [code === 'internal' ? 'Something unexpected happened.' : `${message}`, hint];
      page = { status, title: 'The sign-in did not work', text };
    }
    // It was answered already.
    if (page === null) return reply;
    return await reply
      .code(page.status)
      .header('content-security-policy', CONSENT_POLICY)
      .type('text/html; charset=utf-8')
      .serializer(String)
      .send(render(page));
  };

  app.get(
    '/oauth/start/:id',
    { config, schema: { hide: true, params: byId, querystring: query } },
    async (request, reply) =>
      await paged('/oauth/start/:id', reply, async () => {
        const secret = new URL(request.url, 'http://localhost').searchParams.get('link') ?? '';
        const begun = await signIns.begin(request.params.id, secret);
        if (begun === null) return pageOf({ kind: 'over' });
        await reply.header('set-cookie', writeCookie(begun.cookie)).redirect(begun.location, 302);
        return null;
      }),
  );

  app.get(
    '/oauth/callback',
    { config, schema: { hide: true, querystring: query } },
    async (request, reply) =>
      await paged('/oauth/callback', reply, async () => {
        const answer = new URL(request.url, 'http://localhost').searchParams;
        return pageOf(await signIns.finish(answer, readCookies(request.headers.cookie)));
      }),
  );
}
