/**
 * Loaded first in a program that bin/runtime.mjs started as a child. When the launcher is killed without a
 * chance to pass the signal on (kill -9), the program ends as abruptly, so that the two are one process to
 * whoever watches them.
 */
import { Socket } from 'node:net';
import { isMainThread } from 'node:worker_threads';

const fd = Number(process.env.PENSTOCK_LAUNCHER_FD);
if (isMainThread && fd > 2) {
  // Children of this program would otherwise look for a pipe that they do not have.
  delete process.env.PENSTOCK_LAUNCHER_FD;
  const launcher = new Socket({ fd, readable: true, writable: false });
  launcher.on('error', () => {});
  launcher.on('close', () => process.kill(process.pid, 'SIGKILL'));
  launcher.resume();
  launcher.unref();
}
