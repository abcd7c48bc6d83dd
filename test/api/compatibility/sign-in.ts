/** Rows of what clients call first (halo-api.md 1.3 to 1.5). `/auth/token` is in auth.test.ts. */
import { type Endpoint, ok, works } from './row.ts';

type Item = Record<string, unknown>;

export const signIn: Endpoint<null> = {
  title: 'Sign-in',
  about: `
- \`POST /auth/token\` takes \`grant_type\` \`client_credentials\` with \`client_id\`, \`client_secret\` and \`scope\` as a form, or the
  client as HTTP Basic. \`tenant\` is ignored, in the form and in the query. There are no refresh tokens.
- \`all\` and \`admin\` may do everything, \`read:tickets\` may read incoming mail, \`edit:tickets\` may change it, and
  \`penstock:ingest\`, which is ours, may hand it in.`,
  prepare: async () => null,
  calls: {
    'GET /AuthInfo': {
      row: works(async (api) => {
        const ask = async (host: string) =>
          ((await api.api.inject({ url: '/api/AuthInfo', headers: { host } })).json() as Item).auth_url;
        return [await ask('a.example'), await ask('b.example')];
      }, '`tenant_id` is null: there are no tenants.'),
    },
    'GET /Lookup': {
      row: works(
        async (api) => [undefined, (await ok(api.send('GET', '/api/Lookup'))).json()],
        'One entry for any list, because a known client takes an empty one for a failed connection.',
      ),
      query: {
        lookupid: works(async (api) => [
          (await ok(api.send('GET', '/api/Lookup'))).json(),
          (await ok(api.send('GET', '/api/Lookup?lookupid=11'))).json(),
        ]),
      },
    },
  },
  records: {},
};
