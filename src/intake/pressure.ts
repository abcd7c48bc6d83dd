/** When intake must pause: too much waits for processing, or the disk is nearly full. */
import { LIMITS } from '../limits.ts';
import type { RawFiles } from '../raw/raw-files.ts';
import type { Database } from '../store/database.ts';
import { backlog } from '../store/emails.ts';

const CHECK_MS = 2_000;

/** Makes the check that pollers ask before each batch; its answer is kept for two seconds. */
export function makePressure(db: Database, files: Pick<RawFiles, 'freeBytes'>): () => Promise<string | null> {
  let checkedAt = Number.NEGATIVE_INFINITY;
  let answer: Promise<string | null> = Promise.resolve(null);
  const look = async (): Promise<string | null> => {
    const free = await files.freeBytes();
    if (free < LIMITS.diskFreeBytes) return `disk: ${Math.round(free / 1_048_576)} MB free`;
    const { waiting } = await backlog(db, LIMITS.queueDepth + 1);
    return waiting > LIMITS.queueDepth
      ? `backlog: more than ${LIMITS.queueDepth} messages wait for processing`
      : null;
  };
  return () => {
    if (performance.now() - checkedAt > CHECK_MS) {
      checkedAt = performance.now();
      answer = look();
    }
    return answer;
  };
}
