/**
 * A process that makes one pass over the INBOX of a mailbox whose lease the test holds, and says what it took and
 * how much memory that took. Arguments: a JSON object, see {@link OnePass}.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { FolderSync } from '../../src/intake/folder-sync.ts';
import { Events } from '../../src/observe/events.ts';
import { RawStore } from '../../src/raw/raw-store.ts';
import { imapSource } from '../../src/source/imap/imap-source.ts';
import type { ServerSettings } from '../../src/source/source.ts';
import { openDatabase } from '../../src/store/database.ts';
import { findMailbox } from '../../src/store/mailboxes.ts';

export interface OnePass {
  databaseUrl: string;
  dataDirectory: string;
  mailbox: number;
  leaseToken: number;
  server: ServerSettings;
  /** Ends the pass when so many messages are stored. */
  stopAt?: number;
}

export interface OnePassResult {
  added: number;
  /** The largest resident set in this process's life, in bytes. */
  peakBytes: number;
  /** How much more of the heap was in use at the end than after the first 10,000 messages, rubbish left out. */
  growthBytes: number;
  stopped: boolean;
}

const WARM = 10_000;

function keptBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  // Not what lies outside the heap: those buffers go some time after the objects that held them.
  return process.memoryUsage().heapUsed;
}

const task = JSON.parse(process.argv[2]!) as OnePass;
const connection = openDatabase(task.databaseUrl, { connections: 5, onError: () => undefined });
const raw = new RawStore(connection.db, task.dataDirectory);
const events = new Events();
const stop = new AbortController();
let added = 0;
let warm: number | null = null;
events.listen((name, data) => {
  if (name !== 'batch.stored') return;
  added += (data as { stored: number }).stored;
  if (added >= WARM) warm ??= keptBytes();
  if (task.stopAt !== undefined && added >= task.stopAt) stop.abort();
});
const session = await imapSource(task.server).connect(new AbortController().signal);
const held = { mailbox: (await findMailbox(connection.db, task.mailbox))!, leaseToken: task.leaseToken };
const context = {
  db: connection.db,
  raw,
  events,
  enqueue: async () => undefined,
  pressure: async () => null,
};
const sync = await FolderSync.open(context, held, session, 'INBOX', {
  signal: stop.signal,
  onProgress: () => undefined,
  careful: false,
});
try {
  await sync.run();
} catch (error) {
  if (!stop.signal.aborted) throw error;
}
const growthBytes = warm === null ? 0 : keptBytes() - warm;
await session.close();
await connection.close();
const result: OnePassResult = {
  added,
  peakBytes: process.resourceUsage().maxRSS * 1024,
  growthBytes,
  stopped: stop.signal.aborted,
};
process.stdout.write(`${JSON.stringify(result)}\n`);
