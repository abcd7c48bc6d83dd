/** A program that starts the embedded database of the folder it is given, says so, and waits to be killed. */
import { startEmbeddedPostgres } from '../../src/store/engine/embedded-postgres.ts';

try {
  const engine = await startEmbeddedPostgres({ dataDir: process.argv[2] ?? '' });
  console.log(`ready ${engine.url}`);
  setInterval(() => {}, 1_000_000);
} catch (error) {
  const { code, message } = error as Error & { code?: string };
  console.log(`failed ${code} ${message}`);
  process.exitCode = 1;
}
