/** The command line as a whole. */
import { Command } from 'commander';
import { VERSION } from '../version.ts';
import { auditCommand } from './audit.ts';
import { clientCommand } from './client.ts';
import { configCommand } from './config.ts';
import { demoCommand } from './demo.ts';
import { destinationCommand } from './destination.ts';
import { doctorCommand } from './doctor.ts';
import { importCommand } from './import.ts';
import { mailboxCommand } from './mailbox.ts';
import { rulesCommand } from './rules.ts';
import { secretsCommand } from './secrets.ts';
import { startCommand } from './start.ts';

/** All commands. Whatever is wrong with the arguments is thrown, as an error of commander or of ours. */
export function makeProgram(): Command {
  const program = new Command('penstock')
    .description(
      'Takes mail from mailboxes into ruled, stored records: every message exactly once, and proof of it.',
    )
    .version(VERSION)
    .addHelpText(
      'after',
      `
Exit code: 0 it worked; 1 it worked and the answer is no (unaccounted mail, a failed test, an unhealthy part);
2 wrong arguments, settings or data; 3 something is away or busy, try again later.

Example:
  penstock mailbox add --help`,
    )
    .showHelpAfterError('(--help shows what is possible)')
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, 'penstock: ')),
    })
    .exitOverride();

  const commands = [
    startCommand(),
    demoCommand(),
    mailboxCommand(),
    rulesCommand(),
    destinationCommand(),
    clientCommand(),
    importCommand(),
    auditCommand(),
    doctorCommand(),
    configCommand(),
    secretsCommand(),
  ];
  for (const command of commands) program.addCommand(inherit(program, command));
  return program;
}

/** Commands that are made apart from their parent do not take over how it tells errors and ends. */
function inherit(parent: Command, command: Command): Command {
  command.copyInheritedSettings(parent);
  for (const inner of command.commands) inherit(command, inner);
  return command;
}
