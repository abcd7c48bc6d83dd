/**
 * Where providers tell of new mail: `/Mail/Azure` as Halo has it (halo-api.md section 2), and `/notifications/…`. No token is
 * asked for, as providers have none: Graph's notifications carry a secret, Gmail's are signed. They are hints, so no mail
 * is taken from them.
 */
import Type from 'typebox';
import { fail } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import { pushKeys, readPush, verifyPush } from '../../source/gmail/push.ts';
import { type GivenNotice, handshakeAnswer, readNotifications } from '../../source/graph/notification.ts';
import { JoinedWrites } from '../http/joined-writes.ts';
import { invalid } from '../http/problem.ts';
import { noteGmail, noteGraph } from '../notified.ts';
import type { Api } from '../route.ts';
import type { ApiContext } from '../services.ts';

/** Path of Gmail's pushes below the public URL; the default audience ends in it. */
const GMAIL_PATH = '/notifications/gmail';

const options = {
  config: {
    access: 'public',
    // Many mailboxes are told of from few addresses, so these have a limit of their own.
    rateLimit: { max: LIMITS.notificationsPerMinute, timeWindow: 60_000 },
  },
  bodyLimit: LIMITS.notificationBytes,
} as const;

/** Needs a scope of its own, because no other call takes text. */
export function notificationRoutes(app: Api, context: ApiContext): void {
  // A handshake is text, and empty.
  app.addContentTypeParser('text/plain', { parseAs: 'string', bodyLimit: 1_024 }, (_request, _body, done) =>
    done(null, undefined),
  );
  graphRoutes(app, context);
  gmailRoute(app, context);
}

function graphRoutes(app: Api, { db, events }: ApiContext): void {
  const writes = new JoinedWrites<GivenNotice>(
    (notices) => noteGraph(db, events, notices),
    LIMITS.notificationsWaiting,
  );
  const schema = {
    tags: ['Notification'],
    summary: 'Notifications of Microsoft Graph',
    description:
      'With validationToken it is a handshake, which is answered with the token as text. Else the body is a collection of notifications, each with the secret of its subscription; the answer is 202 whether they are known or not.',
    querystring: Type.Object({
      validationToken: Type.Optional(Type.String({ description: 'Comes with a handshake.' })),
    }),
    response: {
      200: Type.String({ description: 'The token of the handshake.' }),
      202: Type.Literal('', { description: 'Noted.' }),
    },
  };
  // Without /api too, as all calls of Halo's; that one is not described again.
  for (const path of ['/api/Mail/Azure', '/Mail/Azure', '/notifications/graph']) {
    const hide = path === '/Mail/Azure';
    app.post(path, { ...options, schema: { ...schema, hide } }, async (request, reply) => {
      const { validationToken } = request.query;
      if (validationToken !== undefined) {
        const answer = handshakeAnswer(validationToken);
        if (answer === null) throw invalid('validationToken', 'is empty or too long');
        return await reply.type('text/plain; charset=utf-8').send(answer);
      }
      // Answered when it is durable: what is not, Graph sends again.
      await writes.add(readNotifications(request.body));
      return await reply.code(202).type('text/plain; charset=utf-8').send('');
    });
  }
}

function gmailRoute(app: Api, context: ApiContext): void {
  const { db, events, config } = context;
  const keys = context.pushKeys ?? pushKeys();
  const writes = new JoinedWrites<string>(
    (addresses) => noteGmail(db, events, addresses),
    LIMITS.notificationsWaiting,
  );
  app.post(
    GMAIL_PATH,
    {
      ...options,
      schema: {
        tags: ['Notification'],
        summary: 'Notifications of Gmail, pushed by Google Pub/Sub',
        description:
          'Must carry a token that Google signed for the service account of the setting gmail.pushAccount. The same notification may come again.',
        response: { 204: Type.Null({ description: 'Noted, or about no mailbox of ours.' }) },
      },
    },
    async (request, reply) => {
      const { pushAccount, pushAudience } = config.gmail;
      const audience = pushAudience ?? audienceBelow(config.server.publicUrl);
      if (pushAccount === null || audience === null) {
        throw fail('not_found', 'Pushes of Gmail are not set up here.');
      }
      await verifyPush(request.headers.authorization, { audience, serviceAccount: pushAccount }, keys);
      await writes.add([readPush(request.body).address]);
      return await reply.code(204).send(null);
    },
  );
}

function audienceBelow(publicUrl: string | null): string | null {
  return publicUrl === null ? null : `${publicUrl.replace(/\/+$/, '')}${GMAIL_PATH}`;
}
