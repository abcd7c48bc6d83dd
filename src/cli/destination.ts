/** `penstock destination`: add, list, test, pause, resume, deliveries, replay, release, remove. */
import { Command, Option } from 'commander';
import { AllowList } from '../deliver/egress.ts';
import { changeDestination } from '../deliver/save.ts';
import { testDestination } from '../deliver/trial.ts';
import { makeSender } from '../delivery.ts';
import { fail, hintFor } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { writeAudit } from '../store/audit-log.ts';
import type { Tx } from '../store/database.ts';
import {
  destinationStandings,
  listDeliveries,
  releaseDeliveries,
  replayDeliveries,
} from '../store/deliveries.ts';
import {
  type Destination,
  deleteDestination,
  findDestination,
  lockDestination,
} from '../store/destinations.ts';
import { DELIVERY_STATES, type DeliveryState } from '../store/states.ts';
import { id, whole } from './arguments.ts';
import { addDestinationCommand } from './destination-add.ts';
import { EXIT } from './exit.ts';
import { table } from './table.ts';
import { print, withRuntime } from './with-runtime.ts';

const ACTOR = 'cli';

export function destinationCommand(): Command {
  const command = new Command('destination')
    .description('Other systems that are told of outcomes')
    .addHelpText('after', '\nExample:\n  penstock destination list');
  const commands = [
    addDestinationCommand(),
    listCommand(),
    testCommand(),
    switchCommand('pause', 'Hold what is for a destination', false),
    switchCommand('resume', 'Send to a destination again, beginning with what waits', true),
    deliveriesCommand(),
    replayCommand(),
    releaseCommand(),
    removeCommand(),
  ];
  for (const one of commands) command.addCommand(one);
  return command;
}

function listCommand(): Command {
  return new Command('list')
    .description('List the destinations with what waits and what was given up')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  penstock destination list')
    .action(async (options: { json?: boolean }) => {
      const rows = await withRuntime(({ db }) => destinationStandings(db, LIMITS.heldUpCount));
      const stateOf = (row: (typeof rows)[number]): string => {
        if (!row.enabled) return row.disabledReason === null ? 'paused' : 'switched off';
        return row.open ? 'left alone' : row.consecutiveFailures > 0 ? 'failing' : 'ok';
      };
      print(
        options.json,
        rows.map((row) => ({ ...row, state: stateOf(row) })),
        () => {
          const advice = rows.flatMap((row) =>
            row.lastErrorCode !== null && row.consecutiveFailures > 0
              ? [`Destination ${row.id}: ${row.lastErrorCode}. ${hintFor(row.lastErrorCode) ?? ''}`]
              : [],
          );
          const listed = table(
            ['id', 'name', 'type', 'state', 'waiting', 'oldest (s)', 'given up'],
            rows.map((row) => [
              row.id,
              row.name,
              row.kind,
              stateOf(row),
              row.pending,
              Math.round(row.oldestSeconds),
              row.dead,
            ]),
          );
          return [listed, ...advice].join('\n');
        },
      );
    });
}

function testCommand(): Command {
  return new Command('test')
    .description('Send a test, and say what to change')
    .argument('<id>', 'destination', id)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
A webhook gets an alert.opened of no ticket. Those on call get a problem, and at once that it is over. A Halo is only
signed in to.

Exit code: 0 when it was taken, 1 when not.

Example:
  penstock destination test 1`,
    )
    .action(async (id: number, options: { json?: boolean }) => {
      const result = await withRuntime(async (runtime) => {
        const sender = makeSender(runtime, null);
        return await testDestination(existing(await findDestination(runtime.db, id), id), (one, messageId) =>
          sender.test(one, messageId),
        );
      });
      print(options.json, result, () =>
        result.ok ? result.message : `${result.message}\n  ${result.advice} (${result.code})`,
      );
      if (!result.ok) process.exitCode = EXIT.negative;
    });
}

function switchCommand(name: 'pause' | 'resume', description: string, enabled: boolean): Command {
  return new Command(name)
    .description(description)
    .argument('<id>', 'destination', id)
    .option('--json', 'print JSON')
    .addHelpText('after', `\nExample:\n  penstock destination ${name} 1`)
    .action(async (id: number, options: { json?: boolean }) => {
      await withRuntime(async ({ db, keys, config }) => {
        const allowed = new AllowList(config.destinations.allow);
        await db
          .transaction()
          .execute((tx) => changeDestination({ tx, keys, allowed, actor: ACTOR }, id, { enabled }));
      });
      print(options.json, { id, enabled }, () => `Destination ${id}: ${name}d.`);
    });
}

function deliveriesCommand(): Command {
  return new Command('deliveries')
    .description('List deliveries, newest first, with why they wait or were given up')
    .argument('[id]', 'destination', id)
    .addOption(new Option('--state <state>', 'only these').choices([...DELIVERY_STATES]))
    .option('--email <id>', 'only those of this incoming email', id)
    .option('--ticket <id>', 'only those of this ticket', id)
    .option('--count <n>', 'how many', whole(1, LIMITS.pageSize), 50)
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  penstock destination deliveries 1 --state dead')
    .action(async (destinationId: number | undefined, options: DeliveriesOptions) => {
      const { state, email: emailId, ticket: ticketId, count } = options;
      const rows = await withRuntime(({ db }) =>
        listDeliveries(db, {
          ...(destinationId === undefined ? {} : { destinationId }),
          ...(state === undefined ? {} : { state }),
          ...(emailId === undefined ? {} : { emailId }),
          ...(ticketId === undefined ? {} : { ticketId }),
          count,
        }),
      );
      print(options.json, rows, () =>
        table(
          ['id', 'destination', 'event', 'email', 'ticket', 'state', 'attempts', 'error'],
          rows.map((row) => [
            row.id,
            row.destination,
            row.event,
            row.emailId,
            row.ticketId ?? '',
            row.state,
            row.attempts,
            row.error ?? row.reference ?? '',
          ]),
          { maxCellWidth: 100 },
        ),
      );
    });
}

interface DeliveriesOptions {
  state?: DeliveryState;
  email?: number;
  ticket?: number;
  count: number;
  json?: boolean;
}

function replayCommand(): Command {
  return new Command('replay')
    .description('Send deliveries again: all that were given up, or those that are named')
    .argument('<id>', 'destination', id)
    .argument('[delivery...]', 'deliveries', idList, [])
    .addOption(new Option('--state <state>', 'all that ended so').choices(['dead', 'delivered']))
    .option('--since <date>', 'only outcomes from then on, such as 2026-01-31T08:00:00Z')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
The receiver gets them under the ids that it knows. Events that those on call have had something later of are left out.

Exit code: 0 when something is sent again, 1 when nothing was found.

Example:
  penstock destination replay 1`,
    )
    .action(
      async (
        id: number,
        ids: number[],
        options: { state?: 'dead' | 'delivered'; since?: string; json?: boolean },
      ) => {
        const { state, since } = options;
        if (since !== undefined && Number.isNaN(Date.parse(since)))
          throw fail('validation_failed', '--since must be a date, such as 2026-01-31T08:00:00Z.');
        const answer = await inTransaction(id, async (tx) => {
          const wish = {
            destinationId: id,
            ...(ids.length === 0 ? {} : { ids }),
            ...(state === undefined ? {} : { state }),
            ...(since === undefined ? {} : { since: new Date(since).toISOString() }),
          };
          const replayed = await replayDeliveries(tx, wish);
          await audit(tx, 'replay', id, replayed);
          return replayed;
        });
        print(options.json, answer, () => {
          const left = answer.outdated === 0 ? '' : ` ${answer.outdated} are outdated and left as they are.`;
          return `${answer.replayed} deliveries are sent again.${left}`;
        });
        if (answer.replayed === 0) process.exitCode = EXIT.negative;
      },
    );
}

function releaseCommand(): Command {
  return new Command('release')
    .description('Release deliveries that were given up: they are not sent, and reported no more')
    .argument('<id>', 'destination', id)
    .argument('[delivery...]', 'deliveries; all that were given up when none is named', idList, [])
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  penstock destination release 1 17')
    .action(async (id: number, ids: number[], options: { json?: boolean }) => {
      const released = await inTransaction(id, async (tx) => {
        const count = await releaseDeliveries(tx, id, ids.length === 0 ? null : ids);
        await audit(tx, 'release', id, { released: count });
        return count;
      });
      print(options.json, { released }, () => `${released} deliveries are released.`);
      if (released === 0) process.exitCode = EXIT.negative;
    });
}

function removeCommand(): Command {
  return new Command('remove')
    .description('Remove a destination; what waits for it is dropped')
    .argument('<id>', 'destination', id)
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  penstock destination remove 1')
    .action(async (id: number, options: { json?: boolean }) => {
      const { dropped } = await inTransaction(id, async (tx) => {
        const answer = await deleteDestination(tx, id);
        await audit(tx, 'delete', id, answer);
        return answer;
      });
      print(
        options.json,
        { id, dropped },
        () => `Destination ${id} is removed; ${dropped} deliveries are dropped.`,
      );
    });
}

/** With the destination held, so that nobody claims from it meanwhile. */
async function inTransaction<T>(id: number, run: (tx: Tx) => Promise<T>): Promise<T> {
  return await withRuntime(({ db }) =>
    db.transaction().execute(async (tx) => {
      existing(await lockDestination(tx, id), id);
      return await run(tx);
    }),
  );
}

function existing(destination: Destination | null, id: number): Destination {
  if (destination === null) throw fail('not_found', `There is no destination ${id}.`, { id });
  return destination;
}

async function audit(tx: Tx, action: string, entityId: number, change: object): Promise<void> {
  await writeAudit(tx, { actor: ACTOR, action, entity: 'destination', entityId, change });
}

function idList(text: string, before: number[]): number[] {
  return [...before, id(text)];
}
