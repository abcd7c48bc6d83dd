/** Rows of `/Mail` (halo-api.md section 2). What is made of a posted message is read back as a MimeMessage. */
import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { type Fixture, newMailbox, rawMessage } from '../fixture.ts';
import { allNot, type Call, type Endpoint, inAnswers, not, ok, type Row, type Rows, works } from './row.ts';

type Item = Record<string, unknown>;
interface World {
  mailboxId: number;
}

const BASE = { from: [{ address: 'ann@example.org' }], subject: 'Contract', textBody: 'Hello.' };

/** Posts a message and returns the record. */
async function post(api: Fixture, { mailboxId }: World, kind: string, message: Item): Promise<Item> {
  const whole = { id: randomUUID(), haloMailboxId: mailboxId, ...message };
  return (await ok(api.send('POST', `/api/Mail/Integrator/${kind}`, whole))).json();
}

async function readMime(api: Fixture, id: unknown): Promise<Item> {
  return (await ok(api.send('GET', `/api/incomingemail/${id}/mimemessage?unsafe=raw`))).json();
}

/** A field of mimeMessage: what is posted is what is read back, and without it something else is. */
function both(value: unknown, shown: unknown = value, note?: string): Row<World> {
  return works(async (api, world, name) => {
    const unique = { messageId: `${randomUUID()}@example.org` };
    const plain = await post(api, world, 'IMAP', { mimeMessage: { ...BASE, ...unique } });
    const changed = await post(api, world, 'IMAP', { mimeMessage: { ...BASE, ...unique, [name]: value } });
    const after = await readMime(api, changed.id);
    if (typeof shown === 'object') expect(after[name]).toMatchObject(shown as object);
    else expect(after[name]).toEqual(shown);
    return [(await readMime(api, plain.id))[name], after[name]];
  }, note);
}

const person = { name: 'Bob Lee', address: 'bob@example.net' };

/** A call that takes a message: it is stored once, and the same id again leads to the same record. */
function integrator(kind: string): Call<World> {
  return {
    row: works(async (api, world) => {
      const message = {
        id: `twice-${kind}`,
        raw: rawMessage('One').replaceAll('+', '-').replaceAll('/', '_'),
      };
      const first = await post(api, world, kind, message);
      expect((await post(api, world, kind, message)).id).toBe(first.id);
      return [undefined, first.id];
    }, '201 when the message is safely stored, 200 when its `id` was known.'),
  };
}

/** Fields that every kind of message has. */
function envelope(kind: string): Rows<World> {
  const raw = () => rawMessage(randomUUID());
  return {
    id: works(
      async (api, world) => [
        (await post(api, world, kind, { id: `a-${kind}`, raw: raw() })).mailid,
        (await post(api, world, kind, { id: `b-${kind}`, raw: raw() })).mailid,
      ],
      'With the mailbox what the message is known by.',
    ),
    haloMailboxId: works(async (api, world) => [
      (await post(api, world, kind, { raw: raw() })).mbid,
      (await post(api, world, kind, { raw: raw(), haloMailboxId: await newMailbox(api) })).mbid,
    ]),
    incomingEmailId: works(async (api, world) => {
      const known = await post(api, world, kind, { raw: raw() });
      return [
        (await post(api, world, kind, { raw: raw() })).id,
        (await post(api, world, kind, { incomingEmailId: known.id })).id,
      ];
    }, 'A record that has the bytes already: it is processed, and nothing else is read.'),
    mimeMessage: works(async (api, world) => {
      const { id } = await post(api, world, kind, { mimeMessage: BASE });
      const wins = await post(api, world, kind, { mimeMessage: BASE, raw: raw() });
      return [(await readMime(api, wins.id)).subject, (await readMime(api, id)).subject];
    }, 'Used when there is nothing better. It has no attachment bytes.'),
    raw: works(
      async (api, world) => {
        const { id } = await post(api, world, kind, { mimeMessage: BASE });
        const { id: withRaw } = await post(api, world, kind, { mimeMessage: BASE, raw: rawMessage('Raw') });
        return [(await readMime(api, id)).subject, (await readMime(api, withRaw)).subject];
      },
      kind === 'Google' ? 'base64url or base64.' : 'Ours: base64 of the RFC 5322 bytes.',
    ),
  };
}

const data = (text: string): Item => ({ size: text.length, data: Buffer.from(text).toString('base64url') });
const PAYLOAD = {
  mimeType: 'multipart/mixed',
  headers: [
    { name: 'From', value: 'Ann <ann@example.org>' },
    { name: 'Subject', value: 'By parts' },
  ],
  parts: [{ partId: '0', mimeType: 'text/plain', filename: '', headers: [], body: data('Grüße') }],
};

async function payload(api: Fixture, world: World, change: Item): Promise<Item> {
  const unique = { name: 'X-Unique', value: randomUUID() };
  const whole = {
    ...PAYLOAD,
    ...change,
    headers: [...((change.headers as Item[]) ?? PAYLOAD.headers), unique],
  };
  return await readMime(api, (await post(api, world, 'Google', { payload: whole })).id);
}

/** A field of a leaf of the tree. */
const leaf = (change: Item): Row<World> =>
  works(async (api, world) => {
    const shown = async (part: Item): Promise<unknown> => {
      const whole = await payload(api, world, { parts: [PAYLOAD.parts[0]!, part] });
      return { text: whole.textBody, parts: whole.bodyParts };
    };
    const part = { mimeType: 'text/csv', filename: 'a.csv', headers: [], body: data('a,b') };
    return [await shown(part), await shown({ ...part, ...change })];
  });

export const mail: Endpoint<World> = {
  title: 'Mail',
  about: `
- The bytes of a message come from \`incomingEmailId\`, \`raw\`, \`payload\` (Google) or \`mimeMessage\`, whichever is there first.
- \`GET /api/incomingemail/{id}/mimemessage\` is ours and shows a stored message as a MimeMessage; \`htmlBody\` only with
  \`unsafe=raw\`.`,
  prepare: async (api) => ({ mailboxId: await newMailbox(api) }),
  calls: {
    'POST /Mail/Azure': {
      row: works(async (api) => {
        const answer = await ok(
          api.api.inject({
            method: 'POST',
            url: '/api/Mail/Azure?validationToken=abc',
            headers: { 'content-type': 'text/plain' },
          }),
        );
        return [undefined, answer.payload];
      }, 'Notifications of Microsoft Graph: the handshake is answered with its token, the rest with 202 once it is noted.'),
      query: {
        validationToken: works(async (api) => {
          const ask = async (token: string) =>
            (
              await api.api.inject({
                method: 'POST',
                url: `/api/Mail/Azure?validationToken=${token}`,
                headers: { 'content-type': 'text/plain' },
              })
            ).payload;
          return [await ask('a'), await ask('b')];
        }),
      },
    },
    'POST /Mail/Integrator/Azure': integrator('Azure'),
    'POST /Mail/Integrator/Google': integrator('Google'),
    'POST /Mail/Integrator/Pop3': integrator('Pop3'),
    'POST /Mail/Integrator/IMAP': integrator('IMAP'),
    'POST /Mail/ProcessMail': {
      row: works(async (api, world) => {
        const { id } = await post(api, world, 'IMAP', { raw: rawMessage('Process') });
        const ask = async (ids: unknown[]) =>
          (await ok(api.send('POST', '/api/Mail/ProcessMail', ids))).json();
        return [await ask([999_999]), await ask([id])];
      }, 'Answers `[{id, status, error}]` in order. What is processed is skipped.'),
      query: {
        task_id: works(async (api) => {
          const tasks = async (query: string): Promise<unknown> => {
            await ok(api.send('POST', `/api/Mail/ProcessMail${query}`, [1]));
            const row = await api.db
              .selectFrom('audit_log')
              .select('change')
              .orderBy('id', 'desc')
              .executeTakeFirst();
            return (row!.change as Item).task;
          };
          return [await tasks(''), await tasks('?task_id=5')];
        }, 'Noted in the audit log.'),
      },
    },
  },
  records: {
    IMAPMessage: envelope('IMAP'),
    Pop3Message: envelope('Pop3'),
    AzureMessage: envelope('Azure'),
    GmailMessage: {
      ...envelope('Google'),
      payload: works(async (api, world) => {
        const { id } = await post(api, world, 'Google', { mimeMessage: BASE });
        const { id: byParts } = await post(api, world, 'Google', { mimeMessage: BASE, payload: PAYLOAD });
        return [(await readMime(api, id)).textBody, (await readMime(api, byParts)).textBody];
      }),
      internalDate: works(async (api, world) => {
        const kept = async (message: Item): Promise<unknown> => {
          const { id } = await post(api, world, 'Google', { raw: rawMessage(randomUUID()), ...message });
          const query = api.db
            .selectFrom('ledger')
            .select('internal_date')
            .where('incoming_email_id', '=', id as number);
          return (await query.executeTakeFirstOrThrow()).internal_date;
        };
        return [await kept({}), await kept({ internalDate: 1_700_000_000_000 })];
      }, 'Kept as the time of arrival.'),
      ...allNot(
        'The message itself says all that is needed of it.',
        'historyId',
        'labelIds',
        'sizeEstimate',
        'snippet',
        'threadId',
        'eTag',
      ),
    },
    MessagePart: {
      partId: not('Parts are taken in their order.'),
      mimeType: leaf({ mimeType: 'application/pdf' }),
      filename: leaf({ filename: 'b.csv' }),
      headers: leaf({ headers: [{ name: 'Content-Disposition', value: 'inline' }] }),
      body: leaf({ body: data('longer content') }),
      parts: leaf({ parts: [{ mimeType: 'text/html', body: data('<b>x</b>') }] }),
      eTag: not('Not part of a message.'),
    },
    MimeMessage: {
      headers: works(async (api, world) => {
        const headers = [{ field: 'X-Custom', value: 'yes' }];
        const { id } = await post(api, world, 'IMAP', { mimeMessage: { ...BASE, headers } });
        const { id: plain } = await post(api, world, 'IMAP', { mimeMessage: { ...BASE, textBody: 'plain' } });
        return [(await readMime(api, plain)).headers, (await readMime(api, id)).headers];
      }, 'Where they are given they win over the other fields.'),
      importance: both(2),
      priority: both(2),
      xPriority: both(1),
      sender: both(person),
      resentSender: both(person),
      from: both([person]),
      resentFrom: both([person]),
      replyTo: both([person]),
      resentReplyTo: both([person]),
      to: both([person]),
      resentTo: both([person]),
      cc: both([person]),
      resentCc: both([person]),
      bcc: both([person]),
      resentBcc: both([person]),
      subject: both('Grüße und mehr'),
      date: both('2026-03-01T10:00:00.000Z'),
      resentDate: both('2026-03-02T10:00:00.000Z'),
      references: both(['a@example.org', 'b@example.org']),
      inReplyTo: both('a@example.org'),
      messageId: both('other@example.org'),
      resentMessageId: both('resent@example.org'),
      mimeVersion: inAnswers('What the message says; posted ones always get 1.0.'),
      body: works(async (api, world) => {
        const { id } = await post(api, world, 'IMAP', { mimeMessage: { ...BASE, textBody: 'one part' } });
        const { id: two } = await post(api, world, 'IMAP', {
          mimeMessage: { ...BASE, textBody: 'two', htmlBody: '<p>two' },
        });
        return [(await readMime(api, id)).body, (await readMime(api, two)).body];
      }, 'In answers.'),
      textBody: both('Other text'),
      htmlBody: both('<p>Other text</p>', '<p>Other text</p>', 'In answers only with `unsafe=raw`.'),
      bodyParts: works(async (api, world) => {
        const { id } = await post(api, world, 'IMAP', {
          mimeMessage: { ...BASE, textBody: 'one part again' },
        });
        const { id: two } = await post(api, world, 'IMAP', {
          mimeMessage: { ...BASE, textBody: 'again', htmlBody: '<p>two' },
        });
        return [(await readMime(api, id)).bodyParts, (await readMime(api, two)).bodyParts];
      }, 'In answers.'),
      attachments: both(
        [
          {
            contentType: { mediaType: 'text', mediaSubtype: 'csv' },
            contentDisposition: { fileName: 'r.csv' },
          },
        ],
        [
          {
            contentType: { mimeType: 'text/csv' },
            contentDisposition: { fileName: 'r.csv', disposition: 'attachment' },
          },
        ],
        'Posted ones become parts with their names and no content, and `_warning` says so.',
      ),
    },
    InternetAddress: {
      encoding: inAnswers('Null: names are Unicode.'),
      name: works(async (api, world) => await address(api, world, { name: 'Bob' }, 'name')),
      route: inAnswers('Empty: routes are obsolete.'),
      address: works(
        async (api, world) => await address(api, world, { address: 'carl@example.net' }, 'address'),
      ),
      localPart: works(
        async (api, world) => await address(api, world, { address: 'eve@example.net' }, 'localPart'),
      ),
      domain: works(
        async (api, world) => await address(api, world, { address: 'eve@example.com' }, 'domain'),
      ),
      isInternational: works(
        async (api, world) => await address(api, world, { address: 'grün@example.net' }, 'isInternational'),
      ),
    },
    Header: {
      field: works(
        async (api, world) =>
          await header(api, world, { field: 'X-A', value: '1' }, { field: 'X-B', value: '1' }, 'field'),
      ),
      value: works(
        async (api, world) =>
          await header(api, world, { field: 'X-A', value: '2' }, { field: 'X-A', value: '3' }, 'value'),
      ),
      rawField: works(
        async (api, world) =>
          await header(api, world, { field: 'X-C', value: '1' }, { field: 'X-D', value: '1' }, 'rawField'),
      ),
      ...allNot(
        'The raw message is at `/raw`; `id` is -1, as `field` says it better.',
        'offset',
        'id',
        'rawValue',
      ),
    },
  },
};

async function address(api: Fixture, world: World, change: Item, name: string): Promise<[unknown, unknown]> {
  const shown = async (to: Item): Promise<unknown> => {
    const { id } = await post(api, world, 'IMAP', {
      mimeMessage: { ...BASE, to: [to], messageId: `${randomUUID()}@x.example` },
    });
    return ((await readMime(api, id)).to as Item[])[0]![name];
  };
  return [await shown(person), await shown({ ...person, ...change })];
}

async function header(
  api: Fixture,
  world: World,
  one: Item,
  other: Item,
  name: string,
): Promise<[unknown, unknown]> {
  const shown = async (given: Item): Promise<unknown> => {
    const { id } = await post(api, world, 'IMAP', {
      mimeMessage: { ...BASE, headers: [given], messageId: `${randomUUID()}@x.example` },
    });
    return ((await readMime(api, id)).headers as Item[])[0]![name];
  };
  return [await shown(one), await shown(other)];
}
