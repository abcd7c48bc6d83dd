/** A module that takes its time to load, as every one does on a busy machine. */
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_500);

export default (task: unknown): unknown => task;
