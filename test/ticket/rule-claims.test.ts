import { describe, expect, it } from 'vitest';
import type { Rule } from '../../src/rule/rule.ts';
import { comparableKey, ruleClaims } from '../../src/ticket/rule-claims.ts';
import { makeRule } from '../rule/fixtures.ts';
import { makeInput } from './fixtures.ts';

function claims(text: string, changes: Partial<Rule> = {}) {
  const rule = makeRule(changes);
  rule.slots.forEach((slot, index) => {
    slot.startTag = `${'abcdef'[index]}=`;
    slot.endTag = ';';
  });
  return makeInput({ message: { text }, rule }).claims;
}

describe('what a rule claims', () => {
  it('goes by the place of the slot', () => {
    expect(claims('a=1; b=2; c=x@y; d=4; e=5; f=6;')).toEqual({
      assetOrService: '1',
      status: '2',
      user: { by: 'address', value: 'x@y' },
      alertKey: '4',
      siteOrClient: '5',
      supplierReference: '6',
    });
  });

  it('is nothing without values, or without a rule', () => {
    const nothing = {
      assetOrService: null,
      status: null,
      user: null,
      alertKey: null,
      siteOrClient: null,
      supplierReference: null,
    };
    expect(claims('none')).toEqual(nothing);
    expect(ruleClaims({ rule: null, extractions: [] })).toEqual(nothing);
  });

  it.each([
    ['Anna <Anna@X.example>', 'anna@x.example'],
    ['mailto:anna@x.example', 'anna@x.example'],
    ['<anna@x.example', '<anna@x.example'],
    [' anna@x.example ', 'anna@x.example'],
  ])('finds the address in %j', (written, expected) => {
    expect(claims(`c=${written};`).user).toEqual({ by: 'address', value: expected });
  });

  it('leaves names and logins as they are', () => {
    expect(claims('c=Anna <x>;', { userMatch: 'name' }).user).toEqual({ by: 'name', value: 'Anna <x>' });
    expect(claims('c=AEK;', { userMatch: 'login' }).user).toEqual({ by: 'login', value: 'AEK' });
  });
});

describe('an alert key', () => {
  it.each([
    [' web01 \r\n disk ', 'web01 disk'],
    ['Web01', 'Web01'],
    ['u\u0308', 'ü'],
    ['x'.repeat(1_000), 'x'.repeat(500)],
  ])('%j is compared as %j', (key, expected) => {
    expect(comparableKey(key)).toBe(expected);
  });
});
