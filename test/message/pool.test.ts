import { afterEach, describe, expect, it } from 'vitest';
import { createPool, parseTimeoutMs, type WorkerPool } from '../../src/message/pool.ts';

/** Long enough for a thread to start on a busy machine. */
const PATIENCE = { timeoutMs: 25_000 };
const HOSTILE = new URL('./workers/hostile.ts', import.meta.url);

let pool: WorkerPool;
afterEach(() => pool.close());

function open(threads: number, filename: string | URL = HOSTILE): WorkerPool {
  pool = createPool({ filename, threads, heapMegabytes: 64 });
  return pool;
}

describe('pool', () => {
  it('runs tasks and returns their results', async () => {
    open(2);
    const results = await Promise.all(
      [1, 2, 3, 4, 5].map((value) => pool.run({ do: 'echo', value }, PATIENCE)),
    );
    expect(results).toEqual([1, 2, 3, 4, 5]);
  });

  it('gives another thread to a task that waits behind a slow one', async () => {
    open(2);
    let over = false;
    const slow = pool.run({ do: 'hang' }, { timeoutMs: 20_000 }).catch(() => {
      over = true;
    });
    expect(await pool.run({ do: 'echo', value: 'x' }, PATIENCE)).toBe('x');
    expect(over).toBe(false);
    await pool.close();
    await slow;
  });

  it('takes its module as a string too', async () => {
    open(1, HOSTILE.href);
    expect(await pool.run({ do: 'echo', value: 'x' }, PATIENCE)).toBe('x');
  });

  it('hands buffers over instead of copying them', async () => {
    open(1);
    const bytes = new Uint8Array([1, 2, 3]);
    const result = await pool.run<Uint8Array>(
      { do: 'echo', value: bytes },
      { ...PATIENCE, transfer: [bytes.buffer] },
    );
    expect([...result]).toEqual([1, 2, 3]);
    expect(bytes.byteLength).toBe(0);
  });

  it.each([
    ['hang', 2_000, 'parse_timeout'],
    ['sleep', 2_000, 'parse_timeout'],
    ['allocate', 25_000, 'parse_memory'],
    ['exit', 25_000, 'parse_failed'],
    ['throw-later', 25_000, 'parse_failed'],
    ['unclonable', 25_000, 'parse_failed'],
    ['throw', 25_000, 'parse_failed'],
  ])('a task that does %s ends alone', async (what, timeoutMs, code) => {
    open(2);
    const bad = pool.run({ do: what }, { timeoutMs });
    const others = [1, 2, 3].map((value) => pool.run({ do: 'echo', value }, PATIENCE));
    await expect(bad).rejects.toMatchObject({ code });
    expect(await Promise.all(others)).toEqual([1, 2, 3]);
    // The thread that died was replaced.
    expect(await Promise.all([4, 5, 6].map((value) => pool.run({ do: 'echo', value }, PATIENCE)))).toEqual([
      4, 5, 6,
    ]);
  });

  it('survives many bad tasks on one thread', async () => {
    open(1);
    for (let i = 0; i < 5; i++) {
      await expect(pool.run({ do: 'exit' }, PATIENCE)).rejects.toMatchObject({ code: 'parse_failed' });
    }
    expect(await pool.run({ do: 'echo', value: 1 }, PATIENCE)).toBe(1);
  });

  it('passes errors of ours with code and fields', async () => {
    open(1);
    await expect(pool.run({ do: 'throw-ours' }, PATIENCE)).rejects.toMatchObject({
      code: 'mime_limit',
      message: 'too deep',
      fields: { limit: 'mimeDepth' },
    });
  });

  it('does not count the time that a task waits for a thread', async () => {
    open(1);
    await pool.run({ do: 'echo' }, PATIENCE);
    const slow = pool.run({ do: 'hang' }, { timeoutMs: 5_000 });
    const waits = pool.run({ do: 'echo', value: 1 }, { timeoutMs: 4_500 });
    expect(pool.waiting).toBe(1);
    await expect(slow).rejects.toMatchObject({ code: 'parse_timeout' });
    expect(await waits).toBe(1);
  });

  it('does not count the time that a thread takes to start', async () => {
    open(1, new URL('./workers/slow-start.ts', import.meta.url));
    expect(await pool.run('x', { timeoutMs: 1_000 })).toBe('x');
  });

  it('calls a module that cannot be loaded our own fault', async () => {
    open(1, new URL('./workers/missing.ts', import.meta.url));
    await expect(pool.run({}, PATIENCE)).rejects.toMatchObject({ code: 'internal' });
  });

  it('rejects what runs and what waits when it is closed', async () => {
    open(1);
    const running = pool.run({ do: 'hang' }, PATIENCE);
    const waiting = pool.run({ do: 'echo' }, PATIENCE);
    const outcomes = Promise.allSettled([running, waiting]);
    await pool.close();
    expect((await outcomes).map((outcome) => outcome.status)).toEqual(['rejected', 'rejected']);
    await expect(pool.run({ do: 'echo' }, PATIENCE)).rejects.toMatchObject({ code: 'internal' });
  });
});

describe('parseTimeoutMs', () => {
  it('grows with the message', () => {
    expect(parseTimeoutMs(0)).toBe(10_000);
    expect(parseTimeoutMs(1)).toBe(11_000);
    expect(parseTimeoutMs(20 * 1024 * 1024)).toBe(30_000);
  });
});
