/** `/Mailbox/{id}/refetch`, an extension: messages that were given up are asked for again. */
import Type from 'typebox';
import { fail } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { findMailbox } from '../../store/mailboxes.ts';
import { refetch } from '../../store/refetch.ts';
import { actorOf } from '../auth/guard.ts';
import { byId } from '../http/shapes.ts';
import type { Api } from '../route.ts';
import type { ApiContext } from '../services.ts';

const Asked = Type.Object({
  asked: Type.Integer({ description: `How many; ${LIMITS.refetchAtOnce} at most in one call.` }),
  messages: Type.Array(
    Type.Object({
      folder: Type.String(),
      key: Type.String(),
      size: Type.Integer(),
      reason: Type.Union([Type.String(), Type.Null()], { description: 'Why it was given up.' }),
    }),
  ),
});

export function refetchRoute(app: Api, { db }: ApiContext): void {
  app.post(
    '/Mailbox/:id/refetch',
    {
      config: { access: 'admin' },
      schema: {
        tags: ['Mailbox'],
        summary: 'Ask the server again for messages that it did not deliver (ours)',
        description: 'They get new attempts with the next poll, which begins at once.',
        params: byId,
        body: Type.Object({
          folder: Type.Optional(Type.String({ description: 'Only in this folder.' })),
          key: Type.Optional(Type.String({ description: 'Only this message; for IMAP the UID.' })),
          oversized: Type.Optional(
            Type.Boolean({ description: 'Instead those above the size limit, after it was raised.' }),
          ),
        }),
        response: { 202: Asked },
      },
    },
    async (request, reply) => {
      const { folder = null, key = null, oversized } = request.body;
      const rows = await db.transaction().execute(async (tx) => {
        const mailbox = await findMailbox(tx, request.params.id);
        if (mailbox === null) throw fail('not_found', `There is no mailbox ${request.params.id}.`);
        const state = oversized === true ? 'oversized' : 'fetch_failed';
        return await refetch(tx, mailbox, { state, folder, key }, actorOf(request));
      });
      const messages = rows.map(({ ledgerId: _ledgerId, ...row }) => row);
      return await reply.code(202).send({ asked: messages.length, messages });
    },
  );
}
