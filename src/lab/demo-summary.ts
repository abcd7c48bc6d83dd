/** The demo's report as a page for a person. Pure. */
import { table } from '../cli/table.ts';
import { padEnd, printable, truncate } from '../cli/text.ts';
import { type DemoMailboxRow, type DemoRecord, type DemoReport, percentile, tally } from './demo-report.ts';

const OUTCOME_WORDS: Readonly<Record<string, string>> = {
  create: 'ticket created',
  update: 'ticket updated',
  close: 'ticket closed',
  alert_open: 'alert opened',
  alert_update: 'alert updated',
  alert_close: 'alert closed',
  service_status: 'service status noted',
  drop: 'dropped (sender not known)',
  ignore: 'ignored',
  park: 'parked (sender not known)',
  quarantine: 'quarantined',
};
/** The codes of reasons as a person says them; others are shown as they are. */
const REASON_WORDS: Readonly<Record<string, string>> = {
  no_rule: 'no rule matched, and it belongs to no ticket',
  rule: '',
  reply: 'answers a message of that ticket',
  supplier_reference: 'has the supplier reference of that ticket',
  supplier_reference_unknown: 'first mail with this supplier reference',
  new_alert: 'first mail with this alert key',
  same_alert: 'same alert key again',
  recovered: 'same alert key, and it is over',
  bounce: 'a bounce, and no rule wants it',
  report: 'a receipt, and no rule wants it',
};
/** One of each of these is shown with its reason. */
const EXAMPLES = [
  'plain',
  'charset',
  'reply',
  'order',
  'invoice',
  'alert-problem',
  'alert-recovery',
  'newsletter',
  'auto-reply',
  'bounce',
  'broken',
  'too-deep',
] as const;
const INDENT = '  ';
const MAX_COMPLAINTS = 20;

export function renderSummary(report: DemoReport): string {
  const { records, mailboxes, seconds, once } = report;
  const rate = Math.round(records.length / Math.max(seconds.intake, 0.001));
  const sections = [
    `${records.length} messages went from ${mailboxes.length} mailboxes through rules into records in ${seconds.intake.toFixed(1)} s (${rate}/s).`,
    section('The mailboxes', mailboxTable(report)),
    section(
      'What became of them',
      countTable('outcome', tally(records.map(({ outcome }) => words(outcome)))),
    ),
    section(
      'Who wrote them',
      countTable('class', tally(records.map((record) => record.class ?? 'not read'))),
    ),
    section('Which rule decided', countTable('rule', tally(records.map(({ rule }) => rule ?? '(none)')))),
    section('Some of them, and why', exampleTable(records)),
    section('Is every message accounted for?', proof(report)),
    section('Where to look', places(report)),
  ];
  if (!once) sections.push(section('Try', commands(report)));
  return `\n${sections.join('\n\n')}\n`;
}

/** One line for a message that came in later. */
export function renderArrival(record: DemoRecord, at: Date): string {
  const { mailbox, from, subject, outcome, ticket, rule, milliseconds } = record;
  const what = ticket === null ? words(outcome) : `${words(outcome)} #${ticket}`;
  const facts = [
    at.toTimeString().slice(0, 8),
    padEnd(mailbox, 5),
    padEnd(truncate(printable(from), 28), 28),
    padEnd(truncate(printable(subject), 40), 40),
    padEnd(what, 20),
    rule === null ? 'no rule' : `rule: ${printable(rule)}`,
    `${milliseconds} ms`,
  ];
  return facts.join('  ');
}

function words(outcome: string): string {
  return OUTCOME_WORDS[outcome] ?? outcome;
}

function section(title: string, body: string): string {
  return `${title}\n${body}`;
}

function countTable(what: string, counts: [string, number][]): string {
  return table([what, 'messages'], counts, { indent: INDENT });
}

function exampleTable(records: readonly DemoRecord[]): string {
  const rows = EXAMPLES.flatMap((kind) => {
    const record = records.find((candidate) => candidate.kind === kind);
    if (!record) return [];
    const { id, subject, outcome, ticket, rule, reason } = record;
    return [[id, truncate(printable(subject), 38), words(outcome), ticket ?? '', because(rule, reason)]];
  });
  return table(['id', 'subject', 'outcome', 'ticket', 'because'], rows, { indent: INDENT, maxCellWidth: 90 });
}

function because(rule: string | null, reason: string): string {
  const told = REASON_WORDS[reason] ?? reason;
  return [rule === null ? '' : `rule "${rule}"`, told].filter((part) => part !== '').join(': ');
}

function mailboxTable({ mailboxes, records }: DemoReport): string {
  const cells = (name: string, told: string, rows: readonly DemoMailboxRow[], of: readonly DemoRecord[]) => {
    const sum = (field: 'listed' | 'accounted'): number => rows.reduce((all, row) => all + row[field], 0);
    const outcomes = tally(of.map(({ outcome }) => words(outcome))).map(
      ([word, count]) => `${count} ${word}`,
    );
    return [name, told, sum('listed'), sum('accounted'), outcomes.join(', ')];
  };
  return table(
    ['mailbox', 'new mail by', 'on the server', 'accounted for', 'outcomes'],
    [
      ...mailboxes.map((row) =>
        cells(
          row.name,
          row.told,
          [row],
          records.filter(({ mailbox }) => mailbox === row.name),
        ),
      ),
      cells('all', '', mailboxes, records),
    ],
    { indent: INDENT, maxCellWidth: 120 },
  );
}

function proof({ mailboxes, missing, unmet, records, seconds }: DemoReport): string {
  const times = records.map(({ milliseconds }) => milliseconds);
  const sum = (field: 'listed' | 'accounted' | 'unaccounted'): number =>
    mailboxes.reduce((all, row) => all + row[field], 0);
  const unlisted = mailboxes.filter(({ delivered, listed }) => listed !== delivered);
  const lines = [
    `${sum('listed')} on the servers, ${sum('accounted')} accounted for, ${sum('unaccounted')} unaccounted.`,
    ...unlisted.map(
      ({ name, delivered, listed }) =>
        `${name}: ${delivered} were delivered, and the audit found ${listed} on the server.`,
    ),
    unmet.length === 0 && missing.length === 0
      ? 'Every message became what it should.'
      : `${unmet.length + missing.length} things are not as they should be:`,
    ...limited([
      ...missing.map((name) => `${INDENT}${name} never turned up`),
      ...unmet.map((line) => INDENT + line),
    ]),
    `From delivery to processed: half within ${percentile(times, 0.5)} ms, all within ${percentile(times, 1)} ms ` +
      '(they came all at once).',
    `Ready after ${seconds.start.toFixed(1)} s, done after ${seconds.total.toFixed(1)} s.`,
  ];
  return lines.map((line) => INDENT + line).join('\n');
}

function limited(lines: string[]): string[] {
  if (lines.length <= MAX_COMPLAINTS) return lines;
  return [...lines.slice(0, MAX_COMPLAINTS), `${INDENT}and ${lines.length - MAX_COMPLAINTS} more`];
}

function places({ api, logFile, once }: DemoReport): string {
  const rows: [string, string][] = [
    ['API', `${api.url}/api`],
    ['Documentation', api.docs],
    ['Metrics', `${api.url}/metrics`],
    ['Client id', api.clientId],
    ['Client secret', `in ${api.secretFile}`],
    ['Log', logFile],
  ];
  const lines = rows.map(([name, value]) => `${INDENT}${padEnd(name, 15)}${value}`);
  if (once) lines.push(`${INDENT}All of it is stopped and removed now; without --once the demo goes on.`);
  return lines.join('\n');
}

function commands({ api, records }: DemoReport): string {
  const example = (records.find(({ rule }) => rule !== null) ?? records[0])?.id ?? 1;
  const authorised = 'curl -s -H "Authorization: Bearer $TOKEN"';
  const lines = [
    `SECRET=$(node -p 'require("${api.secretFile}").client_secret')`,
    `TOKEN=$(curl -s ${api.url}/auth/token -d grant_type=client_credentials -d client_id=${api.clientId} \\`,
    `  -d client_secret="$SECRET" | node -p 'JSON.parse(fs.readFileSync(0)).access_token')`,
    `${authorised} "${api.url}/api/incomingemail?pageinate=true&page_size=5"`,
    `${authorised} ${api.url}/api/incomingemail/${example}/trace    # every step of one message`,
    `${authorised} ${api.url}/api/incomingemail/${example}/raw      # its bytes`,
  ];
  return lines.map((line) => INDENT + line).join('\n');
}
