/** `penstock secrets`: the key that encrypts passwords and tokens. */
import { Command } from 'commander';
import { writeAudit } from '../store/audit-log.ts';
import { addKey, dropOldKeys } from '../store/keyring.ts';
import { resealSecrets } from '../store/secrets.ts';
import { print, withRuntime } from './with-runtime.ts';

export function secretsCommand(): Command {
  const command = new Command('secrets')
    .description('Encryption of passwords and tokens')
    .addHelpText('after', '\nExample:\n  penstock secrets rotate');
  command
    .command('rotate')
    .description('Encrypt every secret with a new key, then forget the old keys')
    .option('--keep-old', 'leave the old keys in the file, for backups made with them')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nA daemon that runs reads the key file again by itself.\n\nExample:\n  penstock secrets rotate',
    )
    .action(async (options: { keepOld?: boolean; json?: boolean }) => {
      const result = await withRuntime(async ({ db, keyFile }) => {
        const keys = await addKey(keyFile);
        const changed = await resealSecrets(db, keys);
        if (!options.keepOld) await dropOldKeys(keyFile);
        await writeAudit(db, { actor: 'cli', action: 'rotate', entity: 'secrets', entityId: keys.current });
        return { key: keys.current, secrets: changed };
      });
      print(
        options.json,
        result,
        () => `${result.secrets} secrets are encrypted with the new key ${result.key}.`,
      );
    });
  return command;
}
