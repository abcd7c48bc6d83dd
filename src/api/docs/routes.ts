/** `/openapi.json` for programs and `/docs` for people. */
import type { Api } from '../route.ts';
import { PAGE_SCRIPT, PAGE_STYLE } from './assets.ts';
import { type OpenApi, renderPage } from './page.ts';

/** No script, style or picture from anywhere else, and none that is written into the page. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export function docRoutes(app: Api): void {
  const config = { access: 'public' } as const;
  let page: string | null = null;
  app.get(
    '/openapi.json',
    { config, schema: { tags: ['Operation'], summary: 'This API as an OpenAPI 3.1 document' } },
    async () => app.swagger(),
  );
  app.get('/docs', { config, schema: { hide: true } }, async (_request, reply) => {
    page ??= renderPage(app.swagger() as unknown as OpenApi);
    return await reply
      .header('content-security-policy', PAGE_POLICY)
      .type('text/html; charset=utf-8')
      .send(page);
  });
  app.get(
    '/docs/page.js',
    { config, schema: { hide: true } },
    async (_request, reply) => await reply.type('text/javascript; charset=utf-8').send(PAGE_SCRIPT),
  );
  app.get(
    '/docs/page.css',
    { config, schema: { hide: true } },
    async (_request, reply) => await reply.type('text/css; charset=utf-8').send(PAGE_STYLE),
  );
}
