/** Paging over a set that shrinks while it is read skips every second page. A cursor over UIDs does not. */
import { expect, it } from 'vitest';
import { LIMITS } from '../../src/limits.ts';
import { collect, startLab } from '../support/imap-lab.ts';

it('T19.1 1,000 unseen messages, marked, moved or deleted page by page, are all listed once', async () => {
  for (const what of ['seen', 'move', 'delete'] as const) {
    const lab = await startLab();
    lab.fill(1000);
    const session = await lab.session();
    const changes = await session.changes(null);
    if (changes.lost) throw new Error(changes.reason);
    const listed: string[] = [];
    for await (const page of changes.pages) {
      const keys = page.items.map(({ key }) => key);
      listed.push(...keys);
      const results = await session.dispose(keys, what, what === 'move' ? 'Trash' : null);
      expect(new Set(results.values())).toEqual(new Set(['done']));
    }
    expect(listed).toEqual(Array.from({ length: 1000 }, (_value, index) => String(index + 1)));
    const left = lab.server.messages('ann').filter((message) => !message.flags.has('\\Seen'));
    expect(left).toHaveLength(0);
  }
});

it('T19.1 a page is one command, however many messages it has', async () => {
  const lab = await startLab();
  lab.fill(1000);
  const session = await lab.session();
  const changes = await session.changes(null);
  if (changes.lost) throw new Error(changes.reason);
  await collect(changes.pages);
  expect(lab.server.countCommands('UID FETCH')).toBe(Math.ceil(1000 / LIMITS.batchMessages));
  expect(lab.server.countCommands('UID SEARCH')).toBe(1);
});
