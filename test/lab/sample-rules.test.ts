import { describe, expect, it } from 'vitest';
import { draftRule } from '../../src/api/halo/email-rule.ts';
import type { RuleItem } from '../../src/api/halo/email-rule-fields.ts';
import { SAMPLE_RULES } from '../../src/lab/samples/rules.ts';
import { type Sample, SampleStream } from '../../src/lab/samples/samples.ts';
import { classify } from '../../src/message/classify.ts';
import { parseMessage } from '../../src/message/parse.ts';
import { compileRules } from '../../src/rule/compile.ts';
import { matchRules } from '../../src/rule/match.ts';
import type { RuleResult } from '../../src/rule/rule.ts';
import { buildView } from '../../src/rule/view.ts';

const rules = SAMPLE_RULES.map((item, index) => {
  const rule = draftRule(item as RuleItem, null);
  // Saving gives ids to rules and mappings.
  const fieldMappings = rule.fieldMappings.map((mapping, place) => ({ ...mapping, id: place + 1 }));
  return { ...rule, id: index + 1, fieldMappings };
});
const set = compileRules(rules, 1);
const stream = new SampleStream(21);
const samples = [...stream.take(200), ...Array.from({ length: 40 }, () => stream.next())];

async function matched(sample: Sample): Promise<RuleResult> {
  return matchRules(set, buildView(await parseMessage(sample.bytes)), { mailboxId: 1 });
}

async function firstOf(kind: Sample['kind'], outcome?: string): Promise<Map<string, string>> {
  const sample = samples.find((one) => one.kind === kind && (!outcome || one.expect.outcome === outcome));
  const { extractions } = await matched(sample!);
  return new Map(extractions.map(({ target, value }) => [target, value]));
}

describe('the sample rules', () => {
  const readable = samples.filter(({ expect: { outcome } }) => outcome !== 'quarantine');

  it('decide every sample as expected, and end alerts that are over', async () => {
    for (const sample of readable) {
      const { rule, closes, passedOver } = await matched(sample);
      expect(rule?.name ?? null, sample.name).toBe(sample.expect.rule);
      expect(closes, sample.name).toBe(sample.expect.outcome === 'alert_close');
      expect(passedOver).toEqual([]);
    }
  });

  it('find every sample in its class', async () => {
    for (const sample of readable) {
      const message = await parseMessage(sample.bytes);
      const { class: found } = classify(message, {
        ownAddresses: ['support@desk.example.com'],
        instanceId: 'x',
      });
      expect(found, sample.name).toBe(sample.expect.class);
    }
  });

  it('refuse the one that is too deep, by its structure', async () => {
    const deep = samples.find(({ kind }) => kind === 'too-deep');
    await expect(parseMessage(deep!.bytes)).rejects.toMatchObject({ code: 'mime_limit' });
  });

  it('take alert keys that are the same in problem and recovery', async () => {
    for (const end of samples.filter(({ expect: { outcome } }) => outcome === 'alert_close')) {
      const start = samples.find(({ name }) => name === end.after)!;
      const keyOf = async (sample: Sample) =>
        (await matched(sample)).extractions.find(({ target }) => target === 'slot:alert_key')?.value;
      expect(await keyOf(end), end.name).toBe(await keyOf(start));
      expect(await keyOf(end), end.name).toBeTruthy();
    }
  });

  it('take host, service, status and references by their labels', async () => {
    expect((await firstOf('alert-problem')).get('slot:asset_or_service')).toMatch(/^[a-z]+-\d\d\.prod\./);
    const status = await firstOf('service-status');
    expect(status.get('slot:asset_or_service')).toMatch(/storage|balancers|service/);
    expect(status.get('slot:status')).toMatch(/^(Degraded|Partial|Operational|Under)/);
    expect((await firstOf('supplier-update')).get('slot:supplier_reference')).toMatch(/^CL-\d+$/);
  });

  it('fill fields from orders, and from a subject by a regular expression', async () => {
    const order = await firstOf('order');
    expect(order.get('slot:user')).toMatch(/^\S+@\S+\.example$/);
    const values = [...order.values()].map((value) => value.trim());
    expect(values.some((value) => /^SO-\d{6}$/.test(value))).toBe(true);
    expect(values.some((value) => /^\d+\.\d\d$/.test(value))).toBe(true);
    const backup = await firstOf('backup-report');
    expect(backup.get('pattern:Host')).toMatch(/^[a-z]+-\d+$/);
    expect(backup.get('pattern:Minutes')).toMatch(/^\d+$/);
  });
});
