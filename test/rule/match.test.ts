import { describe, expect, it } from 'vitest';
import type { ParsedMessage } from '../../src/message/message.ts';
import { compileRules } from '../../src/rule/compile.ts';
import { matchRules } from '../../src/rule/match.ts';
import type { Rule } from '../../src/rule/rule.ts';
import { buildView } from '../../src/rule/view.ts';
import { address, makeMessage, makePattern, makeRule, messageWithFiles } from './fixtures.ts';

const run = (rules: Rule[], message: ParsedMessage, mailboxId = 1) =>
  matchRules(compileRules(rules, 1), buildView(message), { mailboxId });
const winner = (rules: Rule[], message: ParsedMessage, mailboxId = 1) =>
  run(rules, message, mailboxId).rule?.name ?? null;
const matches = (rule: Partial<Rule>, message: ParsedMessage, mailboxId = 1) =>
  run([makeRule(rule)], message, mailboxId).rule !== null;

const mail = makeMessage({
  from: [{ name: 'Backup Robot', address: 'Robot@Backup.Example' }],
  to: [address('help@desk.example'), address('ops@desk.example')],
  cc: [address('boss@desk.example')],
  bcc: [address('audit@desk.example')],
  subject: 'Backup  FAILED on Web01',
  text: 'The job\nfailed today.\n\nOn Monday Anna wrote:\n> please watch the job',
  newestText: 'The job\nfailed today.',
});

describe('conditions', () => {
  it.each<[string, Partial<Rule>, boolean]>([
    ['no condition matches everything', {}, true],
    ['blank conditions are none', { subject: ' ', body: '\n', from: '\t', to: '' }, true],
    ['a disabled rule never matches', { enabled: false }, false],

    ['subject: contains, without case and spacing', { subject: 'backup failed ON' }, true],
    ['subject: not there', { subject: 'restored' }, false],
    ['subject: the body does not count', { subject: 'the job' }, false],
    ['subject: a typed space is part of it', { subject: 'web01 ' }, false],

    ['body: contains, across lines', { body: 'JOB failed' }, true],
    ['body: the subject does not count', { body: 'backup' }, false],
    ['body: the quoted chain counts', { body: 'watch the job' }, true],
    ['body: unless only the newest part is asked for', { body: 'watch the job', scanFullBody: false }, false],
    ['body: the newest part', { body: 'failed today', scanFullBody: false }, true],

    ['from: part of the address', { from: '@backup.' }, true],
    ['from: the display name does not count', { from: 'backup robot' }, false],
    ['from: exact, without case', { from: ' robot@backup.example ', fromExact: true }, true],
    ['from: exact is not contains', { from: 'backup.example', fromExact: true }, false],
    ['from: Cc does not count', { from: 'boss@' }, false],
    ['from: Cc counts when asked for', { from: 'boss@', matchCcAndBcc: true }, true],
    ['from: Bcc too', { from: 'audit@desk.example', fromExact: true, matchCcAndBcc: true }, true],

    ['to: any of them', { to: 'ops@' }, true],
    ['to: exact', { to: 'OPS@desk.example', toExact: true }, true],
    ['to: exact is not contains', { to: 'ops@desk', toExact: true }, false],
    ['to: Cc does not count', { to: 'boss@' }, false],
    ['to: Cc counts when asked for', { to: 'boss@', matchCcAndBcc: true }, true],
    ['to: Bcc too, exactly', { to: 'audit@desk.example', toExact: true, matchCcAndBcc: true }, true],

    ['all hold', { from: 'robot', to: 'help', subject: 'failed', body: 'today' }, true],
    ['one of them does not', { from: 'robot', to: 'help', subject: 'failed', body: 'tomorrow' }, false],

    ['this mailbox', { mailboxId: 1 }, true],
    ['another mailbox', { mailboxId: 2 }, false],
    ['another mailbox, though the rest holds', { mailboxId: 2, subject: 'failed' }, false],

    ['a pattern', { patterns: [makePattern('FAILED on \\w+\\d')] }, true],
    ['patterns mind the case', { patterns: [makePattern('failed on')] }, false],
    ['unless told not to', { patterns: [makePattern('failed on', { flags: 'i' })] }, true],
    ['all patterns must match', { patterns: [makePattern('FAILED'), makePattern('nothing')] }, false],
    ['a pattern that is no condition', { patterns: [makePattern('nothing', { required: false })] }, true],
    [
      'a pattern on the name of the sender',
      { patterns: [makePattern('^Backup Robot <', { field: 'from' })] },
      true,
    ],
    ['a pattern on the recipients', { patterns: [makePattern('ops@desk', { field: 'to' })] }, true],
    ['a pattern on the body', { patterns: [makePattern('watch', { field: 'text' })] }, true],
    [
      'a pattern on the body of a rule for the newest part',
      { patterns: [makePattern('watch', { field: 'text' })], scanFullBody: false },
      false,
    ],
    ['a pattern on absent HTML', { patterns: [makePattern('.', { field: 'html' })] }, false],
  ])('%s', (_, rule, expected) => {
    expect(matches(rule, mail)).toBe(expected);
  });

  it('looks at headers by name without case, and at all of them', () => {
    const message = makeMessage({
      headers: [
        { name: 'X-Alert', value: 'disk' },
        { name: 'x-alert', value: 'level=high' },
      ],
    });
    const rule = (pattern: string) => ({ patterns: [makePattern(pattern, { field: 'header:X-ALERT' })] });
    expect(matches(rule('^level=high$'), message)).toBe(false);
    expect(
      matches({ patterns: [makePattern('^level=high$', { field: 'header:X-ALERT', flags: 'm' })] }, message),
    ).toBe(true);
    expect(matches(rule('disk'), message)).toBe(true);
  });

  it('matches nothing on a message without sender, unless nothing is asked of the sender', () => {
    const message = makeMessage({ from: [], to: [] });
    expect(matches({ from: '@' }, message)).toBe(false);
    expect(matches({ from: 'a@b', fromExact: true }, message)).toBe(false);
    expect(matches({ to: 'a@b', toExact: true }, message)).toBe(false);
    expect(matches({}, message)).toBe(true);
  });
});

describe('attachment names', () => {
  const files = messageWithFiles('Report Q3.PDF', 'logo.png');
  it.each<[string, Partial<Rule>, boolean]>([
    ['contains', { attachmentName: 'q3', attachmentMatch: 'contains' }, true],
    ['equals', { attachmentName: 'report q3.pdf', attachmentMatch: 'equals' }, true],
    ['equals is not contains', { attachmentName: 'report', attachmentMatch: 'equals' }, false],
    ['starts with', { attachmentName: 'report', attachmentMatch: 'starts_with' }, true],
    ['starts with, not in the middle', { attachmentName: 'q3', attachmentMatch: 'starts_with' }, false],
    ['ends with', { attachmentName: '.png', attachmentMatch: 'ends_with' }, true],
    ['ends with, not in the middle', { attachmentName: 'logo', attachmentMatch: 'ends_with' }, false],
    ['no name asked for', { attachmentName: '' }, true],
    ['in place of subject and body', { attachmentName: 'logo', subject: 'nowhere', body: 'nowhere' }, true],
  ])('%s', (_, rule, expected) => {
    expect(matches({ ...rule, matchOnAttachment: true }, files)).toBe(expected);
  });

  it('count only when the rule asks for them', () => {
    expect(matches({ attachmentName: 'nothing of the kind' }, files)).toBe(true);
  });

  it('take composed and decomposed letters for the same', () => {
    const rule = { matchOnAttachment: true, attachmentName: 'prüfung' };
    expect(matches(rule, messageWithFiles('Pru\u0308fung.txt'))).toBe(true);
  });
});

describe('order', () => {
  it('tries the higher sequence first, then the name without case, then the id', () => {
    const rules = [
      makeRule({ id: 9, name: 'beta', sequence: 1 }),
      makeRule({ id: 4, name: 'Alpha', sequence: 1 }),
      makeRule({ id: 3, name: 'ALPHA', sequence: 1 }),
      makeRule({ id: 1, name: 'last', sequence: 0 }),
      makeRule({ id: 7, name: 'zeta', sequence: 5, subject: 'nowhere' }),
    ];
    const order = compileRules(rules, 1).compiled.map(({ rule }) => rule.id);
    expect(order).toEqual([7, 3, 4, 9, 1]);
    expect(run(rules, mail).rule?.id).toBe(3);
  });

  it('lets the first match win over better ones', () => {
    const rules = [
      makeRule({ id: 1, name: 'precise', subject: 'backup failed', from: 'robot' }),
      makeRule({ id: 2, name: 'catch-all', sequence: 1 }),
    ];
    expect(winner(rules, mail)).toBe('catch-all');
  });

  it('takes the rule of the mailbox where there is one', () => {
    const rules = [
      makeRule({ id: 1, name: 'everybody' }),
      makeRule({ id: 2, name: 'second', sequence: 1, mailboxId: 2 }),
    ];
    expect(winner(rules, mail, 2)).toBe('second');
    expect(winner(rules, mail, 3)).toBe('everybody');
  });

  it('finds nothing when there is nothing', () => {
    expect(run([], mail)).toEqual({
      rule: null,
      verdict: null,
      passedOver: [],
      extractions: [],
      closes: false,
    });
    expect(winner([makeRule({ subject: 'nowhere' })], mail)).toBeNull();
  });

  it('forgets one message before the next', () => {
    const set = compileRules([makeRule({ subject: 'failed', from: 'robot' })], 1);
    const of = (message: ParsedMessage) =>
      matchRules(set, buildView(message), { mailboxId: 1 }).rule !== null;
    expect(of(mail)).toBe(true);
    expect(of(makeMessage({ ...mail, from: [address('anna@customer.example')] }))).toBe(false);
    expect(of(makeMessage({ ...mail, subject: 'all is well' }))).toBe(false);
    expect(of(mail)).toBe(true);
  });
});

describe('the result', () => {
  it('says what each condition found', () => {
    const { verdict } = run(
      [makeRule({ id: 5, subject: 'backup failed', from: '@backup.', mailboxId: 1 })],
      mail,
    );
    expect(verdict).toEqual({
      ruleId: 5,
      name: 'rule 5',
      matched: true,
      error: null,
      conditions: [
        { condition: 'mailbox', wanted: '1', actual: '1', matched: true },
        { condition: 'from', wanted: '@backup.', actual: 'Robot@Backup.Example', matched: true },
        { condition: 'subject', wanted: 'backup failed', actual: 'Backup  FAILED on Web01', matched: true },
      ],
    });
  });

  it('crosses a thread border', () => {
    const result = run([makeRule({ subject: 'failed', patterns: [makePattern('FAILED')] })], mail);
    expect(structuredClone(result)).toEqual(result);
  });
});

describe('limits', () => {
  it('refuses more rules than the limit', () => {
    const rules = Array.from({ length: 20_001 }, (_, id) => makeRule({ id }));
    expect(() => compileRules(rules, 1)).toThrow(expect.objectContaining({ code: 'rule_invalid' }));
  });

  it('finds one of thousands by any kind of condition', () => {
    const rules = Array.from({ length: 3_000 }, (_, id) => {
      const name = `rule ${id}`;
      switch (id % 6) {
        case 0:
          return makeRule({ id, name, from: `robot${id}@backup.example`, fromExact: true });
        case 1:
          return makeRule({ id, name, subject: `job ${id}x failed` });
        case 2:
          return makeRule({ id, name, from: 'robot', body: `host-${id}.example` });
        case 3:
          return makeRule({ id, name, mailboxId: id });
        case 4:
          return makeRule({ id, name, to: `desk-${id}@`, matchCcAndBcc: true });
        default:
          return makeRule({ id, name, matchOnAttachment: true, attachmentName: `report-${id}.` });
      }
    });
    const set = compileRules(rules, 1);
    const of = (message: ParsedMessage, mailboxId = -1) =>
      matchRules(set, buildView(message), { mailboxId }).rule?.id ?? null;
    expect(of(makeMessage({ from: [address('robot1200@backup.example')] }))).toBe(1200);
    expect(of(makeMessage({ subject: 'Job 1201x  failed' }))).toBe(1201);
    expect(of(makeMessage({ from: [address('robot@x.example')], text: 'see host-1202.example' }))).toBe(1202);
    expect(of(makeMessage(), 1203)).toBe(1203);
    expect(of(makeMessage({ cc: [address('desk-1204@desk.example')] }))).toBe(1204);
    expect(of(messageWithFiles('report-1205.pdf'))).toBe(1205);
    expect(of(makeMessage())).toBeNull();
  });
});
