/** Rows of `/EmailStore` (halo-api.md section 8). Nothing is sent here: test/outbound shows that. */
import { type Fixture, newMailbox } from '../fixture.ts';
import {
  allNot,
  asking,
  type Endpoint,
  elsewhere,
  inAnswers,
  not,
  ok,
  type Row,
  type Rows,
  storing,
  works,
} from './row.ts';

type Item = Record<string, unknown>;
interface World {
  mailbox: number;
  other: number;
  user: number;
  ticket: number;
  template: number;
  store: number;
}

let serial = 0;

/** Queues a mail that is like no other, so that it is not taken for a repeated request. */
async function queue(api: Fixture, world: Pick<World, 'mailbox'>, item: Item): Promise<Item> {
  serial += 1;
  const whole = { mailbox_id: world.mailbox, emailto: `n${serial}@example.net`, emailbody: `No. ${serial}` };
  return (await ok(api.send('POST', '/api/EmailStore', [{ ...whole, ...item }]))).json();
}

async function read(api: Fixture, id: unknown): Promise<Item> {
  return (await ok(api.send('GET', `/api/EmailStore/${id}?includedetails=true`))).json();
}

/** The mail that leaves: its columns in the order of their being made. */
async function mailOf(api: Fixture, store: Item): Promise<Item> {
  return (await api.db
    .selectFrom('outgoing_email')
    .selectAll()
    .where('email_store_id', '=', Number(store.id))
    .executeTakeFirstOrThrow()) as unknown as Item;
}

const stored = storing<World>(
  async (api, world, item) => await read(api, (await queue(api, world, item)).id),
);
const KEPT = 'Given back; Penstock has no use for it.';
const kept = (value: unknown): Row<World> => stored(value, KEPT);

/** A field that shows in the mail that leaves. */
const changes = (column: string, value: (world: World) => unknown, more: Item = {}): Row<World> =>
  works(async (api, world, name) => {
    const plain = await mailOf(api, await queue(api, world, more));
    const changed = await mailOf(api, await queue(api, world, { ...more, [name]: value(world) }));
    return [plain[column], changed[column]];
  });

/** How many mails one item became. */
const many = (value: (world: World) => unknown): Row<World> =>
  works(async (api, world, name) => {
    const store = await queue(api, world, { emailto: null, [name]: value(world) });
    const mails = await api.db
      .selectFrom('outgoing_email')
      .select('recipients')
      .where('email_store_id', '=', Number(store.id))
      .execute();
    return [[], mails];
  });

const ELSEWHERE = "About Halo's own store of files.";
const file = (more: Item): Item => ({ filename: 'a.txt', data_base64: 'aGVsbG8=', ...more });

/** A field of an attachment: what is stored of it with it, and without. */
const ofFile = (value: unknown, seen: string, more: Item = {}): Row<World> =>
  works(async (api, world, name) => {
    const show = async (item: Item): Promise<unknown> => {
      const { attachments } = await read(api, (await queue(api, world, { attachments: [file(item)] })).id);
      return (attachments as Item[])[0]![seen];
    };
    return [await show(more), await show({ ...more, [name]: value })];
  });
/** A field of an attachment that answers have. */
const answered = (): Row<World> =>
  works(async (api, world, name) => {
    const { attachments } = await read(api, (await queue(api, world, { attachments: [file({})] })).id);
    return [undefined, (attachments as Item[])[0]![name]];
  }, 'Only in answers.');

const attachment: Rows<World> = {
  id: answered(),
  filename: ofFile('b.txt', 'filename'),
  content_type: ofFile('text/csv', 'content_type'),
  filesize: answered(),
  isimage: answered(),
  datecreated: not('Not given: a file is as old as its mail.'),
  data: works(async (api, world) => {
    const size = async (data: string): Promise<unknown> => {
      const attachments = [{ filename: 'a.txt', data }];
      const store = await read(api, (await queue(api, world, { attachments })).id);
      return (store.attachments as Item[])[0]!.filesize;
    };
    return [await size('aGVsbG8='), await size('d29ybGQh')];
  }),
  data_base64: ofFile('d29ybGQh', 'filesize'),
  ...allNot(
    ELSEWHERE,
    ...[
      'third_party_id',
      'link',
      'last_updated',
      'note',
      'type',
      'unique_id',
      'desc',
      'ticket_id',
      'action_id',
    ],
    ...[
      'user_id',
      'agent_id',
      'attachmentaction_id',
      '_canupdate',
      'guid',
      'image_upload_id',
      'image_upload_key',
    ],
    ...['file', '_enduserportalpdfprint', 'anon_outcomeid', 'has_scanned', '_warning', '_is_new_version'],
    ...['parent_name', 'version_count', '_alreadyuploaded', 'copy_from_id', 'showforusers', 'showonchild'],
    ...['showonrelated', 'download_url', 'third_party_token', 'already_posted', 'faultid', '_isimport'],
    ...['_importtype', 's3url', 'att_link', 'child_count', 'parent_id', 'linked_version_id'],
  ),
};

export const emailStore: Endpoint<World> = {
  title: 'EmailStore',
  about: `
- \`POST /EmailStore\` answers when the mail is stored; it is sent then. The same item again within ten minutes is a repeated request.
- Without \`mailbox_id\` the mailbox of the ticket sends, else the first that can. Without \`emailto\` the mail goes to \`user_id\`, else
  to the user of the ticket.
- With \`id\` a mail is changed as long as nothing of it was sent; else 409.
- [Sending](user/sending.md) tells the rest.`,
  async prepare(api) {
    const sending = {
      smtpserver: 'smtp.example.org',
      smtpaddress: 'rows@example.org',
      smtppassword: 'secret',
    };
    const mailbox = await newMailbox(api, sending);
    const other = await newMailbox(api, { ...sending, smtpaddress: 'other-rows@example.org' });
    const { id: user } = await api.db
      .insertInto('requester')
      .values({ name: 'Rose Row', address: 'rose@example.net' })
      .returning('id')
      .executeTakeFirstOrThrow();
    const { id: ticket } = await api.db
      .insertInto('ticket')
      .values({ subject: 'Rows', requester_id: user, mailbox_id: mailbox })
      .returning('id')
      .executeTakeFirstOrThrow();
    const layout = {
      template_name: 'Rows',
      subject: 'By template: {{subject}}',
      details: '{{body}} {{keymessage}}',
    };
    const template = (await ok(api.send('POST', '/api/formattedemail', layout))).json() as { id: number };
    const store = await queue(api, { mailbox }, { attachments: [file({})] });
    return { mailbox, other, user, ticket, template: template.id, store: Number(store.id) };
  },
  calls: {
    'GET /EmailStore': {
      row: works(async (api, world) => {
        const count = async () => ((await ok(api.send('GET', '/api/EmailStore'))).json() as Item[]).length;
        const before = await count();
        await queue(api, world, {});
        return [before, await count()];
      }),
    },
    'POST /EmailStore': { row: works(async (api, world) => [undefined, (await queue(api, world, {})).id]) },
    'GET /EmailStore/{id}': {
      row: works(async (api, world) => [undefined, (await read(api, world.store)).id]),
      query: { includedetails: asking<World>(({ store }) => `/api/EmailStore/${store}`)('true') },
    },
    'DELETE /EmailStore/{id}': {
      row: works(async (api, world) => {
        const { id } = await queue(api, world, {});
        await ok(api.send('DELETE', `/api/EmailStore/${id}`));
        return [200, (await api.send('GET', `/api/EmailStore/${id}`)).statusCode];
      }),
    },
  },
  records: {
    EmailStore: {
      id: works(async (api, world) => {
        const before = await queue(api, world, { emailsubject: 'Before' });
        const body = [{ id: before.id, emailsubject: 'After' }];
        const after = (await ok(api.send('POST', '/api/EmailStore', body))).json() as Item;
        return [{ ...before, emailsubject: 'Before' }.emailsubject, after.emailsubject];
      }, 'With an id a mail is changed as long as nothing of it was sent.'),
      emailsubject: changes('subject', () => 'Changed'),
      emailbody: changes('text', () => 'Changed'),
      emailbody_html: changes('html', () => '<p>Changed</p>'),
      emailto: changes('recipients', () => 'to@example.net'),
      emailcc: changes('recipients', () => 'cc@example.net', { emailto: 'same@example.net' }),
      emailbcc: changes('recipients', () => 'bcc@example.net', { emailto: 'same@example.net' }),
      dateemailed: stored(
        '2020-01-02T03:04:05.000Z',
        'Given on input: another program sent it, it is only stored.',
      ),
      faultid: changes('ticket_id', ({ ticket }) => ticket),
      templateid: changes('subject', ({ template }) => template, { emailsubject: 'x' }),
      keymessage: works(async (api, world) => {
        const by = { templateid: world.template, emailbody: 'same' };
        const plain = await mailOf(api, await queue(api, world, by));
        const keyed = await mailOf(api, await queue(api, world, { ...by, keymessage: 'The key' }));
        return [plain.text, keyed.text];
      }, 'In a template, as {{keymessage}}.'),
      replyaddress: changes('recipients', () => 'reply@example.net', { emailto: 'same@example.net' }),
      reply_direct: changes('recipients', () => false, {
        emailto: 'same@example.net',
        replyaddress: 'reply@example.net',
      }),
      addactionaftersending: stored(true),
      mailbox_id: changes('mailbox_id', ({ other }) => other),
      sales_mailbox_override_id: changes('mailbox_id', ({ other }) => other),
      user_id: many(({ user }) => user),
      bulk_user_id: many(({ user }) => user),
      bulk_user_id_array: many(({ user }) => [user]),
      bulk_ticket_id_array: many(({ ticket }) => [ticket]),
      is_stand_alone_email: works(async (api, world, name) => {
        const plain = await mailOf(api, await queue(api, world, { faultid: world.ticket }));
        const alone = await mailOf(api, await queue(api, world, { faultid: world.ticket, [name]: true }));
        return [plain.ticket_id === null, alone.ticket_id === null];
      }),
      attachments: works(async (api, world) => {
        const plain = await read(api, (await queue(api, world, {})).id);
        return [plain.attachments, (await read(api, world.store)).attachments];
      }),
      datecreated: works(
        async (api, world) => [undefined, (await read(api, world.store)).datecreated],
        'Only in answers.',
      ),
      _warning: works(async (api, world) => {
        const item = [{ mailbox_id: world.mailbox, emailto: 'twice@example.net', emailbody: 'Twice' }];
        const first = (await ok(api.send('POST', '/api/EmailStore', item))).json() as Item;
        const second = (await ok(api.send('POST', '/api/EmailStore', item))).json() as Item;
        return [first._warning, second._warning];
      }, 'Only in answers.'),
      ref: stored(77, 'Given back; as faultid when that is absent.', {
        faultid: null,
        is_stand_alone_email: true,
      }),
      emailattachments: kept('a.txt'),
      messagegroup_id: kept(7),
      org_id: kept(7),
      client_id: kept(7),
      site_id: kept(7),
      username: stored('Rose', 'The name of the recipient in a template.'),
      quotation_id: kept(7),
      salesorder_id: kept(7),
      purchaseorder_id: kept(7),
      invoice_id: kept(7),
      contract_id: kept(7),
      _isbatch: stored(true, 'Marks the mail as one of many: machines do not answer it.'),
      kb_id: kept(7),
      report_id: kept(7),
      from_dl_id: kept(7),
      add_to_feed: kept(true),
      _emailsent: inAnswers(
        'True only for `test_credentials`; a mail that is stored is sent after the answer.',
      ),
      test_credentials: elsewhere('email-store.test.ts', 'A mail is sent at once, and nothing is stored.'),
    },
    Attachment: attachment,
  },
};
