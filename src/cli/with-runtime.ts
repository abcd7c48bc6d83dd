/** Runs a command on the engines: those of a running daemon, or its own for the moment. */
import { loadConfig } from '../config/load.ts';
import { openRuntime, type Runtime } from '../runtime.ts';

export async function withRuntime<T>(run: (runtime: Runtime) => Promise<T>): Promise<T> {
  const { config } = await loadConfig();
  const runtime = await openRuntime(config, { borrow: true, onError: () => undefined });
  try {
    return await run(runtime);
  } finally {
    await runtime.close();
  }
}

/** Prints data as JSON, or as text for a person. */
export function print(json: boolean | undefined, data: unknown, text: () => string): void {
  process.stdout.write(`${json ? JSON.stringify(data, null, 2) : text()}\n`);
}
