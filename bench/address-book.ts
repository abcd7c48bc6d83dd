/**
 * How long a search in the address book takes with a million users, in an embedded database of its own.
 *
 *   node bin/penstock.mjs --run bench/address-book.ts [users]
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { searchUsers, type UserFilter, type UserOrderColumn } from '../src/store/address-book.ts';
import { openDatabase } from '../src/store/database.ts';
import { startEmbeddedPostgres } from '../src/store/engine/embedded-postgres.ts';
import { migrate } from '../src/store/migrate.ts';

const users = Number(process.argv[2] ?? 1_000_000);
const everybody = { active: true, inactive: false, serviceAccounts: true, otherAccounts: true };
/** What people type: whole names, parts, addresses, numbers that occur once, letters; and what costs the most. */
const SEARCHES: [name: string, filter: Partial<UserFilter>, offset?: number, order?: UserOrderColumn][] = [
  ['a name', { search: 'Grete Baumann17' }],
  ['half a name', { search: 'grete bau' }],
  ['a frequent name', { search: 'anna' }],
  ['a frequent name at the end', { search: 'zoltan' }],
  ['everybody', { search: 'example.com' }],
  ['one address', { search: `u${Math.floor(users / 2)}@` }],
  ['one letter', { search: 'z' }],
  ['two letters', { search: 'jo' }],
  ['a name and a letter', { search: 'grete b' }],
  ['two letters each', { search: 'gr ba' }],
  ['a name in a client', { search: 'anna', clientId: 17 }],
  ['page 10 of a frequent name', { search: 'anna' }, 450],
  ['the same by surname', { search: 'anna' }, 450, 'surname'],
  ['a name by site', { search: 'grete baumann17' }, 0, 'site_name'],
  ['approvers too', { search: 'grete baumann17', allApprovers: true }],
  ['a phone number', { search: `555${digitsOf(Math.floor(users / 2))}`, phones: true }],
  ['the same with blanks', { search: `+1 555 ${digitsOf(Math.floor(users / 2))}`, phones: true }],
  ['the end of many numbers', { search: digitsOf(users - 1).slice(-4), phones: true }],
  ['digits of all numbers', { search: '1555', phones: true }],
  ['a name, phones too', { search: 'grete bau', phones: true }],
];
/** What nobody has. */
const NOWHERE: typeof SEARCHES = [
  ['nowhere', { search: 'qqxqq' }],
  ['punctuation', { search: '---' }],
  ['another script', { search: 'грета' }],
  ['names that never meet', { search: 'anna hannah liu' }],
  ['everybody, inactive', { search: 'example.com', active: false, inactive: true }],
  ['an organisation', { organisationId: 17 }],
];

const FIRST = [
  'Anna',
  'Grete',
  'Bob',
  'Joan',
  'Zoltan',
  'Carl',
  'Eva',
  'Hannah',
  'Liu',
  'Omar',
  'Pia',
  'Sven',
];
const LAST = ['Baumann', 'Lee', 'Okafor', 'Silva', 'Novak', 'Haddad', 'Kim', 'Jones', 'Weber', 'Rossi'];

const folder = await mkdtemp(join(tmpdir(), 'penstock-bench-'));
const engine = await startEmbeddedPostgres({ dataDir: join(folder, 'data') });
const connection = openDatabase(engine.connection, { connections: 1, onError: () => {} });
try {
  const { db } = connection;
  await migrate(connection.pool);
  const started = performance.now();
  await fill();
  await sql`vacuum analyze requester`.execute(db);
  print(`${users} users written and indexed in ${((performance.now() - started) / 1_000).toFixed(1)} s`);
  let slowest = 0;
  for (const search of [...SEARCHES, ...NOWHERE]) {
    const [name, filter, offset = 0, column] = search;
    const order = column === undefined ? [] : [{ column, descending: false }];
    const before = await cpuSeconds();
    const times: number[] = [];
    let found = { total: 0 };
    for (let i = 0; i < 21; i += 1) {
      const at = performance.now();
      found = await searchUsers(db, { ...everybody, ...filter }, order, 50, offset);
      times.push(performance.now() - at);
    }
    // What the server computed, which a busy machine does not change.
    const cpu = (((await cpuSeconds()) - before) * 1_000) / times.length;
    // The first one warms the cache.
    const warm = times.slice(1).sort((a, b) => a - b);
    if ((found.total === 0) !== NOWHERE.includes(search)) throw new Error(`${name}: ${found.total} hits`);
    slowest = Math.max(slowest, warm.at(-1)!);
    const [median, most] = [warm[Math.floor(warm.length / 2)]!, warm.at(-1)!].map((ms) => ms.toFixed(1));
    const first = times[0]!.toFixed(1);
    print(
      `${name.padEnd(28)} ${String(found.total).padStart(7)} hits  median ${median} ms  most ${most} ms  first ${first} ms  cpu ${cpu.toFixed(1)} ms`,
    );
  }
  print(`slowest ${slowest.toFixed(1)} ms`);
} finally {
  await connection.close();
  await engine.stop();
  await rm(folder, { recursive: true, force: true });
}

/** Processor time of our server process so far (proc(5): ticks of 10 ms). */
async function cpuSeconds(): Promise<number> {
  const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(connection.db);
  const fields = (await readFile(`/proc/${rows[0]!.pid}/stat`, 'utf8')).split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** The last seven digits of the phone number of a user. */
function digitsOf(user: number): string {
  return String(user % 1_000_000).padStart(7, '0');
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Some names are more frequent than others; a third of the people have a middle name, each an address of its own. */
async function fill(): Promise<void> {
  const { db } = connection;
  // Indexes are made at the end, as they stand in the schema: that is faster.
  const { rows: indexes } = await sql<{ name: string; definition: string }>`
    select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition from pg_index
    where indrelid = 'requester'::regclass and not indisunique`.execute(db);
  for (const { name } of indexes) await sql`drop index ${sql.raw(name)}`.execute(db);
  for (let from = 1; from <= users; from += 50_000) {
    await sql`
      insert into requester (name, first_name, surname, address, client_id, site_id, halo)
      select first || case when n % 3 = 0 then ' ' || substr(md5(n::text), 1, 6) else '' end || ' ' || last, first, last,
        lower('u' || n || '@client' || n % 500 || '.example.com'), n % 500 + 1, n % 2000 + 1,
        jsonb_build_object('phonenumber', '+1 555 ' || lpad((n % 1000000)::text, 7, '0'))
      from (select n, (${FIRST}::text[])[1 + floor(power((hashint4(n) & 65535) / 65536.0, 2) * ${FIRST.length})::int] as first,
          (${LAST}::text[])[1 + floor(power((hashint4(n + 7) & 65535) / 65536.0, 2) * ${LAST.length})::int] || (hashint4(n + 3) & 31) as last
        from generate_series(${from}::int, ${Math.min(users, from + 49_999)}::int) as n) as people`.execute(
      db,
    );
  }
  await sql`set statement_timeout = 0; set maintenance_work_mem = '512MB'`.execute(db);
  for (const { definition } of indexes) await sql`${sql.raw(definition)}`.execute(db);
}
