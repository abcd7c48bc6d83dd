import { describe, expect, it } from 'vitest';
import { draftRule, haloFieldOf, ruleFromHalo, viewRule } from '../../src/api/halo/email-rule.ts';
import { HaloRule } from '../../src/api/halo/email-rule-fields.ts';
import { loadRuleSet } from '../../src/store/rules.ts';
import { newMailbox, rawMessage, useApi } from './fixture.ts';

const fixture = useApi();

type Row = Record<string, unknown> & {
  id: number;
  _warning: string | null;
  fieldmappings: Mapping[];
};
type Mapping = { id: number; fieldid: number };

let made = 0;
const ruleItem = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
  name: `Rule ${++made}`,
  type: 1,
  subject: `only ${made}`,
  enabled: true,
  ...more,
});

async function save(item: Record<string, unknown>): Promise<Row> {
  const answer = await fixture.send('POST', '/api/EmailRule', [item]);
  expect(answer.statusCode, answer.payload).toBe(201);
  return answer.json();
}

async function read(id: number): Promise<Row> {
  return (await fixture.send('GET', `/api/EmailRule/${id}?includedetails=true`)).json();
}

/** A value for every field of Halo's rule, none of them the default. */
function everyField(mailboxId: number): Record<string, unknown> {
  const item: Record<string, unknown> = {
    name: 'Every field',
    type: 4,
    pop3serverid: mailboxId,
    enabled: true,
    seq: 50,
    fromaddr: 'alerts@example.org',
    fromaddrexact: true,
    toaddr: 'noc@example.org',
    toaddrexact: true,
    matchccandbcc: true,
    subject: 'DOWN',
    body: 'host',
    scan_full_body: false,
    matchonattachment: true,
    attachmentname: 'report.csv',
    attachmentmatchtype: 3,
    '3matchtype': 2,
    '3useticketuser': true,
    closestring: 'OK again',
    always_close_alerts: true,
    closed_alerts_read_status: 2,
    requesttype: 7,
    privateactions: true,
    dontsendacknowledgement: true,
    dont_update_from_address: true,
    response_template_id: 3,
    pagerduty: true,
    pagerdutyagent: 9,
    pagerduty_service: 'P1',
    pagerduty_service_name: 'Network',
    splunkoncall: true,
  };
  for (const prefix of ['', '2', '3', '4', '5', '6']) {
    Object.assign(item, { [`${prefix}starttag`]: `s${prefix}`, [`${prefix}endtag`]: `e${prefix}` });
    if (prefix !== '6') item[`${prefix}fieldname`] = `f${prefix}`;
  }
  return { ...item, '2length': 5, '4useendofline': true, '5length': 2, '6useendofline': true };
}

describe('POST /api/EmailRule creates', () => {
  it('with every field both ways', async () => {
    const item = everyField(await newMailbox(fixture, { name: 'NOC' }));
    const row = await save(item);
    expect(row).toMatchObject({
      ...item,
      mailbox_name: 'NOC',
      endtagmatchtype: 0,
      '3endtagmatchtype': 0,
      '5endtagmatchtype': 2,
      '6endtagmatchtype': 1,
    });
    const { _warning, ...stored } = await read(row.id);
    expect(stored).toMatchObject(item);
    expect(stored.guid).toMatch(/^[0-9a-f-]{36}$/);
    const named = Object.keys((HaloRule as unknown as { properties: object }).properties);
    expect(Object.keys(row).sort()).toEqual(named.sort());
  });

  it('with the defaults of Halo', async () => {
    const row = await save({ type: 1, subject: 'defaults' });
    expect(row).toMatchObject({
      enabled: false,
      seq: 0,
      pop3serverid: 0,
      mailbox_name: null,
      requesttype: -1,
      scan_full_body: true,
      response_template_id: 0,
      fieldmappings: [],
      patterns: [],
    });
  });

  it('not without a type, because 0 would drop mail', async () => {
    const answer = await fixture.send('POST', '/api/EmailRule', [{ name: 'no type', subject: 'x' }]);
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({
      error: 'validation_error',
      details: [{ index: 0, field: 'type' }],
    });
    expect((await save(ruleItem({ type: 0 }))).type).toBe(0);
  });

  it('with a warning when it has no condition', async () => {
    const row = await save({ name: 'All', type: 0, enabled: false });
    expect(row._warning).toContain('no condition');
  });

  it('once, when the same request is repeated', async () => {
    const item = ruleItem({ fieldmappings: [{ fieldid: 3, starttag: 'a', endtag: 'b' }] });
    const first = await save(item);
    const second = await save(item);
    expect(second.id).toBe(first.id);
    expect(second._warning).toContain('no second one was made');
    expect((await save({ ...item, seq: 1 })).id).not.toBe(first.id);
  });

  it.each([
    ['an unknown type', { type: 8 }, 'type'],
    ['a mailbox that is not there', { pop3serverid: 99_999 }, 'pop3serverid'],
    ['an unknown attachment match', { attachmentmatchtype: 9 }, 'attachmentmatchtype'],
    ['an unknown read status', { closed_alerts_read_status: 9 }, 'closed_alerts_read_status'],
    ['an unknown user match', { '3matchtype': 9 }, '3matchtype'],
    ['a negative length', { '2length': -1 }, '2length'],
    ['length as the ending, without one', { '5endtagmatchtype': 2 }, '5endtagmatchtype'],
    ['a mapping without a field', { fieldmappings: [{ starttag: 'x' }] }, 'fieldmappings.0.fieldid'],
    [
      'a mapping of an unknown kind',
      { fieldmappings: [{ fieldid: 1, fieldtype: 9 }] },
      'fieldmappings.0.fieldtype',
    ],
    ['a mapping of another rule', { fieldmappings: [{ id: 1, fieldid: 1 }] }, 'fieldmappings.0.id'],
    ['a pattern that is none', { patterns: [{ pattern: '(' }] }, 'patterns.0.pattern'],
    ['a pattern that needs backtracking', { patterns: [{ pattern: '(a)\\1' }] }, 'patterns.0.pattern'],
    ['a pattern for an unknown field', { patterns: [{ pattern: 'a', field: 'raw' }] }, 'patterns.0.field'],
    ['unknown flags', { patterns: [{ pattern: 'a', flags: 'gx' }] }, 'patterns.0.flags'],
    ['a condition that is too long', { subject: 'x'.repeat(4_001) }, 'subject'],
    ['a text for a number', { seq: '5' }, 'seq'],
  ])('not with %s', async (_, change, field) => {
    const answer = await fixture.send('POST', '/api/EmailRule', [ruleItem(change)]);
    expect(answer.statusCode, answer.payload).toBe(400);
    expect(answer.json()).toMatchObject({ ClassName: 'ValidationException', error: 'validation_error' });
    expect(answer.json<{ details: { field: string }[] }>().details.map((detail) => detail.field)).toContain(
      field,
    );
  });

  it('several in one transaction, as new versions', async () => {
    const before = await loadRuleSet(fixture.db);
    const bad = await fixture.send('POST', '/api/EmailRule', [ruleItem(), ruleItem(), { name: 'x' }]);
    expect(bad.json()).toMatchObject({ details: [{ index: 2, field: 'type' }] });
    expect(await loadRuleSet(fixture.db)).toEqual(before);
    const good = await fixture.send('POST', '/api/EmailRule', [ruleItem(), ruleItem()]);
    expect(good.json<Row[]>()).toHaveLength(2);
    expect((await loadRuleSet(fixture.db)).version).toBeGreaterThanOrEqual(before.version + 2);
  });
});

describe('POST /api/EmailRule updates', () => {
  it('only what is given; null clears', async () => {
    const row = await save(ruleItem({ body: 'text', '2starttag': 'from', scan_full_body: false }));
    await save({ id: row.id, name: 'New name', '2starttag': null, scan_full_body: null });
    expect(await read(row.id)).toMatchObject({
      name: 'New name',
      body: 'text',
      '2starttag': '',
      scan_full_body: true,
    });
    const answer = await fixture.send('POST', '/api/EmailRule', [{ id: row.id, type: null }]);
    expect(answer.json()).toMatchObject({ details: [{ field: 'type' }] });
  });

  it('nothing when a client posts back what it read', async () => {
    const row = await save(everyField(await newMailbox(fixture)));
    const whole = await read(row.id);
    await save(whole);
    expect(await read(row.id)).toEqual(whole);
  });

  it('the ending of a slot by its flag or by its selector, whichever the client changed', async () => {
    const row = await save(ruleItem({ starttag: 'x', endtag: 'y' }));
    const whole = await read(row.id);
    expect(await save({ ...whole, length: 4 })).toMatchObject({ length: 4, endtagmatchtype: 2 });
    expect(await save({ id: row.id, endtagmatchtype: 1 })).toMatchObject({
      useendofline: true,
      endtagmatchtype: 1,
    });
    expect(await save({ id: row.id, endtagmatchtype: 0 })).toMatchObject({ useendofline: false, length: 0 });
    expect(await save({ id: row.id, useendofline: true })).toMatchObject({ endtagmatchtype: 1 });
  });

  it('field mappings as a set: kept and changed by id, added, removed; absent leaves them', async () => {
    const row = await save(
      ruleItem({
        fieldmappings: [
          { fieldid: 1, starttag: 'a', endtag: 'b' },
          { fieldid: 2, searchtext: 'x', value: 'y', fieldtype: 2 },
        ],
      }),
    );
    const [first, second] = row.fieldmappings as [Mapping, Mapping];
    await save({ id: row.id, name: 'Same mappings' });
    expect((await read(row.id)).fieldmappings).toEqual(row.fieldmappings);
    const changed = await save({
      id: row.id,
      fieldmappings: [
        { id: second.id, value: 'z' },
        { fieldid: 5, starttag: 'q' },
      ],
    });
    expect(changed.fieldmappings).toMatchObject([
      { id: second.id, emailruleid: row.id, fieldid: 2, fieldtype: 2, searchtext: 'x', value: 'z' },
      { fieldid: 5, fieldtype: 0, starttag: 'q' },
    ]);
    const ids = changed.fieldmappings.map(({ id }) => id);
    expect(ids).not.toContain(first.id);
    expect(Math.max(...ids)).toBeGreaterThan(second.id);
    expect((await save({ id: row.id, fieldmappings: [] })).fieldmappings).toEqual([]);
    const unknown = await fixture.send('POST', '/api/EmailRule', [
      { id: row.id, fieldmappings: [{ id: first.id }] },
    ]);
    expect(unknown.statusCode).toBe(400);
  });

  it('of an unknown rule is 404', async () => {
    expect((await fixture.send('POST', '/api/EmailRule', [{ id: 999_999, name: 'x' }])).statusCode).toBe(404);
  });
});

describe('GET /api/EmailRule', () => {
  it('lists in the order of evaluation, without field mappings', async () => {
    await save(ruleItem({ name: 'b last', seq: -5 }));
    await save(ruleItem({ name: 'Z first', seq: 900, fieldmappings: [{ fieldid: 1, starttag: 'x' }] }));
    await save(ruleItem({ name: 'A second', seq: 899 }));
    await save(ruleItem({ name: 'c last', seq: -5 }));
    const list = (await fixture.send('GET', '/api/EmailRule')).json<Row[]>();
    const names = list.map(({ name }) => name);
    expect(names.slice(0, 2)).toEqual(['Z first', 'A second']);
    expect(names.slice(-2)).toEqual(['b last', 'c last']);
    expect(list[0]?.fieldmappings).toBeNull();
    expect((await fixture.send('GET', `/api/EmailRule/${list[0]?.id}`)).json()).toMatchObject({
      fieldmappings: null,
    });
  });

  it('by sender and by type', async () => {
    const exact = await save(ruleItem({ fromaddr: 'Ann@Example.org', fromaddrexact: true }));
    const part = await save(ruleItem({ fromaddr: '@example.org' }));
    const other = await save(ruleItem({ fromaddr: 'bob@' }));
    const any = await save(ruleItem());
    const ids = async (query: string) =>
      (await fixture.send('GET', `/api/EmailRule?${query}`)).json<Row[]>().map(({ id }) => id);
    const ann = await ids('FromAddress=ANN@example.org');
    expect(ann).toEqual(expect.arrayContaining([exact.id, part.id, any.id]));
    expect(ann).not.toContain(other.id);
    expect(await ids('fromaddress=joann@example.org')).not.toContain(exact.id);
    const supplier = await save(ruleItem({ type: 3 }));
    expect(await ids('type=3')).toEqual([supplier.id]);
    expect(await ids('type=77')).toEqual([]);
  });
});

describe('DELETE /api/EmailRule', () => {
  it('answers with the deleted rule and makes a new version', async () => {
    const row = await save(ruleItem({ fieldmappings: [{ fieldid: 1, starttag: 'x' }] }));
    const { version } = await loadRuleSet(fixture.db);
    const answer = await fixture.send('DELETE', `/api/EmailRule/${row.id}`);
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toMatchObject({ id: row.id, fieldmappings: [{ fieldid: 1 }] });
    expect((await loadRuleSet(fixture.db)).version).toBe(version + 1);
    expect((await fixture.send('DELETE', `/api/EmailRule/${row.id}`)).statusCode).toBe(404);
    expect((await fixture.send('GET', `/api/EmailRule/${row.id}`)).statusCode).toBe(404);
    const rows = await fixture.db
      .selectFrom('audit_log')
      .selectAll()
      .where('entity', '=', 'email_rule')
      .where('entity_id', '=', String(row.id))
      .execute();
    expect(rows.map(({ action }) => action)).toEqual(['create', 'delete']);
  });
});

describe('POST /api/EmailRule/test', () => {
  it('explains posted rules against posted bytes', async () => {
    const answer = await fixture.send('POST', '/api/EmailRule/test', {
      rules: [
        { name: 'no', type: 1, subject: 'absent', seq: 2 },
        { name: 'yes', type: 4, subject: 'DOWN', seq: 1, '4starttag': 'host ', '4useendofline': true },
        { name: 'off', type: 1, enabled: false },
      ],
      raw: rawMessage('server down', 'host web-1\nmore'),
    });
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toMatchObject({
      rules_version: null,
      rule: { id: 0, name: 'yes' },
      verdicts: [
        {
          position: 1,
          name: 'no',
          matched: false,
          conditions: [{ condition: 'subject', wanted: 'absent', matched: false }],
        },
        { position: 2, name: 'yes', matched: true },
        { position: 3, name: 'off', matched: false, conditions: [{ condition: 'enabled' }] },
      ],
      extracted: [{ target: 'slot:alert_key', value: 'web-1', source: 'text' }],
    });
  });

  it('explains stored rules against a stored message, and changes nothing', async () => {
    const mailbox = await newMailbox(fixture);
    const rule = await save(ruleItem({ subject: 'stored one', pop3serverid: mailbox, seq: 1_000 }));
    const email = (
      await fixture.send('POST', '/api/incomingemail', [{ mbid: mailbox, data: rawMessage('a stored one') }])
    ).json<Row>();
    const before = await fixture.db.selectFrom('incoming_email').selectAll().execute();
    const answer = await fixture.send('POST', '/api/EmailRule/test', {
      rule_ids: [rule.id],
      incomingemail_id: email.id,
    });
    expect(answer.json()).toMatchObject({ rule: { id: rule.id }, rules_version: expect.any(Number) });
    const all = await fixture.send('POST', '/api/EmailRule/test', { incomingemail_id: email.id });
    expect(all.json()).toMatchObject({ rule: { id: rule.id } });
    const elsewhere = { rule_ids: [rule.id], incomingemail_id: email.id, mailbox_id: mailbox + 1 };
    expect((await fixture.send('POST', '/api/EmailRule/test', elsewhere)).json()).toMatchObject({
      rule: null,
    });
    expect(await fixture.db.selectFrom('incoming_email').selectAll().execute()).toEqual(before);
  });

  it.each([
    ['no message', {}, 400],
    ['bytes that are no base64', { raw: '***' }, 400],
    ['an unknown message', { incomingemail_id: 999_999 }, 404],
    ['an unknown rule', { raw: rawMessage('x'), rule_ids: [999_999] }, 404],
    ['a rule without type', { raw: rawMessage('x'), rules: [{ name: 'x' }] }, 400],
    ['a broken pattern', { raw: rawMessage('x'), rules: [{ type: 1, patterns: [{ pattern: '[' }] }] }, 400],
  ])('not with %s', async (_, body, status) => {
    expect((await fixture.send('POST', '/api/EmailRule/test', body)).statusCode).toBe(status);
  });
});

describe('Rules between Halo’s names and ours', () => {
  it('a rule in a file is read like one in a request, and counts as enabled', () => {
    const rule = ruleFromHalo({ TYPE: 1, Subject: 'x', '2StartTag': 'a', unknown: 1 });
    expect(rule).toMatchObject({ type: 'help_request', enabled: true, subject: 'x' });
    expect(rule.slots[1].startTag).toBe('a');
    expect(() => ruleFromHalo({ subject: 'x' })).toThrow(/type is missing/);
    expect(() => ruleFromHalo({ type: 1, subject: 5 })).toThrow(/subject/);
    expect(() => ruleFromHalo({ type: 1, patterns: [{ pattern: '(' }] })).toThrow();
  });

  it('what a view shows makes the same rule again', () => {
    const { _warning, ...item } = everyField(3);
    const rule = draftRule(item as never, null);
    const again = draftRule(viewRule(rule, null, true), null);
    expect({ ...again, guid: '' }).toEqual({ ...rule, guid: '' });
  });

  it.each([
    ['slots[0].startTag', 'starttag'],
    ['slots[5].endTag', '6endtag'],
    ['fieldMappings[2].searchText', 'fieldmappings.2.searchtext'],
    ['patterns[1].pattern', 'patterns.1.pattern'],
    ['closeString', 'closestring'],
    ['sequence', 'seq'],
  ])('%s is %s to a client', (ours, halo) => {
    expect(haloFieldOf(ours)).toBe(halo);
  });
});
