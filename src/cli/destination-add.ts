/** `penstock destination add`. */
import { Command, Option } from 'commander';
import {
  DESTINATION_KINDS,
  DESTINATION_SECRET,
  type DestinationKind,
  HALO_ENDPOINTS,
  HALO_MODES,
  type HaloEndpoint,
  type HaloMode,
  SEVERITIES,
  type Severity,
} from '../deliver/destination.ts';
import { AllowList } from '../deliver/egress.ts';
import { EVENT_TYPES, type EventType } from '../deliver/event.ts';
import { addDestination, type DestinationChange } from '../deliver/save.ts';
import { fail } from '../errors.ts';
import { id, whole } from './arguments.ts';
import { readGivenFile } from './files.ts';
import { readSecretFromStdin } from './stdin.ts';
import { print, withRuntime } from './with-runtime.ts';

interface AddOptions {
  type: DestinationKind;
  name: string;
  url?: string;
  secretStdin?: boolean;
  event?: EventType[];
  mailbox?: number[];
  rule?: number[];
  concurrency?: number;
  timeout?: number;
  tlsCa?: string;
  severity?: Severity;
  haloMode?: HaloMode;
  clientId?: string;
  tenant?: string;
  haloMailbox?: number;
  haloEndpoint?: HaloEndpoint;
  haloClosedStatus?: number;
  json?: boolean;
}

export function addDestinationCommand(): Command {
  return new Command('add')
    .description('Add a destination')
    .addOption(
      new Option('--type <type>', 'what it is').choices([...DESTINATION_KINDS]).makeOptionMandatory(),
    )
    .requiredOption('--name <name>', 'what to call it')
    .option('--url <url>', 'endpoint of a webhook, origin of a Halo, or another endpoint of PagerDuty')
    .option(
      '--secret-stdin',
      'read from standard input: the signing keys, client secret, integration key, or URL of the REST endpoint',
    )
    .addOption(new Option('--event <event...>', 'only these events').choices([...EVENT_TYPES]))
    .option('--mailbox <id...>', 'only mail of these mailboxes', idList)
    .option('--rule <id...>', 'only mail of these rules', idList)
    .option('--concurrency <n>', 'deliveries at a time', whole(1, 32))
    .option('--timeout <seconds>', 'for one request', whole(1, 60))
    .option('--tls-ca <file>', 'an authority besides those of the system (PEM)')
    .addOption(new Option('--severity <severity>', 'of alerts, for those on call').choices([...SEVERITIES]))
    .addOption(
      new Option('--halo-mode <mode>', 'mail: Halo decides; tickets: as decided here').choices([
        ...HALO_MODES,
      ]),
    )
    .option('--client-id <id>', 'of an API application in Halo')
    .option('--tenant <name>', 'of a hosted Halo')
    .option('--halo-mailbox <number>', 'the mailbox in Halo that mail goes to', id)
    .addOption(new Option('--halo-endpoint <name>', 'of /Mail/Integrator').choices([...HALO_ENDPOINTS]))
    .option('--halo-closed-status <number>', 'the status of closed tickets in Halo', whole(0))
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Without --secret-stdin a signing key is made for a webhook, and shown once.

Example:
  penstock destination add --type webhook --name hub --url https://hub.example.org/penstock
  penstock destination add --type pagerduty --name duty --secret-stdin < integration-key`,
    )
    .action(async (options: AddOptions) => {
      const secret = options.secretStdin ? await readSecretFromStdin() : undefined;
      if (secret === undefined && options.type !== 'webhook')
        throw fail(
          'validation_failed',
          `Give the ${DESTINATION_SECRET[options.type].about} with --secret-stdin.`,
        );
      const tlsCa = options.tlsCa === undefined ? undefined : String(await readGivenFile(options.tlsCa));
      const { destination, madeKey, isRepeat } = await withRuntime(async ({ db, keys, config }) => {
        const allowed = new AllowList(config.destinations.allow);
        return await db
          .transaction()
          .execute((tx) =>
            addDestination(
              { tx, keys, allowed, actor: 'cli' },
              options.type,
              changeOf(options, secret, tlsCa),
            ),
          );
      });
      const { id, name, kind, settings } = destination;
      const made = madeKey === null ? {} : { made_secret: madeKey };
      print(
        options.json,
        { id, name, type: kind, url: settings.url, events: settings.events, ...made },
        () => {
          const lines = [
            `Destination ${id} is ${isRepeat ? 'there already' : 'added'}; \`penstock destination test ${id}\` tries it.`,
          ];
          if (madeKey !== null) lines.push(`signing key: ${madeKey}`, '', 'The key is not shown again.');
          return lines.join('\n');
        },
      );
    });
}

function changeOf(
  options: AddOptions,
  secret: string | undefined,
  tlsCa: string | undefined,
): DestinationChange {
  const settings = {
    url: options.url,
    events: options.event,
    mailboxIds: options.mailbox,
    ruleIds: options.rule,
    concurrency: options.concurrency,
    timeoutSeconds: options.timeout,
    severity: options.severity,
    tlsCa,
  };
  const halo = {
    mode: options.haloMode,
    clientId: options.clientId,
    tenant: options.tenant,
    mailboxId: options.haloMailbox,
    endpoint: options.haloEndpoint,
    closedStatusId: options.haloClosedStatus,
  };
  return {
    name: options.name,
    settings: given(settings),
    halo: given(halo),
    ...(secret === undefined ? {} : { secret }),
  };
}

/** Without what was not said. */
function given<T extends object>(all: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const known = Object.entries(all).filter(([, value]) => value !== undefined);
  return Object.fromEntries(known) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

function idList(text: string, before: number[] | undefined): number[] {
  return [...(before ?? []), id(text)];
}
