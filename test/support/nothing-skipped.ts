import type { Reporter, TestModule } from 'vitest/node';

/** In continuous integration a skipped test is a failure: nobody reads "12 skipped" in a green log. */
export class NothingSkipped implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    // Whoever picks tests by name leaves the others out on purpose.
    const picked = process.argv.some((word) => word === '-t' || word.startsWith('--testNamePattern'));
    if (process.env.CI !== 'true' || picked) return;
    const skipped: string[] = [];
    for (const module of modules) {
      for (const test of module.children.allTests('skipped')) {
        skipped.push(`${module.relativeModuleId} > ${test.fullName}`);
      }
    }
    if (skipped.length === 0) return;
    process.exitCode = 1;
    process.stderr.write(`\nSkipped, which CI=true does not allow:\n  ${skipped.join('\n  ')}\n`);
  }
}
