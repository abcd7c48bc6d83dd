/** `penstock mailbox add`. */
import { readFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { asPenstockError, fail, type PenstockError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { LoginSecrets } from '../mailbox-credential.ts';
import { secretOwner } from '../mailbox-source.ts';
import { defaultPort, factsOf, POLLED_KINDS } from '../source/kinds.ts';
import type { SourceKind } from '../source/source.ts';
import { writeAudit } from '../store/audit-log.ts';
import {
  checkMailboxSettings,
  defaultMailboxSettings,
  type MailboxSettings,
} from '../store/mailbox-settings.ts';
import { createMailbox } from '../store/mailboxes.ts';
import { writeSecret } from '../store/secrets.ts';
import { whole } from './arguments.ts';
import { DIAGNOSIS_MS, printDiagnosis } from './diagnosis.ts';
import { addOauthOptions, type OauthOptions, readOauth } from './oauth-options.ts';
import { addSmtpOptions, readSmtp, type SmtpOptions } from './smtp-options.ts';
import { readSecretFromStdin } from './stdin.ts';
import { print, withRuntime } from './with-runtime.ts';

interface AddOptions extends OauthOptions, SmtpOptions {
  name?: string;
  host?: string;
  port?: number;
  user: string;
  passwordStdin?: boolean;
  tokenStdin?: boolean;
  tls: 'implicit' | 'starttls' | 'none';
  tlsNoVerify?: boolean;
  tlsCaFile?: string;
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

const EXAMPLES = `
Exit code: 0 added, 1 --test failed and nothing was added, 2 wrong settings.

Example:
  printf '%s' secret | penstock mailbox add --host imap.example.org --user help@example.org --password-stdin --after seen
  printf '%s' secret | penstock mailbox add --type graph --user help@example.org --tenant example.org --client-id ID --client-secret-stdin --test
  penstock mailbox add --type gmail --user help@example.org --service-account-file key.json --test`;

export function addCommand(): Command {
  const command = new Command('add')
    .description('Add a mailbox')
    .addOption(new Option('--type <type>', 'kind of mailbox').choices(POLLED_KINDS).default('imap'))
    .option('--name <name>', 'name to show; default: the user')
    .option('--host <host>', 'server; graph and gmail have a default')
    .option(
      '--port <port>',
      'port; default 993 (POP3: 995), without implicit TLS 143 (110)',
      whole(1, 65_535),
    )
    .requiredOption(
      '--user <user>',
      'login name; graph and gmail: address of the mailbox, also of a shared one',
    )
    .option('--password-stdin', 'read the password from standard input')
    .addOption(
      new Option(
        '--token-stdin',
        'read an OAuth access token from standard input; it is not renewed',
      ).conflicts('passwordStdin'),
    )
    .addOption(
      new Option('--tls <mode>', 'TLS').choices(['implicit', 'starttls', 'none']).default('implicit'),
    )
    .option('--tls-no-verify', 'accept any certificate')
    .option('--tls-ca-file <file>', 'PEM of an extra certificate authority')
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
    .option('--json', 'print JSON');
  return addSmtpOptions(addOauthOptions(command)).addHelpText('after', EXAMPLES).action(add);
}

async function add(options: AddOptions): Promise<void> {
  const { settings, secrets } = await read(options);
  const { type: kind, name = options.user } = options;
  await withRuntime(async ({ db, keys, sources }) => {
    if (options.test) {
      const draft = { id: 0, kind, settings };
      let isRotated = false;
      const steps = await sources.diagnoseDraft(
        draft,
        secrets,
        AbortSignal.timeout(DIAGNOSIS_MS),
        (newest) => {
          // The one that was given may be void now.
          secrets.refresh_token = newest;
          isRotated = true;
        },
      );
      if (steps.some((step) => !step.ok)) {
        printDiagnosis(steps, options.json);
        if (isRotated) process.stderr.write('The refresh token was used up by the test: get a new one.\n');
        return;
      }
    }
    const mailbox = await db.transaction().execute(async (tx) => {
      const made = await createMailbox(tx, { name, kind, enabled: !options.paused, settings, halo: {} });
      for (const [secret, value] of Object.entries(secrets)) {
        await writeSecret(tx, keys, secretOwner(made.id), secret, value);
      }
      const audit = {
        actor: 'cli',
        action: 'create',
        entity: 'mailbox',
        entityId: made.id,
        change: { name },
      };
      await writeAudit(tx, audit);
      return made;
    });
    print(
      options.json,
      { id: mailbox.id, name: mailbox.name },
      () => `Mailbox ${mailbox.id} (${name}) is added.`,
    );
  });
}

async function read(options: AddOptions): Promise<{ settings: MailboxSettings; secrets: LoginSecrets }> {
  const settings = settingsOf(options, hostFor(options.type, options.host));
  const { server } = settings;
  if (options.tlsCaFile !== undefined) server.tlsCa = await readFile(options.tlsCaFile, 'utf8');
  let secrets: LoginSecrets;
  if (options.passwordStdin) {
    server.auth = 'password';
    const sending = await complete(options, settings);
    secrets = { ...sending, password: await readSecretFromStdin() };
  } else if (options.tokenStdin) {
    server.auth = 'xoauth2';
    const sending = await complete(options, settings);
    secrets = { ...sending, token: await readSecretFromStdin() };
  } else {
    const read = await readOauth(options);
    if (read === null) {
      const ways = '--password-stdin, a token with --token-stdin, or what tokens are got with (--grant)';
      throw fail('validation_failed', `Give the password with ${ways}.`);
    }
    server.auth = 'oauth';
    settings.oauth = read.oauth;
    secrets = { ...read.secrets, ...(await complete(options, settings)) };
  }
  return { settings, secrets };
}

function hostFor(kind: SourceKind, given: string | undefined): string {
  const host = given ?? factsOf(kind).api;
  if (host === null) throw fail('validation_failed', 'Give the server with --host.', { field: 'host' });
  return host;
}

function settingsOf(options: AddOptions, host: string): MailboxSettings {
  const settings = defaultMailboxSettings(host, options.user, options.type);
  settings.server.tls = options.tls;
  settings.server.tlsVerify = !options.tlsNoVerify;
  settings.server.port = options.port ?? defaultPort(options.type, options.tls);
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
  return settings;
}

/**
 * Before a secret is waited for, where that can be: how the mailbox sends, and whether all settings can work. Fails with
 * `validation_failed`, in the words of the options.
 */
async function complete(options: AddOptions, settings: MailboxSettings): Promise<LoginSecrets> {
  const password = await readSmtp(options, options.type, settings);
  try {
    checkMailboxSettings(settings, options.type);
    return password === null ? {} : { smtp_password: password };
  } catch (thrown) {
    throw named(asPenstockError(thrown));
  }
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
