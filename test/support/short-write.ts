/**
 * A program that puts a large message into the raw store of the folder it is given, in one chunk, and says what came
 * of it. Started under `ulimit -f`, its disk is full in the middle of that chunk.
 */
import { Readable } from 'node:stream';
import { RawStore } from '../../src/raw/raw-store.ts';
import type { Database } from '../../src/store/database.ts';

const [folder, size] = process.argv.slice(2);
// The signal of the limit would end the process; without it the write fails, as on a full disk.
process.on('SIGXFSZ', () => {});
const raw = new RawStore(null as unknown as Database, folder!);
await raw.start();
try {
  const stored = await raw.putStream(Readable.from([Buffer.alloc(Number(size), 'x')]), Number(size));
  console.log(`stored ${stored.size}`);
} catch (error) {
  console.log(`failed ${(error as NodeJS.ErrnoException).code}`);
}
