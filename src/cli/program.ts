/** The command line as a whole. */
import { Command } from 'commander';
import { VERSION } from '../version.ts';

/** The commands by name, in the order of the help. Each is loaded when it is asked for: together they take a second. */
const COMMANDS: Record<string, () => Promise<Command>> = {
  start: async () => (await import('./start.ts')).startCommand(),
  demo: async () => (await import('./demo.ts')).demoCommand(),
  mailbox: async () => (await import('./mailbox.ts')).mailboxCommand(),
  rules: async () => (await import('./rules.ts')).rulesCommand(),
  destination: async () => (await import('./destination.ts')).destinationCommand(),
  client: async () => (await import('./client.ts')).clientCommand(),
  outgoing: async () => (await import('./outgoing.ts')).outgoingCommand(),
  import: async () => (await import('./import.ts')).importCommand(),
  audit: async () => (await import('./audit.ts')).auditCommand(),
  doctor: async () => (await import('./doctor.ts')).doctorCommand(),
  config: async () => (await import('./config.ts')).configCommand(),
  secrets: async () => (await import('./secrets.ts')).secretsCommand(),
};

/**
 * The program with the command that `args` begin with, or with all of them when they begin with something else.
 * Whatever is wrong with the arguments is thrown when it is run, as an error of commander or of ours.
 */
export async function makeProgram(args: readonly string[]): Promise<Command> {
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

  for (const load of wanted(args[0] ?? '')) program.addCommand(inherit(program, await load()));
  return program;
}

/** Commands that are made apart from their parent do not take over how it tells errors and ends. */
function inherit(parent: Command, command: Command): Command {
  command.copyInheritedSettings(parent);
  for (const inner of command.commands) inherit(command, inner);
  return command;
}

/** Help, and what is wrong, need all of them; the version none. */
function wanted(first: string): (() => Promise<Command>)[] {
  if (first === '--version' || first === '-V') return [];
  return Object.hasOwn(COMMANDS, first) ? [COMMANDS[first]!] : Object.values(COMMANDS);
}
