/** `penstock mailbox`: add, list, test, pause, resume, poll, refetch, remove. */
import { Command, Option } from 'commander';
import { asPenstockError, fail, type PenstockError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { secretOwner, sourceFor, sourceOf } from '../mailbox-source.ts';
import { defaultPort, POLLED_KINDS } from '../source/kinds.ts';
import type { DiagnosisStep, SourceKind } from '../source/source.ts';
import { writeAudit } from '../store/audit-log.ts';
import type { Tx } from '../store/database.ts';
import {
  checkMailboxSettings,
  defaultMailboxSettings,
  type MailboxSettings,
} from '../store/mailbox-settings.ts';
import {
  createMailbox,
  deleteMailbox,
  findMailbox,
  listMailboxes,
  type Mailbox,
  mailboxStates,
  stateOf,
  updateMailbox,
} from '../store/mailboxes.ts';
import { notify } from '../store/notify.ts';
import { writeSecret } from '../store/secrets.ts';
import { id, whole } from './arguments.ts';
import { diagnosisText } from './diagnosis.ts';
import { EXIT } from './exit.ts';
import { refetchCommand } from './mailbox-refetch.ts';
import { mailboxRow } from './mailbox-row.ts';
import { readSecretFromStdin } from './stdin.ts';
import { table } from './table.ts';
import { print, withRuntime } from './with-runtime.ts';

const ACTOR = 'cli';
const DIAGNOSIS_MS = 60_000;

interface AddOptions {
  type: SourceKind;
  name?: string;
  host: string;
  port?: number;
  user: string;
  passwordStdin?: boolean;
  tokenStdin?: boolean;
  tls: 'implicit' | 'starttls' | 'none';
  tlsNoVerify?: boolean;
  folder: string[];
  after: 'leave' | 'seen' | 'move' | 'delete';
  afterFolder?: string;
  poll: number;
  firstSync: string;
  maxMegabytes?: number;
  paused?: boolean;
  test?: boolean;
  json?: boolean;
}

export function mailboxCommand(): Command {
  const command = new Command('mailbox')
    .description('Mailboxes')
    .addHelpText('after', '\nExample:\n  penstock mailbox list');
  command.addCommand(addCommand());
  command
    .command('list')
    .description('List the mailboxes with their state and progress')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  penstock mailbox list')
    .action(async (options: { json?: boolean }) => {
      const rows = await withRuntime(async ({ db }) => {
        const states = await mailboxStates(db);
        return (await listMailboxes(db)).map((mailbox) =>
          mailboxRow(mailbox, stateOf(states, mailbox.id), new Date()),
        );
      });
      print(options.json, rows, () => {
        const advice = rows.flatMap((row) =>
          row.advice ? [`Mailbox ${row.id}: ${row.error}. ${row.advice}`] : [],
        );
        const listed = table(
          ['id', 'name', 'server', 'state', 'last listed', 'progress', 'error'],
          rows.map((row) => [
            row.id,
            row.name,
            row.server,
            row.state,
            row.lastListed ?? 'never',
            row.progressText,
            row.error ?? '',
          ]),
        );
        return [listed, ...advice].join('\n');
      });
    });
  command
    .command('test')
    .description('Try the connection step by step and say what to change')
    .argument('<id>', 'mailbox', id)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExit code: 0 when every step passed, 1 when not.\n\nExample:\n  penstock mailbox test 1',
    )
    .action(async (id: number, options: { json?: boolean }) => {
      const steps = await withRuntime(async ({ db, keys }) => {
        const source = await sourceOf(db, keys, await existing(db, id));
        return await source.diagnose(AbortSignal.timeout(DIAGNOSIS_MS));
      });
      printDiagnosis(steps, options.json);
    });
  command.addCommand(
    changeCommand('pause', 'Stop polling a mailbox', (mailbox) => ({ ...mailbox, enabled: false })),
  );
  command.addCommand(
    changeCommand('resume', 'Poll a mailbox again', (mailbox) => ({ ...mailbox, enabled: true })),
  );
  command
    .command('poll')
    .description('Poll a mailbox now')
    .argument('<id>', 'mailbox', id)
    .addHelpText('after', '\nExample:\n  penstock mailbox poll 1')
    .action(async (id: number) => {
      await withRuntime(async ({ db }) => {
        await existing(db, id);
        await notify(db, `poll:${id}`);
      });
      process.stdout.write(`Mailbox ${id} is polled now, if a daemon runs.\n`);
    });
  command.addCommand(refetchCommand());
  command
    .command('remove')
    .description('Remove a mailbox; its records and its ledger stay')
    .argument('<id>', 'mailbox', id)
    .addHelpText('after', '\nExample:\n  penstock mailbox remove 1')
    .action(async (id: number) => {
      await inTransaction(async (tx) => {
        await existing(tx, id);
        await deleteMailbox(tx, id);
        await writeAudit(tx, { actor: ACTOR, action: 'delete', entity: 'mailbox', entityId: id });
      });
      process.stdout.write(`Mailbox ${id} is removed.\n`);
    });
  return command;
}

function addCommand(): Command {
  return new Command('add')
    .description('Add a mailbox')
    .addOption(new Option('--type <type>', 'kind of server').choices(POLLED_KINDS).default('imap'))
    .option('--name <name>', 'name to show; default: the user')
    .requiredOption('--host <host>', 'server')
    .option(
      '--port <port>',
      'port; default 993 (POP3: 995), without implicit TLS 143 (110)',
      whole(1, 65_535),
    )
    .requiredOption('--user <user>', 'login name')
    .option('--password-stdin', 'read the password from standard input')
    .addOption(
      new Option('--token-stdin', 'read an OAuth access token from standard input (XOAUTH2)').conflicts(
        'passwordStdin',
      ),
    )
    .addOption(
      new Option('--tls <mode>', 'TLS').choices(['implicit', 'starttls', 'none']).default('implicit'),
    )
    .option('--tls-no-verify', 'accept any certificate')
    .option('--folder <folder...>', 'folders to read', ['INBOX'])
    .addOption(
      new Option(
        '--after <what>',
        'what is done on the server with mail that is safe here; POP3 can leave or delete',
      )
        .choices(['leave', 'seen', 'move', 'delete'])
        .default('leave'),
    )
    .option('--after-folder <folder>', 'where --after move puts it')
    .option('--poll <seconds>', 'poll interval', whole(1, 86_400), 60)
    .option('--first-sync <what>', 'all, now, or a date: mail the server received since (not POP3)', 'all')
    .option(
      '--max-megabytes <n>',
      'largest message to take',
      whole(1, LIMITS.messageBytesCeiling / 1_048_576),
    )
    .option('--paused', 'do not poll yet')
    .option('--test', 'try the connection first; add only when it works')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExit code: 0 added, 1 --test failed and nothing was added, 2 wrong settings.\n\nExample:\n  printf secret | penstock mailbox add --host imap.example.org --user help@example.org --password-stdin --after seen',
    )
    .action(async (options: AddOptions) => {
      const settings = settingsOf(options);
      const secret = options.passwordStdin || options.tokenStdin ? await readSecretFromStdin() : null;
      if (secret === null)
        throw fail(
          'validation_failed',
          'Give the password with --password-stdin or a token with --token-stdin.',
        );
      const secrets = options.tokenStdin
        ? { password: null, token: secret }
        : { password: secret, token: null };
      if (options.test) {
        const steps = await sourceFor(options.type, settings, secrets).diagnose(
          AbortSignal.timeout(DIAGNOSIS_MS),
        );
        if (steps.some((step) => !step.ok)) return printDiagnosis(steps, options.json);
      }
      const name = options.name ?? options.user;
      const mailbox = await withRuntime(({ db, keys }) =>
        db.transaction().execute(async (tx) => {
          const made = await createMailbox(tx, {
            name,
            kind: options.type,
            enabled: !options.paused,
            settings,
            halo: {},
          });
          await writeSecret(
            tx,
            keys,
            secretOwner(made.id),
            options.tokenStdin ? 'token' : 'password',
            secret,
          );
          await writeAudit(tx, {
            actor: ACTOR,
            action: 'create',
            entity: 'mailbox',
            entityId: made.id,
            change: { name },
          });
          return made;
        }),
      );
      print(
        options.json,
        { id: mailbox.id, name: mailbox.name },
        () => `Mailbox ${mailbox.id} (${name}) is added.`,
      );
    });
}

function settingsOf(options: AddOptions): MailboxSettings {
  const settings = defaultMailboxSettings(options.host, options.user, options.type);
  settings.server.tls = options.tls;
  settings.server.tlsVerify = !options.tlsNoVerify;
  settings.server.port = options.port ?? defaultPort(options.type, options.tls);
  settings.server.auth = options.tokenStdin ? 'xoauth2' : 'password';
  settings.folders = options.folder;
  settings.pollSeconds = options.poll;
  settings.after = options.after;
  settings.afterFolder = options.afterFolder ?? null;
  if (options.firstSync === 'all' || options.firstSync === 'now') settings.firstSync = options.firstSync;
  else {
    if (Number.isNaN(Date.parse(options.firstSync)))
      throw fail('validation_failed', '--first-sync must be all, now, or a date such as 2026-01-31.');
    settings.firstSync = 'since';
    settings.firstSyncSince = options.firstSync;
  }
  if (options.maxMegabytes !== undefined) settings.maxMessageBytes = options.maxMegabytes * 1_048_576;
  try {
    checkMailboxSettings(settings, options.type);
  } catch (thrown) {
    throw named(asPenstockError(thrown));
  }
  return settings;
}

/** Settings whose options do not have their name. */
const OPTIONS: Record<string, string> = {
  'server.host': '--host',
  'server.user': '--user',
  folders: '--folder',
  after: '--after',
  afterFolder: '--after-folder',
  firstSync: '--first-sync',
};

/** The error under the name that was typed. */
function named(error: PenstockError): PenstockError {
  const setting = String(error.fields.field ?? '');
  const option = OPTIONS[setting.replace(/\.\d+$/, '')];
  if (option === undefined) return error;
  return fail(error.code, error.message.replace(setting, option), error.fields, error);
}

function changeCommand(name: string, description: string, change: (mailbox: Mailbox) => Mailbox): Command {
  return new Command(name)
    .description(description)
    .argument('<id>', 'mailbox', id)
    .addHelpText('after', `\nExample:\n  penstock mailbox ${name} 1`)
    .action(async (id: number) => {
      await inTransaction(async (tx) => {
        await updateMailbox(tx, change(await existing(tx, id)));
        await writeAudit(tx, { actor: ACTOR, action: name, entity: 'mailbox', entityId: id });
      });
      process.stdout.write(`Mailbox ${id}: ${name}d.\n`);
    });
}

async function inTransaction(run: (tx: Tx) => Promise<void>): Promise<void> {
  await withRuntime(({ db }) => db.transaction().execute(run));
}

async function existing(db: Parameters<typeof findMailbox>[0], id: number): Promise<Mailbox> {
  const mailbox = await findMailbox(db, id);
  if (mailbox === null) throw fail('not_found', `There is no mailbox ${id}.`, { id });
  return mailbox;
}

function printDiagnosis(steps: DiagnosisStep[], json: boolean | undefined): void {
  print(json, steps, () => diagnosisText(steps));
  if (steps.some((step) => !step.ok)) process.exitCode = EXIT.negative;
}
