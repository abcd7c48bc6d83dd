/** Mail that other systems lost: a parser that fails, a long outage, no Message-ID. */
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { expectExactlyOnce } from '../support/exactly-once.ts';
import { simpleMessage } from '../support/messages.ts';
import { ODD_THREAD, oddMessage } from '../support/odd-thread.ts';
import { Pipe } from '../support/pipe.ts';
import { BACKENDS, Site } from '../support/site.ts';

const DAY_MS = 24 * 60 * 60_000;

it('T1.2 a message on which the parser fails is set aside with its very bytes', async () => {
  const site = await Site.start({ backend: 'postgres' });
  await site.addMailbox('ann', { after: 'seen' });
  const bad = oddMessage('bad', 'throw');
  site.deliver('ann', simpleMessage('before'));
  site.deliver('ann', bad);
  site.deliver('ann', simpleMessage('after'));
  const pipe = await Pipe.start(site, { work: { threadFile: ODD_THREAD } });
  await site.waitUntilProcessed();
  await expectExactlyOnce(site, (bytes) => (bytes.equals(bad) ? 'quarantined' : 'processed'));
  const set = (await site.emails()).filter(({ state }) => state === 'quarantined');
  expect(set).toMatchObject([{ errorCode: 'parse_failed', errorStage: 'parse' }]);
  expect(pipe.of('message.quarantined')).toHaveLength(1);
  expect(await site.trace(set[0]!)).toContainEqual(
    expect.objectContaining({ event: 'failed', stage: 'parse', code: 'parse_failed', final: true }),
  );
});

it('T1.4 nobody polls for ten days: all of it is taken, old and new, read and unread', async () => {
  const site = await Site.start({ backend: 'postgres' });
  await site.addMailbox('ann', { after: 'seen' });
  const pipe = await Pipe.start(site);
  site.deliver('ann', simpleMessage('the last one before'));
  await site.waitUntilProcessed();
  await pipe.stop();
  for (let day = 10; day >= 0; day -= 1) {
    const internalDate = new Date(Date.now() - day * DAY_MS);
    site.deliver('ann', simpleMessage(`day-${day}`), { internalDate });
    // Somebody reads mail with another client: what was seen is not what was taken.
    site.deliver('ann', simpleMessage(`read-${day}`), { internalDate, flags: ['\\Seen'] });
  }
  // The server may put an old message in as well, as when a folder is restored: its date says nothing.
  site.deliver('ann', simpleMessage('restored'), { internalDate: new Date('2009-01-01T00:00:00Z') });
  await Pipe.start(site);
  await site.waitUntilProcessed();
  await expectExactlyOnce(site);
});

describe.each(BACKENDS)('T1.5 no Message-ID, the same body twice (queue on %s)', (backend) => {
  const body = Buffer.from('From: Ann <ann@example.org>\r\nSubject: again\r\n\r\nThe same.\r\n');

  it('T1.5 copies count each when the mailbox says so', async () => {
    const site = await Site.start({ backend });
    await site.addMailbox('ann', { after: 'seen', dedup: 'none' });
    site.deliver('ann', body);
    site.deliver('ann', body);
    await Pipe.start(site);
    await site.waitUntilProcessed();
    await expectExactlyOnce(site);
  });

  it('T1.5 a copy is a row that names the first, when the mailbox drops copies; also in another batch', async () => {
    const site = await Site.start({ backend });
    await site.addMailbox('ann', { after: 'seen', dedup: 'content' });
    site.deliver('ann', body);
    site.deliver('ann', body);
    await Pipe.start(site);
    await site.waitUntilProcessed();
    site.deliver('ann', body);
    await site.waitUntilProcessed();
    const emails = await site.emails();
    expect(emails).toMatchObject([{ state: 'processed', key: '1' }]);
    const { rows } = await sql`
      select key, state, disposition, incoming_email_id as of from ledger order by id`.execute(
      site.runtime.db,
    );
    const of = emails[0]!.id;
    expect(rows).toEqual([
      { key: '1', state: 'stored', disposition: 'done', of },
      { key: '2', state: 'duplicate', disposition: 'done', of },
      { key: '3', state: 'duplicate', disposition: 'done', of },
    ]);
    expect((await site.audit()).unaccounted).toBe(0);
  });
});
