/** `penstock outgoing`: mail of ours that did not get through, and what a person decides about it. */
import { Command } from 'commander';
import { fail } from '../errors.ts';
import { likelyCause } from '../outbound/likely-cause.ts';
import { writeAudit } from '../store/audit-log.ts';
import { listOutgoing, lockOutgoing, markSent, maySendAgain, sendAgain } from '../store/outgoing-list.ts';
import { id } from './arguments.ts';
import { table } from './table.ts';
import { print, withRuntime } from './with-runtime.ts';

const MOST = 200;

export function outgoingCommand(): Command {
  const command = new Command('outgoing')
    .description('Mail that Penstock sends: what is in trouble, and trying it again')
    .addHelpText('after', '\nExample:\n  penstock outgoing list');
  command
    .command('list')
    .description('Show mail that failed, waits after a failure, is in doubt, or came back')
    .option('--all', 'all mail, the newest first')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  penstock outgoing list')
    .action(async (options: { all?: boolean; json?: boolean }) => {
      const filter = {
        errorsOnly: options.all !== true,
        state: null,
        mailboxId: null,
        beforeId: null,
        most: MOST,
      };
      const rows = await withRuntime(({ db }) => listOutgoing(db, filter));
      const shown = rows.map((row) => {
        const code = row.bounced_at === null ? row.error_code : 'bounced';
        const said = row.bounced_at === null ? (row.error_message ?? '') : JSON.stringify(row.bounce);
        const to = row.recipients.to.map(({ address }) => address).join(', ');
        return {
          id: row.id,
          mailbox: row.mailbox_id,
          state: row.state,
          to,
          subject: row.subject,
          error: code,
          message: said,
          cause: likelyCause(code, said),
        };
      });
      print(options.json, shown, () =>
        shown.length === 0
          ? 'No mail is in trouble.'
          : table(
              ['id', 'mailbox', 'state', 'to', 'subject', 'likely cause'],
              shown.map((one) => [one.id, one.mailbox, one.state, one.to, one.subject, one.cause ?? '']),
            ),
      );
    });
  command
    .command('retry')
    .description('Send a mail again; or, of one in doubt, note that it was sent')
    .argument('<id>', 'mail', id)
    .option('--sent', 'it arrived: do not send it again')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  penstock outgoing retry 17 --sent')
    .action(async (mailId: number, options: { sent?: boolean; json?: boolean }) => {
      await withRuntime(({ db }) =>
        db.transaction().execute(async (tx) => {
          const row = await lockOutgoing(tx, mailId);
          if (row === null) throw fail('not_found', `There is no outgoing mail ${mailId}.`, { id: mailId });
          if (options.sent === true ? row.state !== 'in_doubt' : !maySendAgain(row)) {
            throw fail('conflict', `Outgoing mail ${mailId} is ${row.state}.`, { id: mailId });
          }
          await (options.sent === true ? markSent(tx, row) : sendAgain(tx, row));
          const action = options.sent === true ? 'mark_sent' : 'send_again';
          await writeAudit(tx, { actor: 'cli', action, entity: 'outgoing_email', entityId: mailId });
        }),
      );
      print(options.json, { id: mailId, sent: options.sent === true }, () =>
        options.sent === true
          ? `Mail ${mailId} is marked as sent.`
          : `Mail ${mailId} is sent by a running daemon now.`,
      );
    });
  return command;
}
