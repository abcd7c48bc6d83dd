/** `penstock import`: mail from files, through the same pipe as everything else. */
import { Command } from 'commander';
import { fail } from '../errors.ts';
import { readMailFiles } from '../intake/mail-files.ts';
import { takePosted } from '../intake/post.ts';
import { LIMITS } from '../limits.ts';
import { Events } from '../observe/events.ts';
import type { Runtime } from '../runtime.ts';
import { writeAudit } from '../store/audit-log.ts';
import { findMailbox, queuedMail } from '../store/mailboxes.ts';
import { Work } from '../work.ts';
import { id } from './arguments.ts';
import { EXIT } from './exit.ts';
import { ProgressLine } from './progress.ts';
import { print, withRuntime } from './with-runtime.ts';

interface Result {
  files: number;
  stored: number;
  duplicates: number;
  known: number;
  oversized: { name: string; size: number }[];
}

export function importCommand(): Command {
  return new Command('import')
    .description('Take .eml files, mbox files and maildirs')
    .argument('<path...>', 'files or folders')
    .requiredOption('--mailbox <id>', 'mailbox that the mail counts for', id)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExit code: 0 all taken, 1 a message was too large.\nThe same message again adds nothing, so an import that broke off can be repeated.\n\nExample:\n  penstock import old.mbox ~/Maildir --mailbox 1',
    )
    .action(async (paths: string[], options: { mailbox: number; json?: boolean }) => {
      const result = await withRuntime((runtime) => importAll(runtime, paths, options.mailbox));
      print(options.json, result, () => {
        const lines = [
          `${result.files} messages read: ${result.stored} stored, ${result.known} known before, ${result.duplicates} duplicates`,
        ];
        for (const { name, size } of result.oversized)
          lines.push(`  too large, not taken: ${name} (${size} bytes)`);
        return lines.join('\n');
      });
      if (result.oversized.length > 0) process.exitCode = EXIT.negative;
    });
}

async function importAll(runtime: Runtime, paths: string[], mailboxId: number): Promise<Result> {
  const { db, raw } = runtime;
  const mailbox = await findMailbox(db, mailboxId);
  if (mailbox === null) throw fail('not_found', `There is no mailbox ${mailboxId}.`, { mailbox: mailboxId });
  const result: Result = { files: 0, stored: 0, duplicates: 0, known: 0, oversized: [] };
  const line = new ProgressLine(process.stderr);
  // Where no daemon can be at work this command processes what it took; else it only enqueues.
  const alone = runtime.embedded && !runtime.borrowed;
  const work = await Work.start(runtime, new Events(), { process: alone });
  try {
    let batch: Parameters<typeof takePosted>[3] = [];
    let bytes = 0;
    const flush = async (): Promise<void> => {
      if (batch.length === 0) return;
      const taken = await takePosted(db, mailbox, 'import', batch);
      result.stored += taken.stored.length;
      result.duplicates += taken.duplicates.length;
      result.known += taken.known.length;
      await work.enqueue(mailbox.kind, mailbox.id, taken.stored);
      batch = [];
      bytes = 0;
    };
    for await (const file of readMailFiles(paths)) {
      result.files += 1;
      const { maxMessageBytes } = mailbox.settings;
      if (file.size > maxMessageBytes) {
        result.oversized.push({ name: file.name, size: file.size });
        continue;
      }
      const stored = await raw.putStream(file.open(), maxMessageBytes);
      batch.push({ key: stored.sha256.toString('hex'), raw: stored, internalDate: file.receivedAt });
      bytes += stored.inline?.length ?? 0;
      if (batch.length >= LIMITS.batchMessages || bytes >= LIMITS.batchBytes) await flush();
      line.update(result.files, null, 'taken');
    }
    await flush();
    while (alone) {
      const left = await queuedMail(db, mailbox.id);
      line.update(result.files - left, result.files, 'processed');
      if (left === 0) break;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    await writeAudit(db, {
      actor: 'cli',
      action: 'import',
      entity: 'mailbox',
      entityId: mailboxId,
      change: { stored: result.stored },
    });
  } finally {
    line.end();
    await work.stop();
  }
  return result;
}
