/**
 * Undoes what tests started: processes end and folders go, also after a failure. Test files do it by themselves
 * (`after-file.ts`); a program that is no test, such as a bench, calls {@link cleanUp} at its end.
 */

type Undo = () => Promise<unknown> | unknown;

const undos = new Set<Undo>();

/** Runs `undo` when the test file is done, last registered first. Returns a function that forgets it. */
export function onCleanup(undo: Undo): () => void {
  undos.add(undo);
  return () => void undos.delete(undo);
}

const killable = new Set<number>();

/** Kills the process hard if this one ends before it was forgotten. Returns a function that forgets it. */
export function killOnExit(pid: number): () => void {
  killable.add(pid);
  return () => void killable.delete(pid);
}

process.on('exit', () => {
  for (const pid of killable) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // Gone already.
    }
  }
});

/** Runs everything registered, last registered first. */
export async function cleanUp(): Promise<void> {
  const failures: unknown[] = [];
  for (const undo of [...undos].reverse()) {
    undos.delete(undo);
    try {
      await undo();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'Clean-up failed');
}
