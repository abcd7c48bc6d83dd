import { describe, expect, it } from 'vitest';
import { cutIntoJobs, jobId } from '../../src/queue/job.ts';

describe('cutIntoJobs', () => {
  it('keeps order, one mailbox a job, and no job longer than asked', () => {
    const rows = [1, 2, 3, 4, 5].map((id) => ({ id, mailboxId: id === 3 ? 9 : 8 }));
    expect(cutIntoJobs(rows, 2)).toEqual([
      { mailbox: 8, ids: [1, 2] },
      { mailbox: 9, ids: [3] },
      { mailbox: 8, ids: [4, 5] },
    ]);
  });

  it('makes no job of nothing', () => {
    expect(cutIntoJobs([], 50)).toEqual([]);
  });
});

describe('jobId', () => {
  it('T8.4 is never all digits and has no colon, as BullMQ demands', () => {
    const id = jobId({ mailbox: 1, ids: [2, 3] }, '0');
    expect(id).not.toMatch(/^\d+$/);
    expect(id).not.toContain(':');
  });

  it('differs between rounds, so that a lost job can be enqueued again', () => {
    const data = { mailbox: 1, ids: [2] };
    expect(jobId(data, '0')).not.toBe(jobId(data, 's1'));
  });
});
