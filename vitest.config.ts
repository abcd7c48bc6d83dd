import { defineConfig } from 'vitest/config';
import { NothingSkipped } from './test/support/nothing-skipped.ts';

export default defineConfig({
  test: {
    environment: 'node',
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/support/after-file.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    // Processes, not threads: tests start workers, set signal handlers and end processes.
    pool: 'forks',
    // Some tests wait for other processes while others compute.
    maxWorkers: 3,
    // Files share a worker and the modules in it: to load them anew for each file is a third of all the work.
    isolate: false,
    // A limit for a very busy machine; on another no test comes near it.
    testTimeout: 150_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    reporters: ['default', new NothingSkipped()],
  },
});
