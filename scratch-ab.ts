
import { sql } from 'kysely';
import { openDatabase } from '/work/wt/day/src/store/database.ts';
import { startEmbeddedPostgres } from '/work/wt/day/src/store/engine/embedded-postgres.ts';
import { migrate } from '/work/wt/day/src/store/migrate.ts';
import { writeFileSync } from 'node:fs';
const users = Number(process.argv[2] ?? 1_000_000);
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


const engine = await startEmbeddedPostgres({ dataDir: '/tmp/ab/data' });
const connection = openDatabase(engine.connection, { connections: 1, onError: () => {} });
const { db } = connection;
await migrate(connection.pool);
const n = (await sql`select count(*) as c from requester`.execute(db)).rows[0].c;
if (n == 0) { await fill(); await sql`vacuum analyze requester`.execute(db); }
writeFileSync('/tmp/ab/ready.json', JSON.stringify(engine.connection));
console.log('ready', JSON.stringify(engine.connection));
setInterval(()=>{}, 1000);
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
