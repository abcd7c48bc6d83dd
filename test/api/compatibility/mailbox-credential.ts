/** Rows of `/MailboxCredential` (halo-api.md 3.6). Its field names are not public. */
import { type Fixture, newMailbox } from '../fixture.ts';
import {
  allInAnswers,
  allNot,
  asking,
  type Endpoint,
  elsewhere,
  ok,
  type Row,
  storing,
  works,
} from './row.ts';

type Item = Record<string, unknown>;

async function save(api: Fixture, item: Item): Promise<Item> {
  const whole = item.id ? item : { mailbox_id: await newMailbox(api), ...item };
  return (await ok(api.send('POST', '/api/MailboxCredential', [whole]))).json();
}

async function read(api: Fixture, id: unknown): Promise<Item> {
  return (await ok(api.send('GET', `/api/MailboxCredential/${id}`))).json();
}

const stored = storing<null>(async (api, _world, item) => await read(api, (await save(api, item)).id));
const KEPT = 'Given back; Penstock has no use for it.';

/** A secret: the credential logs in with it, and it is not shown. */
const secret: Row<null> = works(async (api, _world, name) => {
  const plain = await read(api, (await save(api, {})).id);
  const saved = await read(api, (await save(api, { [name]: 'hidden-value' })).id);
  return [(plain.penstock as Item).secrets, (saved.penstock as Item).secrets];
}, 'Write-only.');

/** How an application signs in: a credential of a Graph mailbox. */
function onGraph(value: unknown, note?: string, more: Item = {}): Row<null> {
  return works(async (api, _world, name) => {
    const application = {
      azure_authentication_type: 1,
      client_id: 'app',
      tenant: 'example.org',
      new_client_secret: 'hidden-value',
      ...more,
    };
    const post = async (item: Item) => {
      const mailbox_id = await newMailbox(api, {
        type: 3,
        azureappid: 'app',
        azuretenant: 'example.org',
        azure_authentication_type: 1,
        new_client_secret: 'hidden-value',
      });
      const { id } = await save(api, { mailbox_id, ...application, ...item });
      const shown = await read(api, id);
      return name.startsWith('new_') ? (shown.penstock as Item).secrets : shown[name];
    };
    return [await post({}), await post({ [name]: value })];
  }, note);
}

export const mailboxCredential: Endpoint<null> = {
  title: 'MailboxCredential',
  about: `
- Each mailbox has one credential from the beginning: its login fields, and they are those of its first credential, in both
  directions. The first credential that works is used; \`penstock.sequence\` orders them.
- What a new one leaves out is as with the first of the mailbox, except secrets.
- \`penstock.state\` says which is in use, \`penstock.state_reason\` and \`penstock.hint\` why one is not, and what to do.
- The last credential of a mailbox cannot be deleted (409).`,
  prepare: async () => null,
  calls: {
    'GET /MailboxCredential': {
      row: works(async (api) => {
        const count = async () =>
          ((await ok(api.send('GET', '/api/MailboxCredential'))).json() as Item[]).length;
        const before = await count();
        await save(api, {});
        return [before, await count()];
      }),
      query: { mailbox_id: asking<null>(() => '/api/MailboxCredential')('999999', 'Ours.') },
    },
    'POST /MailboxCredential': { row: works(async (api) => [undefined, (await save(api, {})).id]) },
    'GET /MailboxCredential/{id}': {
      row: works(async (api) => [undefined, (await read(api, (await save(api, {})).id)).id]),
    },
    'DELETE /MailboxCredential/{id}': {
      row: works(async (api) => {
        const { id } = await save(api, {});
        await ok(api.send('DELETE', `/api/MailboxCredential/${id}`));
        return [200, (await api.send('GET', `/api/MailboxCredential/${id}`)).statusCode];
      }),
    },
  },
  records: {
    MailboxCredential: {
      id: works(async (api) => [(await save(api, {})).id, (await save(api, {})).id]),
      guid: works(async (api) => [(await save(api, {})).guid, (await save(api, {})).guid]),
      mailbox_id: works(async (api) => [(await save(api, {})).mailbox_id, (await save(api, {})).mailbox_id]),
      ...allInAnswers<null>('0: there is one server. Another number is refused.', 'instance_id'),
      ...allInAnswers<null>(
        'That of the mailbox. Another value is refused: two credentials for two accounts would mix up their mail.',
        'server',
        'emailaddress',
        'username',
        'usetls',
        'port',
      ),
      password: secret,
      new_password: secret,
      new_access_token: secret,
      new_client_secret: elsewhere('mailbox-credential.test.ts', 'Write-only.'),
      new_refresh_token: onGraph('hidden-value', 'Write-only.', { azure_authentication_type: 0 }),
      ...allNot<null>(
        'Stored encrypted and not used: mail is sent, and notifications are asked for, with what the mailbox itself has.',
        'smtppassword',
        'new_subscription_secret',
      ),
      new_method: stored(true, KEPT),
      overrideusesmtp: stored(true, KEPT),
      smtpserver: stored('smtp.example.org', KEPT),
      smtpaddress: stored('a@example.org', KEPT),
      smtpdisplayname: stored('Name', KEPT),
      smtpusername: stored('name', KEPT),
      smtpusetls: stored(true, KEPT),
      smtpport: stored(587, KEPT),
      shared_mailbox_emailaddress: stored('a@example.org', KEPT),
      redirect_uri: stored('https://example.org/', KEPT),
      certificate_id: stored(3, KEPT),
      federated_credential_agent_id: stored('agent', KEPT),
      azure_authentication_type: onGraph(2, 'As with a mailbox.'),
      azure_authority: onGraph(2, 'As with a mailbox.'),
      tenant: onGraph('other.example'),
      client_id: onGraph('another'),
      credential_type: elsewhere(
        'mailbox-credential.test.ts',
        'What the secret is: 0 secret, 1 certificate, 2 federated.',
      ),
      ...allInAnswers<null>(
        'How the credential and the subscriptions of its mailbox stand.',
        'token_expiry',
        'authorized',
        'inbound_method',
        'subscription_id',
        'subscription_expiry',
        'subscribed',
        '_warning',
      ),
    },
  },
};
