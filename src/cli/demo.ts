/** `penstock demo`: everything at work on sample mail, on data of its own. */
import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { loadConfig } from '../config/load.ts';
import { startDaemon } from '../daemon.ts';
import { type DemoDaemon, runDemo } from '../lab/demo.ts';
import { createLogger } from '../observe/logger.ts';
import { auditAll } from './audit.ts';
import { EXIT } from './exit.ts';
import { ProgressLine } from './progress.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** A stop that takes longer than this is cut short. */
const STOP_DEADLINE_MS = 9_500;
const AUDIT_SETTLE_MS = 5_000;

/** The demo's own settings. Nothing of the user's configuration counts, so that it cannot touch real data. */
const SETTINGS = `server:
  port: 0
`;
/** What may be set from outside all the same. */
const HONOURED = ['PENSTOCK_PORT', 'PENSTOCK_HOST', 'PENSTOCK_LOG_LEVEL'] as const;

export function demoCommand(): Command {
  return new Command('demo')
    .description(
      'Show everything at work: a mail server, the daemon, and 200 messages on their way through rules',
    )
    .option('--once', 'end after the summary instead of going on with new mail')
    .option('--json', 'print the summary as JSON')
    .option('--messages <n>', 'how many messages come at first', Number, 200)
    .option('--seed <n>', 'another seed gives other messages', Number, 1)
    .option('--every <seconds>', 'time between two messages after the first ones', Number, 4)
    .addHelpText(
      'after',
      '\nIt runs on a free port (or PENSTOCK_PORT) and on data of its own, which it removes in the end.' +
        '\nExit code: 0 when every message is accounted for and became what it should, else 1.' +
        '\n\nExample:\n  penstock demo --once',
    )
    .action(
      async (options: { once?: boolean; json?: boolean; messages: number; seed: number; every: number }) => {
        const result = await runDemo(
          {
            once: options.once ?? false,
            json: options.json ?? false,
            messages: options.messages,
            seed: options.seed,
            everyMs: options.every * 1000,
            signal: stopSignal(),
          },
          {
            startDaemon: startDemoDaemon,
            print: (text) => void process.stdout.write(`${text}\n`),
            progress: new ProgressLine(process.stderr),
          },
        );
        process.exitCode = result === true ? EXIT.ok : EXIT.negative;
      },
    );
}

/** Aborts at the first signal; from then on the process has a deadline. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of SIGNALS) {
    process.on(name, () => {
      if (controller.signal.aborted) return;
      process.stderr.write('\nStopping ...\n');
      setTimeout(() => process.exit(EXIT.negative), STOP_DEADLINE_MS).unref();
      controller.abort();
    });
  }
  return controller.signal;
}

async function startDemoDaemon(): Promise<DemoDaemon> {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-demo-'));
  try {
    const file = join(folder, 'demo.yaml');
    await writeFile(file, SETTINGS);
    const given = HONOURED.map((name) => [name, process.env[name]]);
    const { config } = await loadConfig({
      ...Object.fromEntries(given),
      PENSTOCK_CONFIG: file,
      PENSTOCK_DATA: folder,
    });
    const logFile = join(folder, 'penstock.log');
    const daemon = await startDaemon(
      config,
      createLogger({ ...config.log, format: 'json' }, createWriteStream(logFile)),
    );
    const { url, adminClient, runtime } = daemon;
    if (url === null || adminClient === null) throw new Error('The demo has all roles and new data.');
    return {
      url,
      adminClient,
      logFile,
      audit: (mailboxId) => auditAll(runtime, mailboxId, AUDIT_SETTLE_MS),
      async stop() {
        await daemon.stop('end of the demo');
        await removeData(folder);
      },
    };
  } catch (error) {
    await removeData(folder);
    throw error;
  }
}

/** The database of a user who may not enter the folder is elsewhere; a file in the folder says where. */
async function removeData(folder: string): Promise<void> {
  const elsewhere = await readFile(join(folder, 'engine-location'), 'utf8').catch(() => null);
  if (elsewhere !== null) await rm(elsewhere.trim(), { recursive: true, force: true });
  await rm(folder, { recursive: true, force: true });
}
