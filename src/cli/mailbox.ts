/** `penstock mailbox`: add, authorize, credential, list, test, pause, resume, poll, refetch, remove. */
import { Command } from 'commander';
import { fail } from '../errors.ts';
import { writeAudit } from '../store/audit-log.ts';
import type { Tx } from '../store/database.ts';
import {
  deleteMailbox,
  findMailbox,
  listMailboxes,
  type Mailbox,
  mailboxStates,
  stateOf,
  updateMailbox,
} from '../store/mailboxes.ts';
import { notify } from '../store/notify.ts';
import { id } from './arguments.ts';
import { DIAGNOSIS_MS, printDiagnosis } from './diagnosis.ts';
import { addCommand } from './mailbox-add.ts';
import { authorizeCommand } from './mailbox-authorize.ts';
import { credentialCommand } from './mailbox-credential.ts';
import { refetchCommand } from './mailbox-refetch.ts';
import { mailboxRow } from './mailbox-row.ts';
import { table } from './table.ts';
import { print, withRuntime } from './with-runtime.ts';

const ACTOR = 'cli';

export function mailboxCommand(): Command {
  const command = new Command('mailbox')
    .description('Mailboxes')
    .addHelpText('after', '\nExample:\n  penstock mailbox list');
  command.addCommand(addCommand());
  command.addCommand(authorizeCommand());
  command.addCommand(credentialCommand());
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
      const steps = await withRuntime(async ({ db, sources }) => {
        const found = await sources.diagnose(await existing(db, id), AbortSignal.timeout(DIAGNOSIS_MS));
        // What was mended at the provider is felt at once.
        if (found.every((step) => step.ok)) await notify(db, `poll:${id}`);
        return found;
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
