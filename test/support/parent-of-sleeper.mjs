/** A program that starts another as the launcher does, and says its process id. Both wait to be killed. */
import { runShadowed } from '../../bin/runtime.mjs';

const child = runShadowed(process.execPath, ['--eval', 'setInterval(() => {}, 1e6)']);
console.log(`child ${child.pid}`);
