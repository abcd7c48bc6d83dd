/** How the embedded server is set up: as a small, private, durable database. Pure. */
import { createHash } from 'node:crypto';

/** Name of the role and of the database. */
export const NAME = 'penstock';
/** Only part of the socket's name: there is no TCP port. */
export const PORT = 5432;

/** A unix socket path has at most 107 bytes (unix(7)); the server's file name takes some of them. */
export const SOCKET_FOLDER_BYTES = 107 - `/.s.PGSQL.${PORT}`.length;

/** See https://www.postgresql.org/docs/18/runtime-config.html for each. */
const SETTINGS: Record<string, string> = {
  // Private: no TCP, and a socket only its owner and root can open.
  listen_addresses: '',
  unix_socket_permissions: '0700',

  // Durable. These are the defaults, said aloud because everything else rests on them.
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',

  // Small machine: short queries, little memory, few processes.
  max_connections: '100',
  shared_buffers: '128MB',
  effective_cache_size: '512MB',
  maintenance_work_mem: '64MB',
  jit: 'off',
  io_method: 'sync',
  max_worker_processes: '4',
  max_parallel_workers_per_gather: '0',
  wal_compression: 'on',
  max_wal_size: '1GB',
  checkpoint_timeout: '10min',
  random_page_cost: '1.1',
  // In a backlog pages are written by the background writer, and no commit waits for one.
  bgwriter_delay: '50ms',
  bgwriter_lru_maxpages: '1000',
  bgwriter_lru_multiplier: '4',

  // The log holds starts, stops and faults of the server. Errors of statements reach their callers, and mail
  // content must not get into a log: no statements, no details of rows.
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  log_checkpoints: 'off',
  log_timezone: 'UTC',
  log_line_prefix: '%m [%p] ',
};

export interface ServerFiles {
  pgdata: string;
  hbaFile: string;
  identFile: string;
  socketFolder: string;
}

/** Arguments of `postgres`. `mark` can be read back from a running server, to know it again. */
export function serverArguments(files: ServerFiles, extra: Record<string, string>, mark: string): string[] {
  const settings = {
    ...SETTINGS,
    ...extra,
    hba_file: files.hbaFile,
    ident_file: files.identFile,
    // The value is a list: quotes keep a comma or a space in the path from splitting it.
    unix_socket_directories: `"${files.socketFolder}"`,
    port: String(PORT),
    'penstock.mark': mark,
  };
  const args = ['-D', files.pgdata];
  for (const [name, value] of Object.entries(settings)) args.push('-c', `${name}=${value}`);
  return args;
}

/** The same for two starts that would run the same server with the same settings. */
export function serverMark(version: string, extra: Record<string, string>): string {
  const text = JSON.stringify([version, SETTINGS, Object.entries(extra).sort()]);
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/**
 * Arguments of `initdb`. The builtin locale sorts by code point and knows Unicode's letters (lower, upper),
 * the same on every machine: no index breaks when the system's locales change. Trigrams alone ask the system what a
 * letter is, and in C it knows those of English; every Linux has C.UTF-8.
 */
export function initArguments(pgdata: string): string[] {
  return [
    `--pgdata=${pgdata}`,
    `--username=${NAME}`,
    '--encoding=UTF8',
    '--locale=C',
    ...(process.platform === 'linux' ? ['--lc-ctype=C.UTF-8'] : []),
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--auth-local=peer',
    '--auth-host=reject',
    '--data-checksums',
    '--no-instructions',
  ];
}

/** pg_hba.conf: only over the socket, and only system users that pg_ident.conf names. */
export const HBA_TEXT = `# Written by Penstock at every start.\nlocal all ${NAME} peer map=${NAME}\n`;

/** pg_ident.conf: whoever runs Penstock is the role, whatever user the server runs as. */
export function identText(systemUser: string): string {
  return `# Written by Penstock at every start.\n${NAME} "${systemUser}" ${NAME}\n`;
}
