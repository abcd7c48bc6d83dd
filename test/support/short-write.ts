/**
 * A program that puts batches of messages into the raw store of the folder it is given, and says of each what came of it.
 * Started under `ulimit -f`, its disk is full in the middle. Arguments: the folder; JSON, the sizes of each batch.
 */
import { RawStore } from '../../src/raw/raw-store.ts';
import type { Database } from '../../src/store/database.ts';
import type { RawBytes } from '../../src/store/intake.ts';

const [folder, batches] = process.argv.slice(2);
// The signal of the limit would end the process; without it the write fails, as on a full disk.
process.on('SIGXFSZ', () => {});
const store = new RawStore(null as unknown as Database, folder!);
await store.start();
for (const sizes of JSON.parse(batches!) as number[][]) {
  try {
    const raws: RawBytes[] = [];
    for (const size of sizes) raws.push(await store.put(Buffer.alloc(size, 'x')));
    await store.settle(raws);
    console.log('stored');
  } catch (error) {
    console.log(`failed ${(error as NodeJS.ErrnoException).code}`);
  }
}
