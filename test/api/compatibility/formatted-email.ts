/** Rows of `/formattedemail` (halo-api.md section 9). */
import { LABELLED_FIELDS } from '../../../src/ticket/formatted-mail.ts';
import type { Fixture } from '../fixture.ts';
import { type Endpoint, not, ok, type Rows, storing, works } from './row.ts';

type Item = Record<string, unknown>;

let serial = 0;

async function save(api: Fixture, item: Item): Promise<Item> {
  serial += 1;
  const whole = item.id ? item : { template_name: `Set ${serial}`, ...item };
  return (await ok(api.send('POST', '/api/formattedemail', whole))).json();
}

async function read(api: Fixture, id: unknown): Promise<Item> {
  return (await ok(api.send('GET', `/api/formattedemail/${id}`))).json();
}

const stored = storing<null>(async (api, _world, item) => await read(api, (await save(api, item)).id));
const labels: Rows<null> = Object.fromEntries(
  LABELLED_FIELDS.map((name) => [name, stored(`The ${name}:`, undefined, { subject: 'About:' })]),
);

export const formattedEmail: Endpoint<null> = {
  title: 'formattedemail',
  about: `
- A set of labels that inbound mail is read by, or a template of outbound mail: \`penstock.use\` says which, and when it is not given,
  whether there is a \`{{\` in it.
- That labels fill the fields of a ticket is shown by the tests of labelled mail.`,
  prepare: async () => null,
  calls: {
    'GET /formattedemail': {
      row: works(async (api) => {
        const count = async () =>
          ((await ok(api.send('GET', '/api/formattedemail'))).json() as Item[]).length;
        const before = await count();
        await save(api, { subject: 'About:' });
        return [before, await count()];
      }),
    },
    'POST /formattedemail': { row: works(async (api) => [undefined, (await save(api, {})).id]) },
    'GET /formattedemail/{id}': {
      row: works(async (api) => [undefined, (await read(api, (await save(api, {})).id)).id]),
      query: { includedetails: not('There is no more than is shown without it.') },
    },
    'DELETE /formattedemail/{id}': {
      row: works(async (api) => {
        const { id } = await save(api, {});
        await ok(api.send('DELETE', `/api/formattedemail/${id}`));
        return [200, (await api.send('GET', `/api/formattedemail/${id}`)).statusCode];
      }),
    },
  },
  records: {
    FormattedEmail: {
      ...labels,
      id: works(async (api) => [(await save(api, {})).id, (await save(api, {})).id]),
      fmid: works(async (api) => {
        const put = async (fmid: number) => {
          const {
            penstock: _,
            fmid: _id,
            fmdata: _data,
            id: _own,
            template_name: _name,
            ...rest
          } = await read(api, (await save(api, { fmid, fmdata: 'Label:' })).id);
          return rest;
        };
        return [await put(1), await put(2)];
      }, 'With fmdata on input: the number of one label, from 1.'),
      fmdata: works(async (api) => {
        const put = async (fmdata: string) =>
          (await read(api, (await save(api, { fmid: 1, fmdata })).id))[LABELLED_FIELDS[0]!];
        return [await put('One:'), await put('Another:')];
      }, 'With fmid on input: the text of that label.'),
      template_name: stored('Another name'),
      _warning: works(
        async (api) => [
          (await save(api, { subject: 'About:' }))._warning,
          (await save(api, { username: 'Name:' }))._warning,
        ],
        'Only in answers.',
      ),
    },
  },
};
