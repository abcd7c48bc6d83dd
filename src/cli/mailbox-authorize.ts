/** `penstock mailbox authorize`: a person signs in on any device, and Penstock keeps the permission. */
import { Command } from 'commander';
import { fail } from '../errors.ts';
import { deviceApplication } from '../mailbox-credential.ts';
import { secretOwner } from '../mailbox-source.ts';
import { beginDeviceSignIn, finishDeviceSignIn } from '../source/oauth/device-code.ts';
import { writeAudit } from '../store/audit-log.ts';
import { findMailbox, updateMailbox } from '../store/mailboxes.ts';
import { writeSecret } from '../store/secrets.ts';
import { id } from './arguments.ts';
import { withRuntime } from './with-runtime.ts';

const LONGEST_MS = 30 * 60_000;

export function authorizeCommand(): Command {
  return new Command('authorize')
    .description('Let a person sign in for a mailbox with --grant refresh_token (Microsoft)')
    .argument('<id>', 'mailbox', id)
    .addHelpText(
      'after',
      '\nPrints a code and where to enter it, and waits.\n\nExample:\n  penstock mailbox authorize 1',
    )
    .action(async (id: number) => {
      await withRuntime(async ({ db, keys, sources }) => {
        const before = await findMailbox(db, id);
        if (before === null) throw fail('not_found', `There is no mailbox ${id}.`, { id });
        const { application, deviceCodeUrl, scope } = deviceApplication(before, await sources.secrets(id));
        const signIn = await beginDeviceSignIn(application, deviceCodeUrl, scope);
        const { user } = before.settings.server;
        process.stdout.write(
          `Open ${signIn.verificationUri} in a browser, enter ${signIn.userCode}, and sign in as somebody who may read ${user}.\n`,
        );
        const { refreshToken } = await finishDeviceSignIn(
          application,
          signIn,
          AbortSignal.timeout(LONGEST_MS),
        );
        if (refreshToken === null) {
          throw fail(
            'token_request_refused',
            'There came no refresh token; the scope must have offline_access.',
          );
        }
        await db.transaction().execute(async (tx) => {
          // Somebody may have changed it meanwhile.
          const mailbox = await findMailbox(tx, id);
          if (mailbox === null) throw fail('not_found', `Mailbox ${id} was removed meanwhile.`, { id });
          await writeSecret(tx, keys, secretOwner(id), 'refresh_token', refreshToken);
          await updateMailbox(tx, mailbox);
          await writeAudit(tx, { actor: 'cli', action: 'authorize', entity: 'mailbox', entityId: id });
        });
      });
      process.stdout.write(`Mailbox ${id} is authorized.\n`);
    });
}
