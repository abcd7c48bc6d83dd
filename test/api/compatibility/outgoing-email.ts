/** Rows of `/Outgoingemail` (halo-api.md section 7). */
import { sql } from 'kysely';
import { type Fixture, newMailbox } from '../fixture.ts';
import { asking, type Endpoint, inAnswers, ok, type Row, works } from './row.ts';

type Item = Record<string, unknown>;
interface World {
  mailbox: number;
  failed: number;
}

let serial = 0;

/** Queues a mail, and returns it as the list shows it. */
async function queued(api: Fixture, { mailbox }: Pick<World, 'mailbox'>, more: Item = {}): Promise<Item> {
  serial += 1;
  const item = {
    mailbox_id: mailbox,
    emailto: `out${serial}@example.net`,
    emailbody: `No. ${serial}`,
    ...more,
  };
  await ok(api.send('POST', '/api/EmailStore', [item]));
  return (await list(api))[0]!;
}

async function list(api: Fixture, query = ''): Promise<Item[]> {
  return (await ok(api.send('GET', `/api/Outgoingemail${query}`))).json();
}

async function one(api: Fixture, id: unknown): Promise<Item> {
  return (await list(api)).find((mail) => mail.id === id)!;
}

async function fail(api: Fixture, id: unknown): Promise<void> {
  await sql`update outgoing_email set state = 'failed', error_code = 'send_refused', error_message = '550 No such user'
    where id = ${id}`.execute(api.db);
}

const shown = (more: Item): Row<World> =>
  works(async (api, world, name) => {
    const plain = await queued(api, world);
    return [plain[name], (await queued(api, world, more))[name]];
  }, 'Only in answers.');
const answered = (): Row<World> =>
  works(
    async (api, { failed }, name) => [undefined, (await one(api, failed))[name] ?? undefined],
    'Only in answers.',
  );
const query = asking<World>(() => '/api/Outgoingemail');

export const outgoingEmail: Endpoint<World> = {
  title: 'Outgoingemail',
  about: `
- \`type\`: 2 acknowledgement, 3 other automatic mail, 4 stored e-mail. \`likely_cause\` is made from the error.
- \`penstock.state\` \`in_doubt\` means that the mail may have been sent: a person decides, and \`penstock.resolve\` \`sent\` says that it was.`,
  async prepare(api) {
    const sending = {
      smtpserver: 'smtp.example.org',
      smtpaddress: 'out-rows@example.org',
      smtppassword: 'secret',
    };
    const mailbox = await newMailbox(api, sending);
    const mail = await queued(api, { mailbox });
    await fail(api, mail.id);
    return { mailbox, failed: Number(mail.id) };
  },
  calls: {
    'GET /Outgoingemail': {
      row: works(async (api, world) => {
        const [before] = await list(api);
        await queued(api, world);
        return [before!.id, (await list(api))[0]!.id];
      }),
      query: {
        errorsonly: query('true'),
        state: query('failed', 'Ours.'),
        mbid: query('999999', 'Ours.'),
        before: query('1', 'Ours.'),
        count: query('1', 'Ours.'),
      },
    },
    'POST /Outgoingemail': {
      row: works(async (api, world) => {
        const { id } = await queued(api, world);
        await fail(api, id);
        const before = (await one(api, id)).penstock as Item;
        await ok(api.send('POST', '/api/Outgoingemail', [{ id, error: '' }]));
        return [before.state, ((await one(api, id)).penstock as Item).state];
      }, 'Sends again.'),
    },
    'DELETE /Outgoingemail/{id}': {
      row: works(async (api, world) => {
        const { id } = await queued(api, world);
        await ok(api.send('DELETE', `/api/Outgoingemail/${id}`));
        return [id, (await one(api, id))?.id];
      }),
    },
  },
  records: {
    Outgoingemail: {
      id: answered(),
      memo: shown({ emailbody: 'Another text' }),
      html: shown({ emailbody_html: '<p>HTML</p>' }),
      from: answered(),
      to: shown({ emailto: 'another@example.net' }),
      cc: shown({ emailcc: 'another@example.net' }),
      subject: shown({ emailsubject: 'Another subject' }),
      likely_cause: answered(),
      error: answered(),
      type: answered(),
      idone: answered(),
      actiondate: answered(),
      changeseq: works(async (api, world) => {
        const { id } = await queued(api, world);
        await fail(api, id);
        const post = async (item: Item) => (await api.send('POST', '/api/Outgoingemail', [item])).statusCode;
        return [await post({ id, error: '', changeseq: 999 }), await post({ id, error: '' })];
      }, 'A change that carries another one than stored is refused with 409.'),
      delete: works(async (api, world) => {
        const { id } = await queued(api, world);
        await ok(api.send('POST', '/api/Outgoingemail', [{ id, delete: true }]));
        return [id, (await one(api, id))?.id];
      }),
      datesent: inAnswers('Null until the mail was sent.'),
      idtwo: inAnswers('The message that an acknowledgement answers.'),
      _warning: inAnswers('When there is something to say.'),
    },
  },
};
