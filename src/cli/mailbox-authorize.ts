/** `penstock mailbox authorize`: a person signs in, on any device or in a browser, and Penstock keeps the permission. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { fail } from '../errors.ts';
import { signInTarget } from '../mailbox-credential.ts';
import type { Runtime } from '../runtime.ts';
import type { SignInLink } from '../sign-in.ts';
import { beginDeviceSignIn, finishDeviceSignIn } from '../source/oauth/device-code.ts';
import { id } from './arguments.ts';
import { withRuntime } from './with-runtime.ts';

const LONGEST_MS = 30 * 60_000;
const ACTOR = 'cli';

interface AuthorizeOptions {
  credential?: number;
  browser?: boolean;
}

const HELP = `
Microsoft: prints a code and where to enter it, on any device, and waits. With --browser, a link as for Google.
Google lets no device read mail by a code: prints a link to open in a browser, and waits until somebody has signed in
there. A daemon must run, and server.publicUrl be set; the link lasts ten minutes and gives nothing away.

Example:
  penstock mailbox authorize 1
  penstock mailbox authorize 1 --browser`;

export function authorizeCommand(): Command {
  return new Command('authorize')
    .description('Let a person sign in for a mailbox with --grant refresh_token')
    .argument('<id>', 'mailbox', id)
    .option(
      '--credential <id>',
      'one of several credentials; default: the first that somebody signs in for',
      id,
    )
    .option('--browser', 'print a link for a browser')
    .addHelpText('after', HELP)
    .action(async (mailboxId: number, options: AuthorizeOptions) => {
      await withRuntime(async (runtime) => {
        const { sources, signIns } = runtime;
        const { credential, mailbox } = await signIns.choose(mailboxId, options.credential ?? null);
        const target = signInTarget(mailbox, await sources.secrets(credential.name));
        const { user } = mailbox.settings.server;
        if (options.browser || target.deviceCodeUrl === null) {
          const why = options.browser
            ? null
            : 'Google does not let devices read mail by a code; a browser it is.';
          return await byBrowser(runtime, mailboxId, credential.id, user, why);
        }
        const { application, deviceCodeUrl, scope } = target;
        const signIn = await beginDeviceSignIn(application, deviceCodeUrl, scope);
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
        await signIns.keep(credential, refreshToken, ACTOR);
      });
      process.stdout.write(`Mailbox ${mailboxId} is authorized.\n`);
    });
}

async function byBrowser(
  { signIns }: Runtime,
  mailboxId: number,
  credentialId: number,
  user: string,
  why: string | null,
): Promise<void> {
  const link = await signIns.link(mailboxId, credentialId, ACTOR);
  const minutes = Math.round((link.expiresAt.getTime() - Date.now()) / 60_000);
  if (why !== null) process.stdout.write(`${why}\n`);
  process.stdout.write(
    `Open this in a browser within ${minutes} minutes, and sign in as somebody who may read ${user}:\n${link.url}\n`,
  );
  await untilDone(link);
}

async function untilDone(link: SignInLink): Promise<void> {
  for (;;) {
    const state = await link.state();
    if (state === 'done') return;
    if (state === 'over') throw fail('sign_in_needed', 'Nobody signed in before the link ended.');
    await sleep(1_000);
  }
}
