/** `penstock demo`: everything at work on sample mail, on data of its own. */
import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { loadConfig } from '../config/load.ts';
import { startDaemon } from '../daemon.ts';
import { type DemoDaemon, runDemo } from '../lab/demo.ts';
import { createLogger } from '../observe/logger.ts';
import { decimal, whole } from './arguments.ts';
import { auditAll } from './audit.ts';
import { makeDemoData, removeDemoData, removeDemoDataLater } from './demo-data.ts';
import { EXIT } from './exit.ts';
import { ProgressLine } from './progress.ts';
import { waitForStopSignal } from './stop-signal.ts';

/** A stop that takes longer than this is cut short, and what is left is cleared up by another process. */
const STOP_DEADLINE_MS = 8_000;
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
      'Show everything at work: four mail servers, the daemon, and 200 messages on their way through rules',
    )
    .option('--once', 'end after the summary instead of going on with new mail')
    .option('--json', 'print the summary as JSON')
    .option('--messages <n>', 'how many messages come at first', whole(1), 200)
    .option('--seed <n>', 'another seed gives other messages', whole(0), 1)
    .option('--every <seconds>', 'time between two messages after the first ones', decimal(0.1, 3600), 4)
    .addHelpText(
      'after',
      '\nIt runs on a free port (or PENSTOCK_PORT) and on data of its own, which it removes in the end.' +
        '\nExit code: 0 when every message is accounted for and became what it should, else 1.' +
        '\n\nExample:\n  penstock demo --once',
    )
    .action(async (options: DemoCommandOptions) => {
      const folder = await makeDemoData();
      const stop = new AbortController();
      void stopOnSignal(folder, stop);
      const result = await runDemo(
        {
          once: options.once ?? false,
          json: options.json ?? false,
          messages: options.messages,
          seed: options.seed,
          everyMs: options.every * 1000,
          signal: stop.signal,
        },
        {
          startDaemon: (publicUrl) => startDemoDaemon(folder, publicUrl, stop),
          print: (text) => void process.stdout.write(`${text}\n`),
          progress: new ProgressLine(process.stderr),
        },
      ).finally(() => removeDemoData(folder));
      process.exitCode = result === true ? EXIT.ok : EXIT.negative;
    });
}

interface DemoCommandOptions {
  once?: boolean;
  json?: boolean;
  messages: number;
  seed: number;
  every: number;
}

/** Aborts at the first signal; from then on the process has a deadline, and a second one does not wait for it. */
async function stopOnSignal(folder: string, stop: AbortController): Promise<void> {
  const cutShort = (why: string): never => {
    process.stderr.write(
      `penstock: ${why}; the stop was cut short and ${folder} is removed in the background\n`,
    );
    removeDemoDataLater(folder);
    process.exit(EXIT.negative);
  };
  await waitForStopSignal(() => cutShort('asked again'));
  process.stderr.write('\nStopping ...\n');
  setTimeout(() => cutShort('it took too long'), STOP_DEADLINE_MS).unref();
  stop.abort();
}

async function startDemoDaemon(
  folder: string,
  publicUrl: string,
  stop: AbortController,
): Promise<DemoDaemon> {
  const file = join(folder, 'demo.yaml');
  await writeFile(file, `${SETTINGS}  publicUrl: ${publicUrl}\n`);
  const given = HONOURED.map((name) => [name, process.env[name]]);
  const { config } = await loadConfig({
    ...Object.fromEntries(given),
    PENSTOCK_CONFIG: file,
    PENSTOCK_DATA: folder,
  });
  const logFile = join(folder, 'penstock.log');
  const logger = await createLogger({ ...config.log, format: 'json' }, createWriteStream(logFile));
  const daemon = await startDaemon(config, logger);
  void daemon.failed.then((error) => {
    process.stderr.write(`penstock: ${error.message}\n`);
    stop.abort();
  });
  const { localUrl: url, adminClient, runtime } = daemon;
  if (url === null || adminClient === null) throw new Error('The demo has all roles and new data.');
  return {
    url,
    adminClient,
    logFile,
    audit: () => auditAll(runtime, undefined, AUDIT_SETTLE_MS),
    stop: () => daemon.stop('end of the demo'),
  };
}
