/** Loaded before every test file (vitest `setupFiles`): cleans up when the file is done. */
import { afterAll } from 'vitest';
import { cleanUp } from './cleanup.ts';

afterAll(cleanUp);
