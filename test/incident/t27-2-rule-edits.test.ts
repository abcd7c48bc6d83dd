/** Rules are edited, switched off and deleted while mail is being matched: each record names the rules that decided it. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { expect, it } from 'vitest';
import type { Rule } from '../../src/rule/rule.ts';
import { deleteRule, rulesVersion, saveRule } from '../../src/store/rules.ts';
import { makeMapping, makeRule } from '../rule/fixtures.ts';
import { expectExactlyOnce } from '../support/exactly-once.ts';
import { tempFolder } from '../support/folder.ts';
import { simpleMessage } from '../support/messages.ts';
import { ODD_THREAD, oddMessage } from '../support/odd-thread.ts';
import { Pipe } from '../support/pipe.ts';
import { Site, until } from '../support/site.ts';

/** What the version says in the field of a record: null when it has no rule, or none that is on. */
type Says = string | null;

it('T27.2 edits in the middle of batches: record and trace name the version whose words they carry', async () => {
  const site = await Site.start({ backend: 'postgres' });
  const { db } = site.runtime;
  const says = new Map<number, Says>([[0, null]]);
  const edit = async (rule: Rule | null, id = rule?.id ?? 0): Promise<number> => {
    const saved = await db.transaction().execute(async (tx) => {
      if (rule !== null) return (await saveRule(tx, rule, 'test')).id;
      await deleteRule(tx, id, 'test');
      return id;
    });
    says.set(await rulesVersion(db), rule?.enabled ? rule.fieldMappings[0]!.value : null);
    pipe.work.rules.invalidate();
    return saved;
  };
  const saying = (word: string, changes: Partial<Rule>): Rule =>
    makeRule({ fieldMappings: [makeMapping({ value: word })], ...changes });

  const folder = await tempFolder('rule-edits');
  await site.addMailbox('ann', { after: 'seen' });
  const pipe = await Pipe.start(site, { work: { threadFile: ODD_THREAD } });
  /** All mail so far is in work, with the rules that its job has taken. */
  const allInWork = (): Promise<void> =>
    until(() => {
      const loaded = pipe.of('stage.timed').filter(({ stage }) => stage === 'load');
      return loaded.reduce((sum, { messages }) => sum + messages, 0) === site.delivered.length;
    });
  const id = await edit(saying('first', { id: 0 }));
  const edits: (Rule | null)[] = [
    saying('second', { id }),
    saying('second', { id, enabled: false }),
    saying('third', { id }),
    null,
  ];
  for (const [round, rule] of [...edits, saying('fourth', { id: 0 })].entries()) {
    // One of the batch holds it up in its thread, with the rules as they are now; the next one waits behind it.
    const file = join(folder, `go-${round}`);
    site.deliver('ann', oddMessage(`held-${round}`, `wait ${file}`));
    site.deliver('ann', simpleMessage(`with-${round}`));
    await allInWork();
    await edit(rule, id);
    site.deliver('ann', simpleMessage(`after-${round}`));
    await allInWork();
    await writeFile(file, '');
    await site.waitUntilProcessed();
  }
  await expectExactlyOnce(site);

  const { rows } = await sql<{
    subject: string;
    version: number;
    rule: number | null;
    said: Says;
    traced: number;
  }>`
    select subject, rules_version as version, rule_id as rule, extractions->0->>'value' as said,
      (select (event->>'version')::int from trace, json_array_elements(trace.events) as event
        where trace.ledger_id = incoming_email.ledger_id and event->>'event' = 'rules') as traced
    from incoming_email order by id`.execute(db);
  for (const { subject, version, said, traced, rule } of rows) {
    expect({ subject, said, traced, matched: rule !== null }).toEqual({
      subject,
      said: says.get(Number(version)),
      traced: Number(version),
      matched: said !== null,
    });
  }
  const words = (prefix: string): Says[] =>
    rows.filter(({ subject }) => subject.startsWith(prefix)).map(({ said }) => said);
  expect(words('held')).toEqual(['first', 'second', null, 'third', null]);
  expect(words('with')).toEqual(words('held'));
  expect(words('after')).toEqual(['second', null, 'third', null, 'fourth']);
});
