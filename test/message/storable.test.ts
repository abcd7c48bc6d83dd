import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isStorableText, toStorableJson, toStorableText } from '../../src/message/storable.ts';

describe('toStorableText', () => {
  it.each([
    ['plain', 'plain'],
    ['a\0b\0', 'ab'],
    ['a\ud800b', 'a\ufffdb'],
    ['\udc00', '\ufffd'],
    ['😀', '😀'],
    ['a\ud83d\0\ude00b', 'a😀b'],
  ])('%j becomes %j', (text, expected) => {
    expect(toStorableText(text, 100)).toBe(expected);
  });

  it('does not split a pair when it cuts', () => {
    expect(toStorableText('ab😀', 3)).toBe('ab');
    expect(toStorableText('ab😀', 4)).toBe('ab😀');
  });

  const text = fc.string({ unit: 'binary', maxLength: 20 });

  it('makes any string storable and no longer than asked', () => {
    fc.assert(
      fc.property(text, text, fc.nat(20), (left, right, max) => {
        const result = toStorableText(`${left}\ud800\0${right}`, max);
        expect(isStorableText(result)).toBe(true);
        expect(result.length).toBeLessThanOrEqual(max);
      }),
    );
  });
});

describe('toStorableJson', () => {
  it('cleans strings and keys at every level and leaves the rest', () => {
    const value = { 'a\0': ['x\0', 1, null, true, { deep: '\ud800' }], empty: {}, list: [] };
    expect(toStorableJson(value, 100)).toEqual({
      a: ['x', 1, null, true, { deep: '\ufffd' }],
      empty: {},
      list: [],
    });
  });

  it('keeps the order of keys', () => {
    expect(Object.keys(toStorableJson({ b: 1, a: { d: 1, c: 2 }, z: 3 }, 10))).toEqual(['b', 'a', 'z']);
  });

  it('keeps __proto__ as data and changes no prototype', () => {
    const hostile = JSON.parse('{"__proto__": {"admin": "yes\\u0000"}, "x": 1}');
    const copy = toStorableJson(hostile, 100);
    expect(JSON.stringify(copy)).toBe('{"__proto__":{"admin":"yes"},"x":1}');
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
    expect(({} as { admin?: string }).admin).toBeUndefined();
  });

  it('takes a value that is too deep for recursion', () => {
    let deep: unknown = 'end\0';
    for (let i = 0; i < 100_000; i++) deep = [deep];
    let copy = toStorableJson(deep, 10);
    while (Array.isArray(copy)) copy = copy[0];
    expect(copy).toBe('end');
  });
});
