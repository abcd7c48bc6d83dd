/** From the row of a site to the requester that a first mail makes. */
import { expect, it } from 'vitest';
import { saveSite } from '../../src/store/sites.ts';
import { Pipe } from '../support/pipe.ts';
import { Site } from '../support/site.ts';

it('a new requester belongs to the site of the address, else to that of the mailbox', async () => {
  const site = await Site.start({ backend: 'postgres' });
  const { db } = site.runtime;
  const { id } = (await db
    .transaction()
    .execute((tx) =>
      saveSite(tx, { id: 0, name: 'Berlin', clientId: 0, emailDomains: ['*.berlin.example'], toDomains: [] }),
    ))!;
  await site.addMailbox('ann');
  for (const from of ['eva@a.berlin.example', 'bob@elsewhere.example'])
    site.deliver('ann', Buffer.from(`From: ${from}\r\nTo: ann@example.com\r\nSubject: hi\r\n\r\nHello.\r\n`));
  const pipe = await Pipe.start(site);
  await site.waitUntilProcessed();
  await pipe.stop();
  const rows = await db.selectFrom('requester').select(['address', 'site_id']).orderBy('address').execute();
  expect(rows).toEqual([
    { address: 'bob@elsewhere.example', site_id: 0 },
    { address: 'eva@a.berlin.example', site_id: id },
  ]);
}, 60_000);
