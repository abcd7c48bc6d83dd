/** Rows of `/incomingemail` (halo-api.md section 6). */
import { randomUUID } from 'node:crypto';
import { EMAIL_SOURCE, EMAIL_STATUS } from '../../../src/api/halo/enums.ts';
import { LIMITS } from '../../../src/limits.ts';
import { type Fixture, newMailbox, rawMessage } from '../fixture.ts';
import { asking, type Endpoint, inAnswers, not, ok, type Row, type Rows, works } from './row.ts';

type Item = Record<string, unknown>;
interface World {
  mailboxId: number;
  emailId: number;
}

async function save(api: Fixture, { mailboxId }: Pick<World, 'mailboxId'>, item: Item): Promise<Item> {
  const whole = item.id ? item : { mbid: mailboxId, mailid: randomUUID(), ...item };
  return (await ok(api.send('POST', '/api/incomingemail', [whole]))).json();
}

const hand = (api: Fixture, world: Pick<World, 'mailboxId'>, item: Item = {}): Promise<Item> =>
  save(api, world, { data: rawMessage(randomUUID()), ...item });

async function read(api: Fixture, id: unknown, query = 'includedetails=true&unsafe=raw'): Promise<Item> {
  return (await ok(api.send('GET', `/api/incomingemail/${id}?${query}`))).json();
}

/** What a column says, for fields that only processing writes. */
const column = (name: string, value: unknown, note?: string): Row<World> =>
  works(async (api, world, field) => {
    const { id } = await hand(api, world);
    const before = (await read(api, id))[field];
    await api.db
      .updateTable('incoming_email')
      .set({ [name]: value })
      .where('id', '=', id as number)
      .execute();
    return [before, (await read(api, id))[field]];
  }, note);

const list = asking<World>(() => '/api/incomingemail');
/** A part of a handed-in message. */
const built = (value: string, note?: string): Row<World> =>
  works(async (api, world, name) => {
    const base = { from: 'a@example.org', subject: randomUUID(), memo: 'm' };
    const shown = async (item: Item): Promise<unknown> => {
      const { id } = await save(api, world, { ...base, ...item });
      return (await ok(api.send('GET', `/api/incomingemail/${id}/mimemessage?unsafe=raw`))).json();
    };
    return [await shown({}), await shown({ [name]: value })];
  }, note);

const orders: Rows<World> = Object.fromEntries(
  [2, 3, 4, 5].flatMap((place) => {
    // Equal for all three records, so this field decides.
    const before = ['source', 'status', 'retry_remaining', 'agentid'].slice(0, place - 1);
    const start = before.map((field, index) => `order${index === 0 ? '' : index + 1}=${field}`).join('&');
    const from = (world: World) => `/api/incomingemail?mbid=${world.mailboxId}&${start}`;
    return [
      [`order${place}`, asking<World>((world) => `${from(world)}&orderdesc${place}=true`)('id')],
      [`orderdesc${place}`, asking<World>((world) => `${from(world)}&order${place}=id`)('true')],
    ];
  }),
);
const ONLY_OURS = 'Ours.';

export const incomingEmail: Endpoint<World> = {
  title: 'incomingemail',
  about: `
- \`GET /api/incomingemail\` answers an array of at most ${LIMITS.pageSize}, a page with \`pageinate=true\`, or a page by cursor with \`after\`.
- \`html\` is null unless asked for with \`unsafe=raw\`: it is what the sender wrote, scripts and all.
- A POST with \`id\` and \`status\` 0, or \`processed\` false without a status, tries again. \`delete\` true deletes.
- A POST without \`id\` hands in a message for \`mbid\`: \`data\`, or what \`from\`, \`to\`, \`subject\`, \`memo\` and \`html\` make. The
  same \`mailid\` in the same mailbox is the same message.`,
  async prepare(api) {
    const mailboxId = await newMailbox(api);
    const { id } = await hand(api, { mailboxId });
    for (let i = 0; i < 2; i += 1) await hand(api, { mailboxId });
    return { mailboxId, emailId: id as number };
  },
  calls: {
    'GET /incomingemail': {
      row: works(async (api, world) => {
        const before = (await ok(api.send('GET', '/api/incomingemail'))).json();
        await hand(api, { mailboxId: await newMailbox(api) });
        return [before, (await ok(api.send('GET', `/api/incomingemail?mbid=${world.mailboxId}`))).json()];
      }),
      query: {
        pageinate: list('true', 'Answers `{page_no, page_size, record_count, incomingemails}`.'),
        page_no: asking<World>(() => '/api/incomingemail?pageinate=true&page_size=1')('2'),
        page_size: asking<World>(() => '/api/incomingemail?pageinate=true')(
          '1',
          `At most ${LIMITS.pageSize}.`,
        ),
        order: list('id', 'An unknown field is refused; ties are broken by id.'),
        orderdesc: list('false', 'Default true without `order`: the newest first.'),
        ...orders,
        showcurrentagentonly: not('API clients are no agents.'),
        count: list('1', ONLY_OURS),
        status: list('5', `Ours. ${EMAIL_STATUS.allowed}.`),
        mbid: list('999999', ONLY_OURS),
        search: list('nowhere', ONLY_OURS),
        datecreated_start: list('2100-01-01', ONLY_OURS),
        datecreated_end: list('2000-01-01', ONLY_OURS),
        ticket_id: list('99', ONLY_OURS),
        fingerprint: list('none', ONLY_OURS),
        after: list('', 'Ours: pages by cursor.'),
      },
    },
    'POST /incomingemail': { row: works(async (api, world) => [undefined, (await hand(api, world)).id]) },
    'GET /incomingemail/{id}': {
      row: works(async (api, world) => [
        (await read(api, world.emailId)).mailid,
        (await read(api, (await hand(api, world)).id)).mailid,
      ]),
      query: {
        includedetails: asking<World>(({ emailId }) => `/api/incomingemail/${emailId}`)(
          'true',
          'With `data`, `memo`, `mailbox` and `user`.',
        ),
        showcurrentagentonly: not('API clients are no agents.'),
        unsafe: works(async (api, world) => {
          const { id } = await save(api, world, { from: 'a@example.org', html: '<p>x' });
          return [(await read(api, id, 'includedetails=true')).html, (await read(api, id)).html];
        }, 'Ours: with `raw`, `html` as the sender wrote it.'),
      },
    },
    'DELETE /incomingemail/{id}': {
      row: works(async (api, world) => {
        const { id } = await hand(api, world);
        await ok(api.send('DELETE', `/api/incomingemail/${id}`));
        return [200, (await api.send('GET', `/api/incomingemail/${id}`)).statusCode];
      }, 'It is hidden; the ledger keeps that its message was seen.'),
    },
  },
  records: {
    IncomingEmail: {
      old_id: inAnswers('Null: there is one id.'),
      id: works(async (api, world) => [(await hand(api, world)).id, (await hand(api, world)).id]),
      mbid: works(async (api, world) => [
        (await hand(api, world)).mbid,
        (await hand(api, { mailboxId: await newMailbox(api) })).mbid,
      ]),
      agentid: works(async (api, world) => {
        const { id } = await hand(api, world);
        const { agentid } = await save(api, world, { id, agentid: 4 });
        return [(await hand(api, world)).agentid, agentid];
      }),
      addactiontofaultid: works(async (api, world) => {
        const { id } = await hand(api, world);
        const { addactiontofaultid } = await save(api, world, { id, addactiontofaultid: 77 });
        return [(await hand(api, world)).addactiontofaultid, addactiontofaultid];
      }, 'The ticket it belongs to, whatever matching would say.'),
      datecreated: column('created_at', '2001-01-01T00:00:00Z'),
      dateprocessed: column('processed_at', '2001-01-01T00:00:00Z'),
      memo: built('Other text'),
      processed: works(async (api, world) => {
        const { id } = await hand(api, world);
        const set = async () =>
          await api.db
            .updateTable('incoming_email')
            .set({ state: 'quarantined' })
            .where('id', '=', id as number)
            .execute();
        await set();
        const before = (await read(api, id)).status;
        return [before, (await save(api, world, { id, processed: false })).status];
      }, 'Computed; false on a known record asks for another try.'),
      delete: works(async (api, world) => {
        const { id } = await hand(api, world);
        await save(api, world, { id, delete: true });
        return [200, (await api.send('GET', `/api/incomingemail/${id}`)).statusCode];
      }),
      issalesmb: inAnswers('False: there are no sales mailboxes.'),
      from: built('other@example.org'),
      html: built('<p>other</p>', 'In answers only with `unsafe=raw`.'),
      to: built('someone@example.org'),
      user: works(async (api, world) => {
        const user = (
          await ok(api.send('POST', '/api/Users', { emailaddress: 'matched@example.org' }))
        ).json() as Item;
        const { id } = await hand(api, world);
        const before = (await read(api, id)).user;
        await api.db
          .updateTable('incoming_email')
          .set({ requester_id: user.id as number })
          .where('id', '=', id as number)
          .execute();
        return [before, (await read(api, id)).user];
      }, 'With `includedetails`.'),
      subject: built('Other subject'),
      mailid: works(async (api, world) => {
        const first = await hand(api, world, { mailid: 'same' });
        return [
          (await hand(api, world)).id,
          (await hand(api, world, { mailid: 'same' })).id === first.id ? 'known' : 0,
        ];
      }, 'With the mailbox what the message is known by.'),
      data: works(
        async (api, world) => [
          (await read(api, (await hand(api, world)).id)).data,
          (await read(api, (await hand(api, world)).id)).data,
        ],
        'The raw message, base64. In answers with `includedetails` up to 32 MiB; `/raw` has any.',
      ),
      source: column('source', 'graph', EMAIL_SOURCE.allowed),
      status: works(async (api, world) => {
        const { id } = await hand(api, world);
        await api.db
          .updateTable('incoming_email')
          .set({ state: 'quarantined' })
          .where('id', '=', id as number)
          .execute();
        return [(await read(api, id)).status, (await save(api, world, { id, status: 0 })).status];
      }, `${EMAIL_STATUS.allowed}. 0 on a known record asks for another try. Duplicates are no records here, so 6 does not occur.`),
      removed_from_mailbox: column('removed_from_server', true),
      retry_remaining: column('retry_remaining', 1),
      last_attempt_date: column('last_attempt_at', '2001-01-01T00:00:00Z'),
      _checkmailid: works(async (api, world) => {
        const known = await hand(api, world, { mailid: 'checked' });
        const answer = async (more: Item) =>
          (
            await api.send('POST', '/api/incomingemail', [
              { mbid: world.mailboxId, mailid: 'checked', ...more },
            ])
          ).statusCode;
        return [await answer({}), (await answer({ _checkmailid: true })) === 201 ? known.id : 0];
      }, 'Answers with the record of this `mailid`, when there is one, and needs no content then.'),
      _downloadmail: not('The bytes of every record are kept, so nothing need be fetched again.'),
      mailbox: works(
        async (api, { emailId }) => [
          (await read(api, emailId, '')).mailbox,
          (await read(api, emailId)).mailbox,
        ],
        'With `includedetails`.',
      ),
      mailbox_type_int: works(async (api, world) => [
        (await hand(api, world)).mailbox_type_int,
        (await hand(api, { mailboxId: await newMailbox(api, { type: 0 }) })).mailbox_type_int,
      ]),
      outbound: column('outbound', true),
      _warning: works(async (api, world) => {
        const first = await hand(api, world, { mailid: 'warned' });
        return [first._warning, (await hand(api, world, { mailid: 'warned' }))._warning];
      }),
    },
  },
};
