import { describe, expect, it } from 'vitest';
import {
  type DemoMailboxRow,
  type DemoRecord,
  type DemoReport,
  demoRecord,
  isAsItShouldBe,
  isFinished,
  percentile,
  tally,
  unmetExpectations,
} from '../../src/lab/demo-report.ts';
import { renderArrival, renderSummary } from '../../src/lab/demo-summary.ts';
import { SampleStream } from '../../src/lab/samples/samples.ts';
import type { TraceRow } from '../../src/observe/trace.ts';

const at = '2026-03-02T09:30:00.000Z';

function record(changes: Partial<DemoRecord> = {}): DemoRecord {
  return {
    id: 1,
    name: '0001-plain',
    kind: 'plain',
    mailbox: 'IMAP',
    from: 'tom@larkfield.example',
    subject: 'Printer',
    class: 'human',
    rule: null,
    outcome: 'create',
    reason: 'no_rule',
    ticket: 7,
    milliseconds: 40,
    expect: { outcome: 'create', class: 'human', rule: null },
    ...changes,
  };
}

function mailboxRow(changes: Partial<DemoMailboxRow> = {}): DemoMailboxRow {
  const delivered = changes.delivered ?? 1;
  const found = { listed: delivered, accounted: delivered, unaccounted: 0 };
  return { name: 'IMAP', told: 'IDLE', delivered, ...found, ...changes };
}

function report(changes: Partial<DemoReport> = {}): DemoReport {
  const records = changes.records ?? [record()];
  return {
    records,
    missing: [],
    unmet: unmetExpectations(records),
    mailboxes: [mailboxRow({ delivered: records.length })],
    seconds: { start: 3.2, intake: 2, total: 6.1 },
    api: {
      url: 'http://127.0.0.1:4321',
      docs: 'http://127.0.0.1:4321/docs',
      clientId: 'client-1',
      secretFile: '/tmp/x/admin-client.json',
    },
    logFile: '/tmp/x/penstock.log',
    once: false,
    ...changes,
  };
}

describe('a record of the demo', () => {
  const sample = new SampleStream(1).write('alert-problem')!;
  const trace: TraceRow[] = [
    { at, event: 'stored', sha256: 'aa', bytes: 5, state: 'stored' },
    { at, event: 'classified', class: 'auto-generated', evidence: [] },
    {
      at,
      event: 'rules',
      version: 3,
      rule: { id: 2, name: 'Monitoring alerts' },
      conditions: [],
      extracted: [],
    },
    { at, event: 'outcome', kind: 'alert_open', reason: 'new_alert', ticket: 12 },
  ];

  it('is put together from list and trace', () => {
    const made = demoRecord(sample, 'Graph', Date.parse(at) - 250, {
      id: 5,
      status: 2,
      processedAt: at,
      trace,
    });
    expect(made).toEqual({
      id: 5,
      name: sample.name,
      kind: 'alert-problem',
      mailbox: 'Graph',
      from: 'monitoring@watch.example.net',
      subject: sample.subject,
      class: 'auto-generated',
      rule: 'Monitoring alerts',
      outcome: 'alert_open',
      reason: 'new_alert',
      ticket: 12,
      milliseconds: 250,
      expect: sample.expect,
    });
    expect(unmetExpectations([made])).toEqual([]);
  });

  it('says why a message is in quarantine', () => {
    const failed: TraceRow[] = [
      {
        at,
        event: 'failed',
        stage: 'parse',
        code: 'mime_limit',
        message: 'Too deep.',
        attempts: 1,
        final: true,
      },
    ];
    const made = demoRecord(sample, 'Graph', 0, { id: 5, status: 5, processedAt: null, trace: failed });
    expect(made).toMatchObject({
      outcome: 'quarantine',
      class: null,
      rule: null,
      reason: 'Too deep. (mime_limit)',
    });
  });

  it.each([
    [0, false],
    [1, false],
    [2, true],
    [3, true],
    [4, false],
    [5, true],
    [8, true],
  ])('with status %i is finished: %s', (status, finished) => {
    expect(isFinished(status)).toBe(finished);
  });
});

describe('expectations', () => {
  it('name each difference', () => {
    const records = [
      record({ outcome: 'ignore', rule: 'Newsletters' }),
      record({ name: '0002-vip', class: 'list', expect: { outcome: 'create', class: 'human', rule: 'VIP' } }),
      record({
        name: '0003-too-deep',
        class: null,
        outcome: 'quarantine',
        expect: { outcome: 'quarantine', class: null, rule: null },
      }),
    ];
    expect(unmetExpectations(records)).toEqual([
      '0001-plain: outcome should be create and is ignore',
      '0001-plain: rule should be none and is Newsletters',
      '0002-vip: rule should be VIP and is none',
      '0002-vip: class should be human and is list',
    ]);
  });

  it.each([
    [report(), true],
    [report({ missing: ['0002-plain'] }), false],
    [report({ unmet: ['x'] }), false],
    [report({ mailboxes: [mailboxRow(), mailboxRow({ accounted: 0, unaccounted: 1 })] }), false],
    // It could not be listed.
    [report({ mailboxes: [mailboxRow(), mailboxRow({ listed: 0, accounted: 0 })] }), false],
  ])('decide the exit code (%#)', (made, expected) => {
    expect(isAsItShouldBe(made)).toBe(expected);
  });
});

describe('figures', () => {
  it('are counted, most frequent first', () => {
    expect(tally(['b', 'a', 'c', 'a', 'b'])).toEqual([
      ['a', 2],
      ['b', 2],
      ['c', 1],
    ]);
  });

  it.each([
    [[], 0.5, 0],
    [[7], 1, 7],
    [[30, 10, 20], 0.5, 20],
    [[30, 10, 20], 1, 30],
  ])('of %j at %f are %i', (values, share, expected) => {
    expect(percentile(values, share)).toBe(expected);
  });
});

describe('the summary', () => {
  const records = [
    record(),
    record({
      id: 2,
      kind: 'newsletter',
      class: 'list',
      outcome: 'ignore',
      rule: 'Newsletters',
      ticket: null,
      reason: 'rule',
    }),
    record({
      id: 3,
      kind: 'too-deep',
      class: null,
      outcome: 'quarantine',
      ticket: null,
      reason: 'Too deep. (mime_limit)',
    }),
  ];

  it('counts, explains, proves and shows where to look', () => {
    const text = renderSummary(report({ records, unmet: [] }));
    expect(text).toContain('3 messages went from 1 mailboxes through rules into records in 2.0 s (2/s).');
    expect(text).toMatch(/ticket created +1\n/);
    expect(text).toMatch(/quarantined +1\n/);
    expect(text).toMatch(/not read +1\n/);
    expect(text).toMatch(/Newsletters +1\n/);
    expect(text).toMatch(/1 +Printer +ticket created +7 +no rule matched, and it belongs to no ticket\n/);
    expect(text).toMatch(/2 +Printer +ignored +rule "Newsletters"\n/);
    expect(text).toMatch(/3 +Printer +quarantined +Too deep. \(mime_limit\)\n/);
    expect(text).toContain('3 on the servers, 3 accounted for, 0 unaccounted.');
    expect(text).toContain('Every message became what it should.');
    for (const place of [
      'http://127.0.0.1:4321/docs',
      'client-1',
      '/tmp/x/admin-client.json',
      '/tmp/x/penstock.log',
    ]) {
      expect(text).toContain(place);
    }
    expect(text).toContain('/api/incomingemail/2/trace');
  });

  it('has a row for each mailbox, and one for all', () => {
    const mailboxes = [
      mailboxRow({ delivered: 2 }),
      mailboxRow({ name: 'Graph', told: 'notifications', delivered: 5, listed: 1, accounted: 1 }),
    ];
    const [ignored, quarantined] = [records[1]!, { ...records[2]!, mailbox: 'Graph' }];
    const text = renderSummary(report({ records: [records[0]!, ignored, quarantined], mailboxes }));
    expect(text).toMatch(/IMAP +IDLE +2 +2 +1 ignored, 1 ticket created\n/);
    expect(text).toMatch(/Graph +notifications +1 +1 +1 quarantined\n/);
    expect(text).toMatch(/all +3 +3 +1 ignored, 1 quarantined, 1 ticket created\n/);
    expect(text).toContain('Graph: 5 were delivered, and the audit found 1 on the server.');
  });

  it('names what is not as it should be, and not without end', () => {
    const unmet = Array.from({ length: 50 }, (_, index) => `record ${index} is odd`);
    const text = renderSummary(report({ unmet, missing: ['0009-plain'] }));
    expect(text).toContain('51 things are not as they should be:');
    expect(text).toContain('0009-plain never turned up');
    expect(text).toContain('record 18 is odd');
    expect(text).not.toContain('record 19 is odd');
    expect(text).toContain('and 31 more');
  });

  it('offers no commands for what is gone', () => {
    const text = renderSummary(report({ once: true }));
    expect(text).not.toContain('curl');
    expect(text).toContain('stopped and removed');
  });

  it('lets no subject write to the terminal', () => {
    const hostile = record({ subject: 'a\u001b[2Jb\nc', reason: '\u001b]0;x\u0007' });
    expect(renderSummary(report({ records: [hostile] }))).not.toContain('\u001b');
    const line = renderArrival(hostile, new Date(at));
    expect(line).not.toContain('\u001b');
    expect(line).not.toContain('\n');
  });

  it('is a readable page of plain lines', () => {
    for (const line of renderSummary(report({ records })).split('\n')) {
      if (!line.includes('curl')) expect(line.length).toBeLessThanOrEqual(160);
    }
  });
});

describe('the line of a message that came later', () => {
  it('says who, what and why', () => {
    const line = renderArrival(record({ rule: 'Orders' }), new Date(at));
    expect(line).toMatch(
      /^\d\d:30:00 {2}IMAP {3}tom@larkfield.example +Printer +ticket created #7 +rule: Orders {2}40 ms$/,
    );
  });
});
