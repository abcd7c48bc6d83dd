/** `penstock start`: the daemon. */
import { Command } from 'commander';
import { loadConfig } from '../config/load.ts';
import { startDaemon } from '../daemon.ts';
import { createLogger } from '../observe/logger.ts';
import { EXIT } from './exit.ts';
import { waitForStopSignal } from './stop-signal.ts';

/** A stop that takes longer than this is cut short: everything is in the database anyway. */
const STOP_DEADLINE_MS = 9_500;

export function startCommand(): Command {
  return new Command('start')
    .description('Run the daemon until it is told to stop (SIGTERM, Ctrl-C)')
    .addHelpText('after', '\nExample:\n  PENSTOCK_PORT=9000 penstock start')
    .action(async () => {
      const { config } = await loadConfig();
      const logger = await createLogger(config.log);
      const asked = askedToStop();
      const daemon = await startDaemon(config, logger);
      if (daemon.adminClient?.file) {
        logger.info(
          { file: daemon.adminClient.file },
          'An admin client was made; its credentials are in this file',
        );
      }
      logger.info({ api: daemon.url, docs: `${daemon.url}/docs` }, 'Ready');
      void daemon.failed.then(async (error) => {
        logger.fatal({ code: error.code }, error.message);
        await daemon.stop('failure');
        process.exit(EXIT.negative);
      });
      await daemon.stop(await asked);
      // All is closed: whatever a library left open must not keep the process.
      process.exit(EXIT.ok);
    });
}

/**
 * Resolves when a signal asks for a stop, also during the start. From then on the process has a deadline, and a
 * second press of Ctrl-C does not wait for it.
 */
async function askedToStop(): Promise<NodeJS.Signals> {
  const cutShort = (why: string): never => {
    process.stderr.write(`penstock: ${why}; the stop was cut short, nothing is lost\n`);
    process.exit(EXIT.negative);
  };
  const signal = await waitForStopSignal(() => cutShort('asked again'));
  setTimeout(() => cutShort('it took too long'), STOP_DEADLINE_MS).unref();
  return signal;
}
