/** `penstock mailbox refetch`: asks the server again for messages that were given up. */
import { Command } from 'commander';
import { fail } from '../errors.ts';
import { findMailbox } from '../store/mailboxes.ts';
import { givenUp, type RefetchChoice, refetch } from '../store/refetch.ts';
import { id } from './arguments.ts';
import { table } from './table.ts';
import { print, withRuntime } from './with-runtime.ts';

interface Options {
  folder?: string;
  key?: string;
  oversized?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

export function refetchCommand(): Command {
  return new Command('refetch')
    .description('Ask the server again for messages that it did not deliver (fetch_failed)')
    .argument('<id>', 'mailbox', id)
    .option('--key <key>', 'only this message; for IMAP the UID')
    .option('--folder <folder>', 'only in this folder')
    .option('--oversized', 'instead those above the size limit, after it was raised')
    .option('--dry-run', 'only show them')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  penstock mailbox refetch 1 --dry-run')
    .action(async (mailboxId: number, options: Options) => {
      const choice: RefetchChoice = {
        state: options.oversized ? 'oversized' : 'fetch_failed',
        folder: options.folder ?? null,
        key: options.key ?? null,
      };
      const rows = await withRuntime(({ db }) =>
        db.transaction().execute(async (tx) => {
          const mailbox = await findMailbox(tx, mailboxId);
          if (mailbox === null)
            throw fail('not_found', `There is no mailbox ${mailboxId}.`, { id: mailboxId });
          return options.dryRun
            ? await givenUp(tx, mailbox, choice)
            : await refetch(tx, mailbox, choice, 'cli');
        }),
      );
      const shown = rows.map(({ folder, key, size, reason }) => ({ folder, key, size, reason }));
      print(options.json, shown, () => {
        if (shown.length === 0)
          return `Mailbox ${mailboxId}: no such message is recorded as ${choice.state}.`;
        const listed = table(
          ['folder', 'key', 'bytes', 'reason'],
          shown.map(({ folder, key, size, reason }) => [folder, key, size, reason ?? '']),
        );
        if (options.dryRun) return listed;
        return `${listed}\n${shown.length} asked for again; a running daemon fetches them now.`;
      });
    });
}
