/** Mail by monitoring systems: problems, and the recoveries that end them. */
import { textEntity } from './compose.ts';
import { BACKUP, MONITORING, ON_CALL, PAGER } from './people.ts';
import type { Random } from './random.ts';
import type { Sample, SampleKind, SampleWriter } from './sample.ts';

const CHECKS = [
  {
    service: 'HTTP',
    problem: 'CRITICAL - Socket timeout after 10 seconds',
    fine: 'OK - HTTP/1.1 200, 0.041 s',
  },
  { service: 'Disk /var', problem: 'CRITICAL - 2 % free (1.1 GiB)', fine: 'OK - 37 % free (19.8 GiB)' },
  {
    service: 'Load',
    problem: 'CRITICAL - load average 48.1, 40.7, 31.9',
    fine: 'OK - load average 0.7, 1.1, 2.0',
  },
  { service: 'Certificate', problem: 'CRITICAL - expires in 2 days', fine: 'OK - expires in 90 days' },
  { service: 'Replication', problem: 'CRITICAL - 612 s behind', fine: 'OK - 0 s behind' },
] as const;
const HOSTS = ['web-01', 'web-02', 'web-03', 'db-01', 'db-02', 'mail-01', 'queue-01', 'edge-07'] as const;
const BUSINESS_SERVICES = [
  'Checkout',
  'Order database',
  'Search',
  'Warehouse sync',
  'Label printing',
] as const;

type Check = (typeof CHECKS)[number];

/** A problem that is open: what is needed to write its recovery. */
export interface OpenProblem {
  kind: 'alert' | 'pager' | 'on-call';
  key: string;
  /** The latest mail about it. */
  sample: Sample;
  /** Writes the mail that ends it, which comes after `latest`. */
  writeRecovery: (writer: SampleWriter, latest: Sample) => Sample;
}

/** A check of a host that failed. The alert key, between brackets, ties the recovery to it. */
export function alertProblem(writer: SampleWriter, taken: ReadonlySet<string>): OpenProblem {
  const { random } = writer;
  const { key, host, check } = freeCheck(random, taken);
  const sample = writeAlert(writer, host, check, null);
  return {
    kind: 'alert',
    key,
    sample,
    writeRecovery: (later, latest) => writeAlert(later, host, check, latest),
  };
}

/** The same problem again: its open ticket is updated, none is made. */
export function alertRepeated(writer: SampleWriter, open: OpenProblem): Sample {
  const [host = '', service = ''] = open.key.split('/');
  const check = CHECKS.find((candidate) => candidate.service.startsWith(service));
  if (!check) throw new Error(`No check for ${open.key}`);
  return writeAlert(writer, host, check, open.sample, true);
}

function writeAlert(
  writer: SampleWriter,
  host: string,
  check: Check,
  problem: Sample | null,
  repeated = false,
): Sample {
  const ends = problem !== null && !repeated;
  const type = ends ? 'RECOVERY' : 'PROBLEM';
  const state = ends ? 'OK' : 'CRITICAL';
  const text = [
    '***** Monitoring *****',
    '',
    `Notification Type: ${type}`,
    `Service: ${check.service}`,
    `Host: ${host}.prod.desk.example.com`,
    `Address: 192.0.2.${writer.random.between(10, 99)}`,
    `State: ${state}`,
    `Date/Time: ${writer.date.toUTCString()}`,
    '',
    'Additional Info:',
    ends ? check.fine : check.problem,
    '',
    `Alert-Key: [${host}/${check.service}]`,
    '',
  ];
  return writer.write({
    kind: ends ? 'alert-recovery' : 'alert-problem',
    from: MONITORING,
    subject: `** ${type} Service Alert: ${host}/${check.service} is ${state} **`,
    entity: textEntity(text.join('\n')),
    headers: [
      ['Auto-Submitted', 'auto-generated'],
      ['X-Notification-Type', type],
    ],
    follows: problem ?? undefined,
    expect: {
      outcome: ends ? 'alert_close' : repeated ? 'alert_update' : 'alert_open',
      class: 'auto-generated',
      rule: 'Monitoring alerts',
    },
  });
}

function freeCheck(random: Random, taken: ReadonlySet<string>): { key: string; host: string; check: Check } {
  const free = HOSTS.flatMap((host) =>
    CHECKS.map((check) => ({ key: `${host}/${check.service}`, host, check })),
  );
  return random.pick(free.filter(({ key }) => !taken.has(key)));
}

/** An incident in the manner of PagerDuty. */
export function pagerIncident(writer: SampleWriter): OpenProblem {
  const { random } = writer;
  const number = String(random.between(10_000, 99_999));
  const service = random.pick(BUSINESS_SERVICES);
  const write = (at: SampleWriter, status: 'Triggered' | 'Resolved', problem?: Sample): Sample =>
    writeIncident(at, {
      kind: 'pager',
      from: PAGER,
      rule: 'Pager incidents',
      subject: `[#${number}] ${status.toUpperCase()}: ${service} does not answer`,
      lines: [
        `Incident Number: ${number}`,
        `Status: ${status}`,
        `Service: ${service}`,
        `Urgency: ${random.pick(['high', 'low'])}`,
        `Link: https://pager.example.net/incidents/P${number}`,
      ],
      problem,
    });
  const sample = write(writer, 'Triggered');
  return {
    kind: 'pager',
    key: number,
    sample,
    writeRecovery: (later, latest) => write(later, 'Resolved', latest),
  };
}

/** An alert in the manner of Splunk On-Call. */
export function onCallAlert(writer: SampleWriter): OpenProblem {
  const { random } = writer;
  const entity = `${random.pick(HOSTS)}.${random.pick(['cpu', 'memory', 'latency', 'errors'])}.${random.hex(3)}`;
  const write = (at: SampleWriter, state: 'CRITICAL' | 'RECOVERY', problem?: Sample): Sample =>
    writeIncident(at, {
      kind: 'on-call',
      from: ON_CALL,
      rule: 'On-call alerts',
      subject: `${state}: ${entity}`,
      lines: [
        `Entity ID: ${entity}`,
        `Message Type: ${state}`,
        `Routing Key: ${random.pick(['platform', 'network', 'database'])}`,
        `State Message: ${state === 'CRITICAL' ? 'above its threshold for 5 minutes' : 'back to normal'}`,
      ],
      problem,
    });
  const sample = write(writer, 'CRITICAL');
  return {
    kind: 'on-call',
    key: entity,
    sample,
    writeRecovery: (later, latest) => write(later, 'RECOVERY', latest),
  };
}

interface Incident {
  kind: SampleKind;
  from: typeof PAGER;
  rule: string;
  subject: string;
  lines: string[];
  problem: Sample | undefined;
}

function writeIncident(writer: SampleWriter, incident: Incident): Sample {
  const { kind, from, rule, subject, lines, problem } = incident;
  return writer.write({
    kind,
    from,
    subject,
    entity: textEntity(`${lines.join('\n')}\n`),
    headers: [['Auto-Submitted', 'auto-generated']],
    follows: problem,
    expect: { outcome: problem ? 'alert_close' : 'alert_open', class: 'auto-generated', rule },
  });
}

/** The nightly report of a backup; a rule with a regular expression reads host and state from the subject. */
export function backupReport(writer: SampleWriter): Sample {
  const { random } = writer;
  const host = random.pick(HOSTS);
  const gigabytes = random.between(4, 900);
  return writer.write({
    kind: 'backup-report',
    from: BACKUP,
    subject: `[${host}] backup failed after ${random.between(2, 170)} min (${gigabytes} GB)`,
    entity: textEntity(`Job: nightly-${host}\nVolume: ${gigabytes} GB\nReason: target not reachable\n`),
    headers: [['Auto-Submitted', 'auto-generated']],
    expect: { outcome: 'create', class: 'auto-generated', rule: 'Failed backups (regular expression)' },
  });
}
