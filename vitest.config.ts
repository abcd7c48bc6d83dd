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
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    reporters: ['default', new NothingSkipped()],
  },
});
