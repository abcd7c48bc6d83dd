/** Rows of `/Mailbox` (halo-api.md sections 3 and 4). What steers decisions is shown by the outcome of a message. */
import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import {
  AZURE_AUTHENTICATION,
  AZURE_AUTHORITY,
  MAILBOX_TYPE,
  TLS_TYPE,
  UNMATCHED_USERS,
} from '../../../src/api/halo/enums.ts';
import { findMailbox } from '../../../src/store/mailboxes.ts';
import { type Fixture, mailboxItem } from '../fixture.ts';
import { type Case, judge } from './judge.ts';
import {
  allInAnswers,
  allNot,
  asking,
  type Endpoint,
  elsewhere,
  inAnswers,
  not,
  ok,
  type Probe,
  type Row,
  type Rows,
  storing,
  works,
} from './row.ts';

type Item = Record<string, unknown>;
interface World {
  mailboxId: number;
}

const unique = (): string => `${randomUUID().slice(0, 8)}@example.org`;

async function save(api: Fixture, item: Item): Promise<Item> {
  const whole = item.id ? item : mailboxItem({ username: unique(), ...item });
  return (await ok(api.send('POST', '/api/Mailbox', [whole]))).json();
}

async function read(api: Fixture, id: unknown, query = 'includedetails=true'): Promise<Item> {
  return (await ok(api.send('GET', `/api/Mailbox/${id}?${query}`))).json();
}

const stored = storing<World>(async (api, _world, item) => await read(api, (await save(api, item)).id));

/** Stored, given back, and part of what the poller works by. */
function steers(value: unknown, note?: string, more: Item = {}): Row<World> {
  return works(async (api, _world, name) => {
    const settings = async (item: Item): Promise<unknown> => {
      const { id } = await save(api, { username: 'same@example.org', name: randomUUID(), ...more, ...item });
      const { settings } = (await findMailbox(api.db, id as number))!;
      return settings;
    };
    const { id } = await save(api, { ...more, [name]: value });
    expect((await read(api, id))[name]).toEqual(value);
    return [await settings({}), await settings({ [name]: value })];
  }, note);
}

const MESSAGE = [
  'From: Ann Lee <ann@example.org>',
  'To: Help <help@site.example>',
  'Cc: support@example.org',
  'Subject: New',
  '',
  'Hello.',
  '',
];
const site = (id: number, ...emailDomains: string[]) => [{ id, emailDomains, toDomains: [] }];

/** The outcome of a message that comes to a mailbox with this field, and without it. */
function decides(value: unknown, given: Partial<Case> = {}, more: Item = {}, note?: string): Row<World> {
  return works(async (api, _world, name) => {
    expect((await read(api, (await save(api, { ...more, [name]: value })).id))[name]).toEqual(value);
    const outcome = async (mailbox: Item) => await judge({ message: MESSAGE, ...given, mailbox });
    return [await outcome(more), await outcome({ ...more, [name]: value })];
  }, note);
}

/** A secret: its name appears among those that are stored, its value nowhere. */
function secret(more: Item = {}): Row<World> {
  return works(async (api, _world, name) => {
    const without = await save(api, { password: null, name: randomUUID(), ...more });
    const saved = await save(api, { password: null, name: randomUUID(), ...more, [name]: 'hidden-value' });
    const whole = await read(api, saved.id);
    expect(whole[name]).toBeNull();
    expect(JSON.stringify(whole)).not.toContain('hidden-value');
    return [(without.penstock as Item).secrets, (whole.penstock as Item).secrets];
  }, 'Write-only.');
}

/** A state of the poller, as `mailbox_state` has it. */
function state(column: string, value: unknown, note: string): Row<World> {
  return works(async (api, _world, name) => {
    const id = (await save(api, {})).id as number;
    const before = (await read(api, id))[name];
    const row = { mailbox_id: id, [column]: value };
    await api.db
      .insertInto('mailbox_state')
      .values(row)
      .onConflict((conflict) => conflict.column('mailbox_id').doUpdateSet(row))
      .execute();
    return [before, (await read(api, id))[name]];
  }, note);
}

/** A command that needs more than is given: it is refused, where the same save without it is not. */
const command: Probe<World> = async (api, _world, name) => {
  const status = async (more: Item) =>
    (await api.send('POST', '/api/Mailbox', [mailboxItem(azure(more))])).statusCode;
  return [await status({}), await status({ [name]: true })];
};

const AZURE = {
  type: 3,
  server: '',
  username: '',
  azureemail: 'box@example.org',
  azureappid: 'app',
  azuretenant: 'tenant',
  azure_authentication_type: 1,
};
const azure = (more: Item = {}): Item => ({ ...AZURE, azureemail: unique(), ...more });
const GOOGLE = { type: 4, server: '', username: '', penstock: { oauth: { client_id: 'app' } } };

const SMTP = 'Kept, for the mail that goes out.';
const KEPT = 'Given back; Penstock has no use for it.';

/** Restrictions: kept, and what lists are chosen by. */
const list =
  (query: string): Probe<World> =>
  async (api, _world, name) => {
    const ask = async (text: string) =>
      ((await ok(api.send('GET', `/api/Mailbox?${query}${text}`))).json() as Item[]).map(({ id }) => id);
    return [await ask(''), await ask(`&${name}=77`)];
  };

const kept = (values: Item): Rows<World> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, stored(value, KEPT)]));

export const mailbox: Endpoint<World> = {
  title: 'Mailbox',
  about: `
- \`usetls\` false means no TLS at all. When it is left out on create, TLS is used.
- Processed mail is moved to \`deleteditemsfolder\` by default, as in Halo; blank means whatever the server calls its deleted
  items. \`harddeletereadmessages\` deletes it; \`imapleavemailininbox\` or \`penstock.after\` keeps it. POP3 cannot move: there
  it stays, with a \`_warning\`.
- Secrets (\`password\`, \`smtppassword\`, \`new_...\`) go in and never come out. \`null\` and an empty text keep what is stored;
  \`penstock.clear_secrets\` forgets them by the names in \`penstock.secrets\`.
- A save that carries an older \`changeseq\` than stored, and would change something, is refused with 409.
- A mailbox whose mail still waits must be disabled before it is deleted.
- Graph: \`shared_mailbox_emailaddress\`, else \`azureemail\`, else \`username\` is the mailbox that is read. \`azureappid\`,
  \`azuretenant\` and \`new_client_secret\` are the application; \`graph_host\` is needed outside Microsoft's clouds only.
- Gmail: \`google_email\`, else \`username\`. Halo has no field for the application: it is \`penstock.oauth.client_id\`, of a service
  account its address, with \`penstock.private_key\`. Processed mail gets the label \`labeltype\` unless \`deleteditemsfolder\`
  names one.
- \`penstock.oauth\` has all of it for every type, IMAP and POP3 too; what is left out of it stays.
- What Halo has no field for is under \`penstock\`: folders, poll interval, first sync, what is done afterwards, size limit,
  own addresses, TLS details, and, to read, health, phase and progress.
- A user that is made for a new sender gets the site that the addresses lead to, else \`newuser_default_site\`. The
  \`site_..._matching\` steps are tried in this order: \`email_domains\` of a site holds \`berlin.@example.org\` (addresses that
  begin so), \`example.org\`, \`*.example.org\`; \`to_domains\` is compared with To and Cc. The longest entry wins; two sites that
  fit equally well say nothing.`,
  async prepare(api) {
    const { id } = await save(api, { signature_overrides: [{ id: 1, signature: 's' }] });
    await save(api, { restriction_type: 1, restrictto_org_id: 5 });
    await save(api, { restriction_type: 2, restrictto_department_id: 5 });
    await save(api, { restriction_type: 3, restrictto_team_id: 5 });
    await save(api, { showinfromaddress: false });
    await save(api, { enabled: false });
    return { mailboxId: id as number };
  },
  calls: {
    'GET /Mailbox': {
      row: works(async (api) => {
        const before = (await ok(api.send('GET', '/api/Mailbox'))).json() as Item[];
        await save(api, {});
        return [before.length, ((await ok(api.send('GET', '/api/Mailbox'))).json() as Item[]).length];
      }),
      query: {
        department_id: works(list(''), 'Those of the department, and unrestricted ones.'),
        organisation_id: works(list(''), 'Likewise.'),
        team_id: works(list(''), 'Likewise.'),
        from_addresses: asking<World>(() => '/api/Mailbox')('true', 'Those with `showinfromaddress`.'),
        ignore_default: works(async (api, { mailboxId }) => {
          await ok(api.send('POST', '/api/Control', { default_mailbox_id: mailboxId }));
          const ask = async (query: string) => (await ok(api.send('GET', `/api/Mailbox${query}`))).json();
          const answers = [await ask(''), await ask('?ignore_default=true')] as const;
          await ok(api.send('POST', '/api/Control', { default_mailbox_id: null }));
          return answers;
        }, 'Leaves out the mailbox that is `default_mailbox_id` of `/Control`.'),
        showall: asking<World>(() => '/api/Mailbox')('true', 'Disabled ones too, and without restrictions.'),
      },
    },
    'POST /Mailbox': { row: works(async (api) => [undefined, (await save(api, {})).id]) },
    'GET /Mailbox/{id}': {
      row: works(async (api, { mailboxId }) => [undefined, (await read(api, mailboxId)).name]),
      query: {
        includedetails: asking<World>(({ mailboxId }) => `/api/Mailbox/${mailboxId}`)(
          'true',
          'With `signature_overrides` and `mappings_user`.',
        ),
        includeglobalsmtp: not('There is no global SMTP entry: each mailbox sends by its own settings.'),
      },
    },
    'DELETE /Mailbox/{id}': {
      row: works(async (api) => {
        const { id } = await save(api, {});
        await ok(api.send('DELETE', `/api/Mailbox/${id}`));
        return [200, (await api.send('GET', `/api/Mailbox/${id}`)).statusCode];
      }),
    },
    'GET /Mailbox/{id}/OutlookContacts': {
      row: works(async (api, { mailboxId }) => {
        const { id } = await save(api, azure());
        const refused = await api.send('GET', `/api/Mailbox/${mailboxId}/OutlookContacts`);
        return [refused.statusCode, (await ok(api.send('GET', `/api/Mailbox/${id}/OutlookContacts`))).json()];
      }, 'Asked of Graph each time, 5,000 contacts at most; the application needs `Contacts.Read`.'),
    },
  },
  records: {
    Mailbox: {
      id: works(async (api) => {
        const { id } = await save(api, { name: 'Before' });
        await save(api, { id, name: 'After' });
        return ['Before', (await read(api, id)).name];
      }),
      name: stored('Another name'),
      server: steers('other.example.org'),
      username: steers('other@example.org'),
      smtpaddress: steers('from@example.org', 'Also one of the own addresses, which are never a requester.'),
      enabled: stored(false),
      type: steers(0, `${MAILBOX_TYPE.allowed}. 2 is refused with 400 \`unsupported\`.`),
      azureemail: steers('other@example.org', undefined, azure()),
      display_address: works(async (api) => [
        (await save(api, { username: 'user@example.org', name: 'shown' })).display_address,
        (await save(api, { username: 'user@example.org', name: 'shown', smtpaddress: 'x@example.org' }))
          .display_address,
      ]),
      google_email: steers('other@example.org', undefined, { ...GOOGLE, google_email: 'g@example.org' }),
      inbound_method: steers(
        0,
        'Graph and Gmail: 1, the default there, asks the provider to tell of new mail. Polled in any case.',
        azure(),
      ),
      halointegrator_lastsync: state(
        'last_listed_at',
        '2026-01-01T00:00:00Z',
        'End of the last complete listing.',
      ),
      password: secret(),
      usetls: steers(false),
      restriction_type: stored(1, '0 none, 1 organisation, 2 department, 3 team: what lists are chosen by.'),
      restrictto_org_id: stored(9),
      restrictto_org_name: stored('Name', KEPT),
      restrictto_department_id: stored(9),
      restrictto_department_name: stored('Name', KEPT),
      restrictto_team_id: stored(9),
      restrictto_team_name: stored('Name', KEPT),
      ...kept({ exchangemailboxdisplayname: 'Name', exchangemailboxfqdn: 'host.example.org' }),
      harddeletereadmessages: steers(true),
      tickettype_id: decides(8),
      popport: steers(1993),
      smtpserver: stored('smtp.example.org', SMTP),
      smtpusername: stored('smtp', SMTP),
      smtppassword: secret(),
      smtpport: stored(587, SMTP),
      smtpusetls: stored(true, SMTP),
      usesmtpforazuremailbox: stored(true, SMTP),
      messagegroup_id: stored(2, SMTP),
      smtpdisplayname: stored('Help desk', SMTP),
      ...kept({ syncaddressbook: true, defaultuser: 'Ann', defaultusersite: 'Berlin' }),
      dontsendack: decides(true, {}, { newuser_send_ack: true }),
      defaultuserid: decides(5, {}, { unmatched_users: 1 }),
      changeseq: works(async (api) => {
        const first = await save(api, { name: 'One' });
        return [first.changeseq, (await save(api, { id: first.id, name: 'Two' })).changeseq];
      }),
      accesstoken: secret(),
      refreshtoken: secret(),
      ...allInAnswers<World>(
        'When tokens end, as far as that is known.',
        'accesstokenexpirydate',
        'refreshtokenexpirydate',
        'google_token_expiry',
      ),
      ...kept({ tokendestructiondate: '2026-01-01T00:00:00.000Z' }),
      deleteditemsfolder: steers('Done'),
      tlstype: steers(3, `With \`usetls\`: ${TLS_TYPE.allowed}. 4 is taken as 3.`),
      ...kept({ ewsusername: 'name' }),
      azureappid: steers('other-app', undefined, azure()),
      azuretenant: steers('other-tenant', undefined, azure()),
      new_client_secret: secret(azure()),
      new_azure_access_token: secret(azure()),
      new_azure_refresh_token: secret(azure()),
      oauth_code: elsewhere(
        'sign-in.test.ts',
        'Exchanged by `_exchangecodefortoken`; alone it does nothing.',
      ),
      ...kept({ azureredirecturi: 'https://example.org/back' }),
      _exchangecodefortoken: works(
        command,
        'Exchanges `oauth_code`, got for `azureredirecturi`, during the save; without a code 400.',
      ),
      _testonly: works(async (api) => {
        const count = async () =>
          ((await ok(api.send('GET', '/api/Mailbox?showall=true'))).json() as Item[]).length;
        const before = await count();
        const tested = await save(api, { _testonly: true });
        expect(await count()).toBe(before);
        return [null, tested._warning];
      }, 'Tries the connection and saves nothing: 200 with the steps in `_warning`, or 400 with the step that failed.'),
      signature_overrides: stored(
        [{ id: 1, mailbox_id: 1, agent_id: 2, agent_name: 'Ann', signature: 's' }],
        KEPT,
      ),
      _isglobalsmtp: inAnswers('False: there is no global SMTP entry.'),
      new_google_access_token: secret({ ...GOOGLE, google_email: 'j@example.org' }),
      new_google_refresh_token: secret({ ...GOOGLE, google_email: 'k@example.org' }),
      ...kept({ google_redirect: 'https://example.org/back' }),
      _getgoogletoken: works(
        command,
        'Exchanges `google_code`, got for `google_redirect`, during the save; without a code 400.',
      ),
      google_code: elsewhere('sign-in.test.ts', 'Exchanged by `_getgoogletoken`; alone it does nothing.'),
      azure_authorized: works(
        async (api) => [
          (await save(api, azure())).azure_authorized,
          (await save(api, azure({ new_client_secret: 's' }))).azure_authorized,
        ],
        'What tokens are got with is stored.',
      ),
      google_authorized: works(
        async (api) => [
          (await save(api, { ...GOOGLE, google_email: unique() })).google_authorized,
          (await save(api, { ...GOOGLE, google_email: unique(), new_google_refresh_token: 's' }))
            .google_authorized,
        ],
        'What tokens are got with is stored.',
      ),
      _warning: works(async (api) => [
        (await save(api, { imapleavemailininbox: true }))._warning,
        (await save(api, { imapleavemailininbox: true, usetls: false }))._warning,
      ]),
      shared_mailbox_emailaddress: steers('shared@example.org', undefined, azure()),
      google_type: steers(2, '0 and 1 a person signed in, 2 service account.', {
        ...GOOGLE,
        google_email: 'h@example.org',
      }),
      graph_host: steers('graph.example.org', undefined, azure()),
      azuredatecutoff: steers('2026-01-01T00:00:00.000Z', undefined, azure()),
      azureleavemailininbox: steers(true, undefined, azure()),
      imapdatecutoff: steers('2026-01-01T00:00:00.000Z', 'POP3 servers do not tell when mail arrived.'),
      imapleavemailininbox: steers(true),
      ...allInAnswers<World>(
        'The subscriptions that Penstock keeps with Graph.',
        'azure_subscription_id',
        'azure_subscription_expiry',
        'azure_subscribed',
      ),
      new_azure_subscription_secret: secret(azure()),
      _webhookaction: works(async (api) => {
        const push = async (more: Item) => (await save(api, azure(more))).inbound_method;
        return [await push({}), await push({ _webhookaction: 3 })];
      }, 'Graph and Gmail: 1 subscribe, 2 renew, 3 unsubscribe.'),
      ignore_cc_emails: decides(true),
      accept_auto_replies: decides(false, { message: ['Auto-Submitted: auto-replied', ...MESSAGE] }),
      allow_email_hashtags: decides(false, {
        message: [
          'From: Ann <ann@example.org>',
          'To: support@example.org',
          'Subject: x',
          '',
          '#priority high',
          '',
        ],
        requesters: [
          {
            id: 1,
            name: 'Ann',
            address: 'ann@example.org',
            alternativeAddresses: [],
            login: '',
            isAgent: true,
          },
        ],
      }),
      site_prefix_matching: decides(false, { sites: site(1, 'an@example.org') }),
      site_wildcard_matching: decides(false, { sites: site(1, '*.org') }),
      site_domain_matching: decides(false, { sites: site(1, 'example.org') }),
      site_tocc_matching: decides(false, {
        sites: [{ id: 1, emailDomains: [], toDomains: ['site.example'] }],
      }),
      unmatched_users: decides(2, {}, {}, UNMATCHED_USERS.allowed),
      newuser_default_site: decides(3),
      ...kept({ newuser_default_site_name: 'Berlin' }),
      newuser_send_welcome_email: decides(true),
      newuser_send_ack: decides(true),
      halointegrator_lasterror: state(
        'last_error',
        'no route',
        'Text of the last failure; null after a success.',
      ),
      azure_authority: steers(2, AZURE_AUTHORITY.allowed, azure()),
      safe_attachment_policy: stored(1, 'Given back; Penstock reads the message as the server has it.'),
      safe_attachment_placeholder: stored('wait.txt', 'Given back, likewise.'),
      creationdate: works(async (api) => [
        (await save(api, {})).creationdate,
        (await save(api, {})).creationdate,
      ]),
      dontimportbeforecreation: steers(true),
      azure_authentication_type: steers(2, `${AZURE_AUTHENTICATION.allowed}; 3 is refused.`, azure()),
      ...allNot<World>(
        'Refused: what a sign-in needs is tried when it is used, and `_testonly` tries it at once.',
        '_confirmmanagedidentitysetup',
        '_confirmclientcredentialssetup',
        '_confirmropcssetup',
      ),
      showinfromaddress: stored(false),
      guid: works(async (api) => [(await save(api, {})).guid, (await save(api, {})).guid]),
      stopnewticketsviaemail: decides(true),
      ...kept({ stopnewticketsviaemailreplywithtemplate: 4 }),
      use_emailaddress_for_new_users: decides(true),
      ...kept({
        halointegrator_outlook: true,
        halointegrator_outlook_lastsync: '2026-01-01T00:00:00.000Z',
        halointegrator_outlook_lasterror: 'none',
      }),
      mappings_user: stored([{ id: 1, fieldid: 2, fieldname: 'f', value: 'v' }], KEPT),
      dontprocesssentbysamemailbox: decides(true, {
        message: ['From: support@example.org', 'To: support@example.org', '', 'x', ''],
      }),
      labeltype: steers('Done', 'Gmail: label of processed mail, when `deleteditemsfolder` is blank.', {
        ...GOOGLE,
        google_email: 'i@example.org',
      }),
      incomingfoldername: steers('Tickets'),
      ...kept({ senderrestrictiontype: 1 }),
      errorcounter: state('consecutive_errors', 3, 'Failures in a row.'),
    },
  },
};
