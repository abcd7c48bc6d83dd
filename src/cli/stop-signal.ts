/** Ctrl-C, counted as people count it. */

/**
 * One press of Ctrl-C arrives up to three times: from the terminal, from npm and from the launcher in bin/, each of
 * which passes it on. Signals this close together are one.
 */
const ONE_PRESS_MS = 1_000;

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/**
 * Resolves with the first signal that asks for a stop. From then on the default action of these signals stays off,
 * so that an echo of the first does not end the process in the middle of its stop; a later one calls `again`, for
 * those who do not want to wait.
 */
export function waitForStopSignal(again: () => void): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let last: number | undefined;
    for (const name of SIGNALS) {
      process.on(name, () => {
        const now = performance.now();
        if (last === undefined) resolve(name);
        else if (now - last > ONE_PRESS_MS) again();
        last = now;
      });
    }
  });
}
