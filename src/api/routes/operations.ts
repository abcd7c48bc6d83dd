/** Health and metrics. Open to all who reach the port: they hold no mail, no names and no secrets. */
import Type from 'typebox';
import type { Api } from '../route.ts';
import type { ApiServices, OperationalAnswer } from '../services.ts';

const Answer = Type.Unsafe<object>({
  type: 'object',
  description: 'With the reasons when something is wrong.',
});

export function operationRoutes(app: Api, services: Pick<ApiServices, 'live' | 'ready' | 'metrics'>): void {
  const health = (path: string, summary: string, ask: () => Promise<OperationalAnswer>): void => {
    app.get(
      path,
      {
        config: { access: 'public' },
        schema: { tags: ['Operation'], summary, response: { 200: Answer, 503: Answer } },
      },
      async (_request, reply) => {
        const { ok, body } = await ask();
        return await reply.code(ok ? 200 : 503).send(body);
      },
    );
  };
  health('/health/live', 'Is the process alive?', () => services.live());
  health('/health/ready', 'Can it do its work?', () => services.ready());

  app.get(
    '/metrics',
    {
      config: { access: 'public' },
      schema: { tags: ['Operation'], summary: 'Metrics for Prometheus', produces: ['text/plain'] },
    },
    async (_request, reply) => {
      const { contentType, body } = await services.metrics();
      return await reply.type(contentType).send(body);
    },
  );
}
