/** `/Control`: the settings of the installation that decide about mail (halo-domain.md section 7). */
import { isDeepStrictEqual } from 'node:util';
import { writeAudit } from '../../store/audit-log.ts';
import { lockControl, readControl, saveControl } from '../../store/control.ts';
import { findMailbox } from '../../store/mailboxes.ts';
import { actorOf } from '../auth/guard.ts';
import { draftControl, HaloControl, viewControl } from '../halo/control.ts';
import { eachItem } from '../http/items.ts';
import { invalid } from '../http/problem.ts';
import { listOf, oneOrMany, saved } from '../http/shapes.ts';
import type { Api } from '../route.ts';
import type { ApiContext } from '../services.ts';

export function controlRoutes(app: Api, { db, config }: ApiContext): void {
  app.get(
    '/Control',
    {
      config: { access: 'admin' },
      schema: {
        tags: ['Control'],
        summary: 'Read the settings of the installation that decide about mail',
        response: { 200: HaloControl },
      },
    },
    async () => viewControl(await readControl(db), config.mail),
  );

  app.post(
    '/Control',
    {
      config: { access: 'admin' },
      schema: {
        tags: ['Control'],
        summary: 'Change them',
        description:
          'What is left out stays. A value that is set here wins over the configuration file; null takes it back.',
        body: listOf(HaloControl),
        response: { 201: oneOrMany(HaloControl) },
      },
    },
    async (request, reply) => {
      const actor = actorOf(request);
      const views = await db.transaction().execute(
        async (tx) =>
          await eachItem(request.body, async (item) => {
            const before = await lockControl(tx);
            const after = draftControl(item, before);
            const mailbox = item.default_mailbox_id ?? 0;
            if (mailbox !== 0 && (await findMailbox(tx, mailbox)) === null) {
              throw invalid('default_mailbox_id', `is ${mailbox}, and there is no such mailbox`);
            }
            if (!isDeepStrictEqual(before, after)) {
              await saveControl(tx, after);
              const change = { before, after };
              await writeAudit(tx, { actor, action: 'update', entity: 'control', entityId: 1, change });
            }
            return viewControl(after, config.mail);
          }),
      );
      return await saved(reply, views);
    },
  );
}
