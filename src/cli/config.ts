/** `penstock config`: the effective configuration. */
import { Command } from 'commander';
import { explainConfig, explainConfigJson } from '../config/explain.ts';
import { loadConfig } from '../config/load.ts';
import { print } from './with-runtime.ts';

export function configCommand(): Command {
  const command = new Command('config')
    .description('Configuration')
    .addHelpText('after', '\nExample:\n  penstock config check --json');
  command
    .command('check')
    .description('Print every setting, its value and where it came from; secrets are masked')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExit code: 0 when all is valid, 2 when not.\n\nExample:\n  penstock config check',
    )
    .action(async (options: { json?: boolean }) => {
      const loaded = await loadConfig();
      print(options.json, explainConfigJson(loaded), () => explainConfig(loaded));
    });
  return command;
}
