/** A process of its own that clears up behind a demo which was cut short. */
import { setTimeout as sleep } from 'node:timers/promises';
import { removeDemoData } from './demo-data.ts';

/** How long a program that was cut off in the middle may still write a last file. */
const LATE_WRITES_MS = 2_000;

const folder = process.argv[2] ?? '';
await removeDemoData(folder);
await sleep(LATE_WRITES_MS);
await removeDemoData(folder);
