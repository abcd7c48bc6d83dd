/** `/MailboxCredential` (halo-api.md 3.6): what mailboxes log in with, tried in order, with how each one stands. */
import Type from 'typebox';
import { LIMITS } from '../../limits.ts';
import { listCredentials } from '../../store/credentials.ts';
import { actorOf } from '../auth/guard.ts';
import { deleteItem, existing, lockMailboxesOf, saveItem, viewCredentials } from '../credential-save.ts';
import { HaloMailboxCredential } from '../halo/credential-fields.ts';
import { eachItem } from '../http/items.ts';
import { byId, listOf, oneOrMany, saved } from '../http/shapes.ts';
import type { Api } from '../route.ts';
import type { ApiContext } from '../services.ts';

export function mailboxCredentialRoutes(app: Api, { db, keys }: ApiContext): void {
  const config = { access: 'admin' } as const;
  const tags = ['Mailbox'];

  app.get(
    '/MailboxCredential',
    {
      config,
      schema: {
        tags,
        summary: 'List what mailboxes log in with',
        description:
          'Each mailbox’s in the order in which they are tried; penstock.state says which one is in use, and why others are not.',
        querystring: Type.Object({
          mailbox_id: Type.Optional(Type.Integer({ description: 'Only those of this mailbox (ours).' })),
        }),
        response: { 200: Type.Array(HaloMailboxCredential) },
      },
    },
    async ({ query: { mailbox_id: mailbox } }) =>
      await viewCredentials(db, await listCredentials(db, mailbox === undefined ? 'all' : [mailbox])),
  );

  app.post(
    '/MailboxCredential',
    {
      config,
      bodyLimit: LIMITS.recordRequestBytes,
      schema: {
        tags,
        summary: 'Create or update what mailboxes log in with',
        description:
          'A mailbox uses the first of its credentials that works. An item with an id is updated, and what it leaves out ' +
          'stays; what a new one leaves out is as with the first credential of the mailbox, except secrets. The login ' +
          'fields of a Mailbox are those of its first credential.',
        body: listOf(HaloMailboxCredential),
        response: { 201: oneOrMany(HaloMailboxCredential) },
      },
    },
    async (request, reply) => {
      const actor = actorOf(request);
      const views = await db.transaction().execute(async (tx) => {
        await lockMailboxesOf(tx, request.body);
        const saved = await eachItem(request.body, (item) => saveItem(tx, keys, item, actor));
        const shown = await viewCredentials(
          tx,
          saved.map(({ credential }) => credential),
        );
        return shown.map((one, index) =>
          saved[index]!.isRepeat
            ? {
                ...one,
                _warning: `Credential ${one.id} is the same in everything, so no second one was made.`,
              }
            : one,
        );
      });
      return await saved(reply, views);
    },
  );

  app.get(
    '/MailboxCredential/:id',
    {
      config,
      schema: {
        tags,
        summary: 'Read what a mailbox logs in with',
        params: byId,
        response: { 200: HaloMailboxCredential },
      },
    },
    async (request) => (await viewCredentials(db, [await existing(db, request.params.id)]))[0]!,
  );

  app.delete(
    '/MailboxCredential/:id',
    {
      config,
      schema: {
        tags,
        summary: 'Delete what a mailbox logs in with',
        description:
          'With its secrets and tokens. The last one of a mailbox stays: delete the mailbox instead.',
        params: byId,
        response: { 200: HaloMailboxCredential },
      },
    },
    async (request) =>
      await db.transaction().execute((tx) => deleteItem(tx, request.params.id, actorOf(request))),
  );
}
