/** `penstock audit`: is every message on the servers accounted for? */
import { Command } from 'commander';
import { asPenstockError, fail } from '../errors.ts';
import { type AuditResult, auditMailbox } from '../intake/audit.ts';
import type { Runtime } from '../runtime.ts';
import { listMailboxes } from '../store/mailboxes.ts';
import { decimal, id } from './arguments.ts';
import { EXIT } from './exit.ts';
import { print, withRuntime } from './with-runtime.ts';

interface Answer {
  listed: number;
  accounted: number;
  unaccounted: (AuditResult['unaccounted'][number] & { mailbox: number })[];
  mailboxes: AuditResult[];
  /** Mailboxes that could not be listed: nothing is proved about them. */
  failed: { mailbox: number; code: string; message: string }[];
}

export function auditCommand(): Command {
  return new Command('audit')
    .description('List the servers, compare with the ledger, print the difference')
    .option('--mailbox <id>', 'only this mailbox', id)
    .option(
      '--settle <seconds>',
      'how long a message that just came may take to be recorded',
      decimal(0, 300),
      10,
    )
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExit code: 0 all accounted for, 1 something is not, 3 a server could not be listed.\n\nExample:\n  penstock audit --mailbox 1 --json',
    )
    .action(async (options: { mailbox?: number; settle: number; json?: boolean }) => {
      const answer = await withRuntime((runtime) =>
        auditAll(runtime, options.mailbox, options.settle * 1000),
      );
      print(options.json, answer, () => asText(answer));
      if (answer.unaccounted.length > 0) process.exitCode = EXIT.negative;
      else if (answer.failed.length > 0) process.exitCode = EXIT.temporary;
    });
}

export async function auditAll(
  runtime: Runtime,
  only: number | undefined,
  settleMs: number,
): Promise<Answer> {
  const answer: Answer = { listed: 0, accounted: 0, unaccounted: [], mailboxes: [], failed: [] };
  const mailboxes = await listMailboxes(runtime.db);
  // Nothing listed would look like nothing missing.
  if (only !== undefined && !mailboxes.some((mailbox) => mailbox.id === only))
    throw fail('not_found', `There is no mailbox ${only}.`, { mailbox: only });
  for (const mailbox of mailboxes) {
    if (only !== undefined ? mailbox.id !== only : !mailbox.enabled) continue;
    try {
      const source = await runtime.sources.source(mailbox);
      const result = await auditMailbox(runtime.db, source, mailbox, settleMs, AbortSignal.timeout(600_000));
      answer.listed += result.listed;
      answer.accounted += result.accounted;
      answer.unaccounted.push(...result.unaccounted.map((row) => ({ mailbox: mailbox.id, ...row })));
      answer.mailboxes.push(result);
    } catch (thrown) {
      const { code, message } = asPenstockError(thrown);
      answer.failed.push({ mailbox: mailbox.id, code, message });
    }
  }
  return answer;
}

function asText(answer: Answer): string {
  const lines = answer.mailboxes.map(
    (row) => `Mailbox ${row.mailbox}: ${row.listed} on the server, ${row.accounted} accounted for`,
  );
  for (const row of answer.unaccounted)
    lines.push(`  unaccounted: mailbox ${row.mailbox} ${row.folder} ${row.key}`);
  for (const row of answer.failed)
    lines.push(`Mailbox ${row.mailbox} could not be listed: ${row.message} (${row.code})`);
  lines.push(
    `${answer.listed} listed, ${answer.accounted} accounted for, ${answer.unaccounted.length} unaccounted`,
  );
  return lines.join('\n');
}
