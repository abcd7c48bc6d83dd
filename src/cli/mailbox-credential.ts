/** `penstock mailbox credential`: what a mailbox logs in with; the first that works is used. */
import { Command, Option } from 'commander';
import { fail } from '../errors.ts';
import type { LoginSecrets } from '../mailbox-credential.ts';
import { writeAudit } from '../store/audit-log.ts';
import { credentialStandings } from '../store/credential-standing.ts';
import {
  createCredential,
  deleteCredential,
  findCredential,
  firstCredential,
  listCredentials,
  type MailboxCredential,
} from '../store/credentials.ts';
import type { Database, Tx } from '../store/database.ts';
import { checkMailboxSettings, joinSettings, type OauthSettings } from '../store/mailbox-settings.ts';
import { findMailbox, type Mailbox } from '../store/mailboxes.ts';
import { lockMailboxes } from '../store/row-locks.ts';
import { writeSecret } from '../store/secrets.ts';
import { id } from './arguments.ts';
import { addOauthOptions, type OauthOptions, readOauth } from './oauth-options.ts';
import { readSecretFromStdin } from './stdin.ts';
import { table } from './table.ts';
import { print, withRuntime } from './with-runtime.ts';

interface AddOptions extends Omit<OauthOptions, 'type'> {
  passwordStdin?: boolean;
  tokenStdin?: boolean;
  first?: boolean;
  json?: boolean;
}

export function credentialCommand(): Command {
  const command = new Command('credential')
    .description('What a mailbox logs in with: several, of which the first that works is used')
    .addHelpText('after', '\nExample:\n  penstock mailbox credential list 1');
  command
    .command('list')
    .description('List the credentials of a mailbox: which is in use, and why others are not')
    .argument('<mailbox>', 'mailbox', id)
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  penstock mailbox credential list 1')
    .action(list);
  addOauthOptions(
    command
      .command('add')
      .description('Add a credential; where to log in stays as the mailbox has it')
      .argument('<mailbox>', 'mailbox', id)
      .option('--first', 'try it before the others; else it comes last')
      .option('--password-stdin', 'read the password from standard input')
      .addOption(
        new Option(
          '--token-stdin',
          'read an OAuth access token from standard input; it is not renewed',
        ).conflicts('passwordStdin'),
      )
      .option('--json', 'print JSON'),
  )
    .addHelpText(
      'after',
      "\nApplication and tenant are those of the first credential when they are not given.\n\nExample:\n  printf '%s' secret | penstock mailbox credential add 1 --client-secret-stdin --first",
    )
    .action(add);
  command
    .command('remove')
    .description('Remove a credential with its secrets')
    .argument('<id>', 'credential', id)
    .addHelpText('after', '\nExample:\n  penstock mailbox credential remove 3')
    .action(remove);
  return command;
}

async function list(mailboxId: number, options: { json?: boolean }): Promise<void> {
  const rows = await withRuntime(async ({ db }) => {
    await mailboxOf(db, mailboxId);
    const credentials = await listCredentials(db, [mailboxId]);
    const standings = await credentialStandings(db, credentials);
    return credentials.map(({ id, settings }) => {
      const { state, reason, error } = standings.get(id)!;
      return {
        id,
        login: loginOf(settings),
        state,
        reason,
        code: error?.code ?? null,
        advice: error?.hint ?? null,
      };
    });
  });
  print(options.json, rows, () => {
    const listed = table(
      ['id', 'login', 'state', 'why'],
      rows.map(({ id, login, state, reason }) => [id, login, state, reason]),
    );
    const advice = rows.flatMap((row) =>
      row.advice === null ? [] : [`Credential ${row.id}: ${row.advice}`],
    );
    return [listed, ...advice].join('\n');
  });
}

function loginOf({ auth, oauth }: MailboxCredential['settings']): string {
  if (auth !== 'oauth' || oauth === null) return auth;
  return [oauth.provider, oauth.grant, oauth.clientId].filter((part) => part !== '').join(' ');
}

async function add(mailboxId: number, options: AddOptions): Promise<void> {
  const made = await withRuntime(async ({ db, keys }) => {
    const mailbox = await mailboxOf(db, mailboxId);
    const first = (await firstCredential(db, mailboxId))!;
    const { settings, secrets } = await read(mailbox, first, options);
    checkMailboxSettings(joinSettings(mailbox.settings, settings), mailbox.kind);
    return await db.transaction().execute(async (tx) => {
      await lockMailboxes(tx, [mailboxId]);
      await mailboxOf(tx, mailboxId);
      const sequence = options.first ? await makeRoom(tx, mailboxId) : null;
      const added = await createCredential(tx, { mailboxId, sequence, settings, halo: {} });
      for (const [name, value] of Object.entries(secrets))
        await writeSecret(tx, keys, added.name, name, value);
      await audit(tx, 'create', added);
      return added;
    });
  });
  print(options.json, { id: made.id }, () => `Credential ${made.id} of mailbox ${mailboxId} is added.`);
}

/** Moves those that are there one back, and returns the place before them. */
async function makeRoom(tx: Tx, mailboxId: number): Promise<number> {
  await tx
    .updateTable('mailbox_credential')
    .set((eb) => ({ sequence: eb('sequence', '+', 1) }))
    .where('mailbox_id', '=', mailboxId)
    .execute();
  return 0;
}

async function read(
  mailbox: Mailbox,
  first: MailboxCredential,
  options: AddOptions,
): Promise<{ settings: MailboxCredential['settings']; secrets: LoginSecrets }> {
  if (options.passwordStdin) {
    return {
      settings: { auth: 'password', oauth: null },
      secrets: { password: await readSecretFromStdin() },
    };
  }
  if (options.tokenStdin) {
    return { settings: { auth: 'xoauth2', oauth: null }, secrets: { token: await readSecretFromStdin() } };
  }
  const known = first.settings.oauth;
  const given = await readOauth({
    ...options,
    type: mailbox.kind,
    ...(options.provider === undefined && known !== null ? { provider: known.provider } : {}),
  });
  if (given === null) {
    const ways = '--password-stdin, a token with --token-stdin, or what tokens are got with (--grant)';
    throw fail('validation_failed', `Give the password with ${ways}.`);
  }
  return {
    settings: { auth: 'oauth', oauth: completed(given.oauth, known, options) },
    secrets: given.secrets,
  };
}

/** A new secret is mostly one of the same application. */
function completed(oauth: OauthSettings, known: OauthSettings | null, options: AddOptions): OauthSettings {
  if (known === null || known.provider !== oauth.provider) return oauth;
  return {
    ...oauth,
    clientId: oauth.clientId || known.clientId,
    tenant: oauth.tenant ?? known.tenant,
    cloud: options.cloud ?? known.cloud,
    tokenUrl: oauth.tokenUrl ?? known.tokenUrl,
    scope: oauth.scope ?? (oauth.grant === known.grant ? known.scope : null),
  };
}

async function remove(credentialId: number): Promise<void> {
  await withRuntime(async ({ db }) => {
    await db.transaction().execute(async (tx) => {
      const found = await findCredential(tx, credentialId);
      if (found === null)
        throw fail('not_found', `There is no credential ${credentialId}.`, { id: credentialId });
      const { mailboxId } = found;
      await lockMailboxes(tx, [mailboxId]);
      if ((await listCredentials(tx, [mailboxId])).length === 1) {
        throw fail('conflict', `It is the only credential of mailbox ${mailboxId}; add another one first.`);
      }
      await deleteCredential(tx, found);
      await audit(tx, 'delete', found);
    });
  });
  process.stdout.write(`Credential ${credentialId} is removed.\n`);
}

async function audit(tx: Tx, action: string, { id, mailboxId }: MailboxCredential): Promise<void> {
  const change = { mailbox: mailboxId };
  await writeAudit(tx, { actor: 'cli', action, entity: 'mailbox_credential', entityId: id, change });
}

async function mailboxOf(db: Database | Tx, id: number): Promise<Mailbox> {
  const mailbox = await findMailbox(db, id);
  if (mailbox === null) throw fail('not_found', `There is no mailbox ${id}.`, { id });
  return mailbox;
}
