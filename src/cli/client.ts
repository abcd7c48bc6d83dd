/** `penstock client`: who may use the API. */
import { Command } from 'commander';
import { SCOPES } from '../api/auth/scopes.ts';
import { fail } from '../errors.ts';
import { writeAudit } from '../store/audit-log.ts';
import { createClient, disableClient, listClients } from '../store/clients.ts';
import { table } from './table.ts';
import { print, withRuntime } from './with-runtime.ts';

export function clientCommand(): Command {
  const command = new Command('client')
    .description('API clients')
    .addHelpText('after', '\nExample:\n  penstock client list');
  command
    .command('create')
    .description('Make a client; its secret is shown once')
    .requiredOption('--name <name>', 'what the client is')
    .option('--scope <scope...>', `scopes it may ask for: ${SCOPES.join(', ')}`, ['all'])
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  penstock client create --name halo --scope all --json')
    .action(async (options: { name: string; scope: string[]; json?: boolean }) => {
      const scopes = options.scope.flatMap((scope) => scope.split(/[\s,]+/)).filter((scope) => scope !== '');
      if (options.name.trim() === '') throw fail('validation_failed', '--name must not be empty.');
      const unknown = scopes.find((scope) => !SCOPES.includes(scope));
      if (unknown !== undefined || scopes.length === 0)
        throw fail(
          'validation_failed',
          `There is no scope ${unknown ?? ''}; it must be one of ${SCOPES.join(', ')}.`,
        );
      const made = await withRuntime(({ db }) =>
        db.transaction().execute(async (tx) => {
          const client = await createClient(tx, options.name, scopes);
          const change = { name: options.name, scopes };
          await writeAudit(tx, {
            actor: 'cli',
            action: 'create',
            entity: 'client',
            entityId: client.clientId,
            change,
          });
          return client;
        }),
      );
      print(
        options.json,
        { client_id: made.clientId, client_secret: made.clientSecret, name: options.name, scopes },
        () =>
          `client_id:     ${made.clientId}\nclient_secret: ${made.clientSecret}\n\nThe secret is not shown again.`,
      );
    });
  command
    .command('list')
    .description('List the clients')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  penstock client list')
    .action(async (options: { json?: boolean }) => {
      const clients = await withRuntime(({ db }) => listClients(db));
      print(options.json, clients, () =>
        table(
          ['client_id', 'name', 'scopes', 'last used', 'disabled'],
          clients.map((client) => [
            client.clientId,
            client.name,
            client.scopes.join(' '),
            client.lastUsedAt?.toISOString() ?? 'never',
            client.disabledAt?.toISOString() ?? '',
          ]),
        ),
      );
    });
  command
    .command('disable')
    .description('Stop a client; its tokens end at once')
    .argument('<client_id>')
    .addHelpText('after', '\nExample:\n  penstock client disable 3f0c...')
    .action(async (clientId: string) => {
      await withRuntime(({ db }) =>
        db.transaction().execute(async (tx) => {
          if (!(await disableClient(tx, clientId)))
            throw fail('not_found', `There is no client ${clientId}.`);
          await writeAudit(tx, { actor: 'cli', action: 'disable', entity: 'client', entityId: clientId });
        }),
      );
      process.stdout.write(`Client ${clientId} is disabled.\n`);
    });
  return command;
}
