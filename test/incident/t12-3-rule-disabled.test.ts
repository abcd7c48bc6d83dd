/** A rule that is too expensive for message after message is switched off, and says so everywhere. */
import { expect, it } from 'vitest';
import { viewRule } from '../../src/api/halo/email-rule.ts';
import { LIMITS } from '../../src/limits.ts';
import { findRule, saveRule } from '../../src/store/rules.ts';
import { makePattern, makeRule } from '../rule/fixtures.ts';
import { simpleMessage } from '../support/messages.ts';
import { Pipe } from '../support/pipe.ts';
import { Site } from '../support/site.ts';

it('T12.3 after repeated overruns, with event, audit row and the reason in the API; it stays off', async () => {
  const site = await Site.start({ backend: 'postgres' });
  const { db } = site.runtime;
  // Large enough to be refused on this text, and quick all the same.
  const pattern = makePattern('x[de]{300}y', { field: 'text' });
  const slow = await db
    .transaction()
    .execute((tx) =>
      saveRule(tx, makeRule({ id: 0, name: 'slow', sequence: 9, patterns: [pattern] }), 'test'),
    );
  await site.addMailbox('ann');
  const body = `xy ${'ab'.repeat(20_000)}`;
  const deliver = (from: number, to: number): void => {
    for (let number = from; number <= to; number += 1)
      site.deliver('ann', simpleMessage(`large ${number}`, `${number} ${body}`));
  };
  const pipe = await Pipe.start(site);
  deliver(1, LIMITS.ruleOverruns - 1);
  await site.waitUntilProcessed();
  expect((await findRule(db, slow.id))?.enabled).toBe(true);

  deliver(LIMITS.ruleOverruns, LIMITS.ruleOverruns);
  await site.waitUntilProcessed();
  await expect.poll(async () => (await findRule(db, slow.id))?.enabled, { timeout: 20_000 }).toBe(false);
  await expect.poll(() => pipe.of('rule.disabled').length, { timeout: 20_000 }).toBe(1);
  await pipe.stop();

  const rule = (await findRule(db, slow.id))!;
  expect(viewRule(rule, null, false)).toMatchObject({
    enabled: false,
    _warning: expect.stringContaining(`too large for ${LIMITS.ruleOverruns} messages`),
  });
  const audit = await db.selectFrom('audit_log').selectAll().where('entity', '=', 'email_rule').execute();
  expect(audit).toMatchObject([{ actor: 'system', action: 'disable', entity_id: String(slow.id) }]);
  const changes = await db.selectFrom('rule_change').select('actor').orderBy('version').execute();
  expect(changes.map(({ actor }) => actor)).toEqual(['test', 'system']);
  // Not one message was lost over it.
  const emails = await db.selectFrom('incoming_email').select('state').execute();
  expect(emails.map(({ state }) => state)).toEqual(Array(LIMITS.ruleOverruns).fill('processed'));
}, 120_000);
