#!/usr/bin/env node
/** The command line. Each command is a file in cli/, loaded only when it is called. */
import { Command, CommanderError } from 'commander';
import { auditCommand } from './cli/audit.ts';
import { clientCommand } from './cli/client.ts';
import { configCommand } from './cli/config.ts';
import { demoCommand } from './cli/demo.ts';
import { doctorCommand } from './cli/doctor.ts';
import { EXIT, explainFailure } from './cli/exit.ts';
import { importCommand } from './cli/import.ts';
import { mailboxCommand } from './cli/mailbox.ts';
import { rulesCommand } from './cli/rules.ts';
import { secretsCommand } from './cli/secrets.ts';
import { startCommand } from './cli/start.ts';
import { VERSION } from './version.ts';

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
  clientCommand(),
  importCommand(),
  auditCommand(),
  doctorCommand(),
  configCommand(),
  secretsCommand(),
];
for (const command of commands) program.addCommand(inherit(program, command));

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  else process.exitCode = explainFailure(error);
}

/** Commands that are made apart from their parent do not take over how it tells errors and ends. */
function inherit(parent: Command, command: Command): Command {
  command.copyInheritedSettings(parent);
  for (const inner of command.commands) inherit(command, inner);
  return command;
}
