/** Rows of `/EmailRule` (halo-api.md section 5). What a rule does is shown by the outcome of a message. */
import { expect } from 'vitest';
import {
  ATTACHMENT_MATCH,
  CLOSED_READ_STATUS,
  END_TAG_MATCH,
  FIELD_TYPE,
  RULE_TYPE,
  USER_MATCH,
} from '../../../src/api/halo/enums.ts';
import { type Fixture, newMailbox } from '../fixture.ts';
import { type Case, judge, TICKET } from './judge.ts';
import { asking, type Endpoint, inAnswers, ok, type Row, type Rows, storing, works } from './row.ts';

interface World {
  mailboxId: number;
  ruleId: number;
}

type Item = Record<string, unknown>;
let made = 0;

async function save(api: Fixture, item: Item): Promise<Item> {
  const whole = { name: `Contract ${++made}`, type: 1, subject: `only ${made}`, ...item };
  return (await ok(api.send('POST', '/api/EmailRule', [whole]))).json();
}

async function read(api: Fixture, id: unknown): Promise<Item> {
  return (await ok(api.send('GET', `/api/EmailRule/${id}?includedetails=true`))).json();
}

const stored = storing<World>(async (api, _world, item) => await read(api, (await save(api, item)).id));

const MESSAGE = [
  'From: Ann <ann@example.org>',
  'To: support@example.org',
  'Cc: Carl <carl@example.org>',
  'Subject: Disk full on web1',
  'MIME-Version: 1.0',
  'Content-Type: multipart/mixed; boundary=b',
  '',
  '--b',
  'Content-Type: text/plain',
  '',
  'host: web1, state: bad, user: Bob, key: K1, site: Berlin, ref: S1 END',
  'mail: bob@example.net END',
  'line: to the end',
  '',
  '> quoted words',
  '--b',
  'Content-Type: text/csv',
  'Content-Disposition: attachment; filename=report.csv',
  '',
  'a,b',
  '--b--',
  '',
];

const PEOPLE = ['Bob', 'Carl'].map((name, index) => ({
  id: index + 1,
  name,
  address: `${name.toLowerCase()}@example.net`,
  alternativeAddresses: [],
  login: index === 1 ? 'Bob' : '',
  isAgent: false,
}));

/** The outcome of the message under a rule with this field, and without it. */
function effect(value: unknown, rule: Item = {}, more: Partial<Case> = {}, note?: string): Row<World> {
  return works(async (_api, _world, name) => {
    const given: Case = { message: MESSAGE, requesters: PEOPLE, ...more };
    return [await judge({ ...given, rule }), await judge({ ...given, rule: { ...rule, [name]: value } })];
  }, note);
}

/** Alerts with a key, of which one is open. */
const alert = { type: 4, '4starttag': 'key: ', '4endtag': ',' };
const openAlert = { tickets: [{ ...TICKET, alertKey: 'K1' }] };

/** Rows of one slot. `more` makes its value count; `ending` says how the API selects the end of the value. */
function slot(prefix: string, tags: [start: string, end: string, field?: string], more: Item): Rows<World> {
  const [start, end, field] = tags;
  const whole = { ...more, [`${prefix}starttag`]: start };
  return {
    [`${prefix}starttag`]: effect(start, { ...more, [`${prefix}endtag`]: end }),
    [`${prefix}endtag`]: effect(end, whole),
    ...(field === undefined ? {} : { [`${prefix}fieldname`]: stored(field) }),
    [`${prefix}length`]: effect(1, { ...whole, [`${prefix}endtag`]: end }),
    [`${prefix}useendofline`]: effect(true, { ...whole, [`${prefix}endtag`]: end }),
  };
}

const selector = (prefix: string): Row<World> =>
  stored(1, END_TAG_MATCH.allowed, { [`${prefix}starttag`]: 'a', [`${prefix}endtag`]: 'b' });

/** A field of a mapping, by what it fills. */
function mapped(value: unknown, more: Item, note?: string): Row<World> {
  return works(async (_api, _world, name) => {
    const mapping = { fieldid: 5, ...more };
    const outcome = async (item: Item) => await judge({ message: MESSAGE, rule: { fieldmappings: [item] } });
    return [await outcome(mapping), await outcome({ ...mapping, [name]: value })];
  }, note);
}

export const emailRule: Endpoint<World> = {
  title: 'EmailRule',
  about: `
- \`fieldmappings\`, when given, replaces the whole set: items with an \`id\` are kept and changed, others added, absent ones
  deleted. Without \`includedetails\` it is null.
- \`patterns\` is ours: regular expressions (RE2), as conditions and to fill fields.
- Rules are tried by \`seq\`, highest first, then by name, then by id; the first that matches decides.
- \`POST /api/EmailRule/test\` is ours and explains one message.`,
  async prepare(api) {
    const mailboxId = await newMailbox(api);
    const { id } = await save(api, {
      type: 3,
      fromaddr: 'ann@example.org',
      fieldmappings: [{ fieldid: 1, starttag: 'a' }],
    });
    return { mailboxId, ruleId: id as number };
  },
  calls: {
    'GET /EmailRule': {
      row: works(async (api) => {
        const list = async (): Promise<unknown> => (await ok(api.send('GET', '/api/EmailRule'))).json();
        const before = await list();
        await save(api, {});
        return [before, await list()];
      }),
      query: {
        fromaddress: asking(() => '/api/EmailRule')(
          'nobody@example.com',
          'Rules whose sender condition accepts it.',
        ),
        type: asking(() => '/api/EmailRule')('3'),
      },
    },
    'POST /EmailRule': {
      row: works(async (api) => [undefined, (await save(api, { name: 'New' })).name]),
    },
    'GET /EmailRule/{id}': {
      row: works(async (api, { ruleId }) => [undefined, (await read(api, ruleId)).fromaddr]),
      query: {
        includedetails: asking<World>(({ ruleId }) => `/api/EmailRule/${ruleId}`)(
          'true',
          'With `fieldmappings`.',
        ),
      },
    },
    'DELETE /EmailRule/{id}': {
      row: works(async (api) => {
        const { id } = await save(api, {});
        const before = (await api.send('GET', `/api/EmailRule/${id}`)).statusCode;
        await ok(api.send('DELETE', `/api/EmailRule/${id}`));
        return [before, (await api.send('GET', `/api/EmailRule/${id}`)).statusCode];
      }),
    },
  },
  records: {
    EmailRule: {
      id: works(async (api) => {
        const first = await save(api, { body: 'before' });
        await save(api, { id: first.id, name: first.name, body: 'after' });
        return ['before', (await read(api, first.id)).body];
      }),
      type: effect(0, {}, {}, `${RULE_TYPE.allowed}. A create without it is refused.`),
      name: stored('Another name'),
      pop3serverid: effect(99, { subject: 'disk' }),
      subject: effect('no such words'),
      body: effect('no such words'),
      fromaddr: effect('nobody@'),
      toaddr: effect('nobody@'),
      enabled: effect(false),
      ...slot('', ['host: ', ',', 'asset'], {}),
      ...slot('2', ['state: ', ',', 'status'], { type: 2, starttag: 'host: ', endtag: ',' }),
      ...slot('3', ['mail: ', ' END', 'user'], {}),
      closestring: effect('state: bad', alert, openAlert),
      requesttype: effect(12),
      ...slot('4', ['key: ', ',', 'key'], { type: 4 }),
      seq: works(async (api) => {
        const item = { name: 'Order', subject: `order ${++made}` };
        const low = await save(api, { ...item, seq: 1 });
        const high = await save(api, { ...item, seq: 2, body: 'second' });
        const order = async (): Promise<unknown[]> =>
          ((await ok(api.send('GET', '/api/EmailRule'))).json() as Item[])
            .map(({ id }) => id)
            .filter((id) => id === low.id || id === high.id);
        const before = await order();
        await save(api, { id: low.id, ...item, seq: 3 });
        return [before, await order()];
      }),
      pagerduty: effect(true, alert),
      fromaddrexact: effect(true, { fromaddr: 'ann@' }),
      toaddrexact: effect(true, { toaddr: 'support@' }),
      privateactions: effect(true),
      '3useticketuser': effect(true, alert, openAlert),
      fieldmappings: effect([{ fieldid: 5, searchtext: 'host', value: 'found' }]),
      endtagmatchtype: selector(''),
      '3matchtype': effect(2, { '3starttag': 'user: ', '3endtag': ',' }, {}, USER_MATCH.allowed),
      '3endtagmatchtype': selector('3'),
      pagerdutyagent: effect(4, { ...alert, pagerduty: true }),
      pagerduty_service: effect('P1', { ...alert, pagerduty: true }),
      pagerduty_service_name: effect('Web', { ...alert, pagerduty: true }),
      ...slot('5', ['site: ', ',', 'site'], {}),
      '5endtagmatchtype': selector('5'),
      splunkoncall: effect(true, alert),
      attachmentname: effect('other.csv', { matchonattachment: true }),
      attachmentmatchtype: effect(
        1,
        { matchonattachment: true, attachmentname: 'report' },
        {},
        ATTACHMENT_MATCH.allowed,
      ),
      matchonattachment: effect(true, { attachmentname: 'other.csv' }),
      matchccandbcc: effect(true, { toaddr: 'carl@' }),
      ...slot('6', ['ref: ', ' END'], { type: 3 }),
      '6endtagmatchtype': selector('6'),
      always_close_alerts: effect(true, alert, openAlert),
      closed_alerts_read_status: effect(
        1,
        { ...alert, always_close_alerts: true },
        openAlert,
        CLOSED_READ_STATUS.allowed,
      ),
      dontsendacknowledgement: effect(true, {}, { mailbox: { newuser_send_ack: true } }),
      _warning: works(
        async (api) => [(await save(api, {}))._warning, (await save(api, { subject: '' }))._warning],
        'Says what is probably not meant: no condition, never reached, a slot without a start tag.',
      ),
      guid: works(async (api) => [(await save(api, {})).guid, (await save(api, {})).guid]),
      mailbox_name: works(async (api, { mailboxId }) => [
        (await save(api, {})).mailbox_name,
        (await save(api, { pop3serverid: mailboxId })).mailbox_name,
      ]),
      scan_full_body: effect(false, { body: 'quoted words' }),
      response_template_id: effect(3),
      response_template_name: inAnswers('Null: templates are found by `response_template_id`.'),
      dont_update_from_address: effect(true),
      patterns: effect([{ field: 'subject', pattern: 'nothing like this' }], {}, {}, 'Ours.'),
    },
    EmailRuleFieldMapping: {
      id: works(async (api) => {
        const rule = await save(api, { fieldmappings: [{ fieldid: 1, value: 'a' }] });
        const [first] = rule.fieldmappings as Item[];
        await save(api, { id: rule.id, name: rule.name, fieldmappings: [{ id: first!.id, endtag: 'z' }] });
        const [after] = (await read(api, rule.id)).fieldmappings as Item[];
        expect(after).toMatchObject({ id: first!.id, fieldid: 1, value: 'a' });
        return [first!.endtag, after!.endtag];
      }),
      emailruleid: works(async (api) => {
        const one = await save(api, { fieldmappings: [{ fieldid: 1 }] });
        const two = await save(api, { fieldmappings: [{ fieldid: 1 }] });
        return [(one.fieldmappings as Item[])[0]!.emailruleid, (two.fieldmappings as Item[])[0]!.emailruleid];
      }),
      fieldid: mapped(6, { searchtext: 'host', value: 'v' }),
      fieldtype: mapped(1, { searchtext: 'host', value: 'v' }, FIELD_TYPE.allowed),
      searchtext: mapped('no such words', { value: 'v' }),
      starttag: mapped('host: ', { endtag: ',' }),
      endtag: mapped(',', { starttag: 'host: ' }),
      value: mapped('v', { searchtext: 'host' }),
      searchresult: inAnswers('Empty: `POST /api/EmailRule/test` shows what a mapping takes from a message.'),
      _warning: inAnswers('Null: warnings are given for the whole rule.'),
    },
  },
};
