import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  coverage,
  cursorOf,
  emptyCursor,
  formatCursor,
  Prefix,
  parseCursor,
} from '../../src/source/pop3/cursor.ts';
import { keyOfUniqueId, nameless, nameMessages } from '../../src/source/pop3/keys.ts';
import { parseReply } from '../../src/source/pop3/reply.ts';

const id = (text: string): Buffer => Buffer.from(text, 'latin1');

describe('the name of a message', () => {
  it('is its unique-id, as long as that is sane', () => {
    expect(keyOfUniqueId(id('000000c96b07c7cb'))).toBe('000000c96b07c7cb');
    const long = 'GmailId18c0ffee'.repeat(10);
    expect(long.length).toBeGreaterThan(70);
    expect(keyOfUniqueId(id(long))).toBe(long);
  });

  it('is a digest of a unique-id that is very long, or has bytes that it must not have', () => {
    for (const odd of ['x'.repeat(5_000), 'a\0b', 'ü', 'two words', 'tab\t']) {
      expect(keyOfUniqueId(id(odd))).toMatch(/^sha256:[0-9a-f]{64}$/);
    }
    expect(keyOfUniqueId(id(`${'x'.repeat(5_000)}1`))).not.toBe(keyOfUniqueId(id(`${'x'.repeat(5_000)}2`)));
  });

  const header = (subject: string): Buffer => Buffer.from(`Subject: ${subject}\r\nFrom: a@b\r\n\r\nbody`);
  const keys = (...args: Parameters<typeof nameMessages>): string[] =>
    nameMessages(...args).map(({ key }) => key);

  it('T7b.3 is made from the content when several have one unique-id, so that none hides another', () => {
    const messages = [
      { number: 1, size: 10, uniqueId: id('same') },
      { number: 2, size: 10, uniqueId: id('own') },
      { number: 3, size: 10, uniqueId: id('same') },
    ];
    expect(nameless(messages).map(({ number }) => number)).toEqual([1, 3]);
    const headers = new Map([
      [1, header('one')],
      [3, header('three')],
    ]);
    const [first, second, third] = keys(messages, headers);
    expect(second).toBe('own');
    expect(new Set([first, second, third]).size).toBe(3);
    expect([first, third]).not.toContain('same');
    // In another order, in another session, they are the same.
    const swapped = [messages[2]!, messages[0]!].map((message, index) => ({ ...message, number: index + 1 }));
    const swappedHeaders = new Map([
      [1, header('three')],
      [2, header('one')],
    ]);
    expect(keys(swapped, swappedHeaders)).toEqual([third, first]);
  });

  it('T7b.4 without UIDL does not change with what servers write into headers, and tells copies apart', () => {
    const plain = [1, 2, 3].map((number) => ({ number, size: 10, uniqueId: null }));
    const all = keys(
      plain,
      new Map([
        [1, header('same')],
        [2, Buffer.from('Subject: same\r\nStatus: RO\r\nX-UIDL: 77\r\nFrom: a@b\r\n\r\n')],
        [3, header('other')],
      ]),
    );
    expect(all[1]).toBe(`${all[0]}#2`);
    expect(all[2]).not.toContain(all[0]);
    expect(keys([{ number: 9, size: 10, uniqueId: null }], new Map([[9, header('same')]]))).toEqual([all[0]]);
    expect(keys([{ number: 9, size: 11, uniqueId: null }], new Map([[9, header('same')]]))).not.toEqual([
      all[0],
    ]);
  });

  it('is there even for a message that cannot be read', () => {
    const unread = [1, 2].map((number) => ({ number, size: 10, uniqueId: null }));
    expect(keys(unread, new Map())).toEqual(['content:unreadable:10', 'content:unreadable:10#2']);
  });
});

describe('the cursor', () => {
  const covered = (cursor: Parameters<typeof coverage>[0], keys: readonly string[]): string[] => {
    const isCovered = coverage(cursor, keys);
    return keys.filter((_key, index) => isCovered(index));
  };
  const keyLists = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 4 }), { maxLength: 12 });

  it('covers what was listed while the listing begins with it, and nothing else', () => {
    const cursor = new Prefix().add(['a', 'b']).cursor;
    expect(covered(cursor, ['a', 'b', 'c'])).toEqual(['a', 'b']);
    expect(covered(cursor, ['a', 'b'])).toEqual(['a', 'b']);
    for (const other of [['a'], ['b', 'a', 'c'], ['a', 'c'], ['x', 'b'], []])
      expect(covered(cursor, other)).toEqual([]);
    expect(covered(emptyCursor(), ['a'])).toEqual([]);
  });

  it('never covers a key that it was not made from, whatever left or came', () => {
    fc.assert(
      fc.property(keyLists, keyLists, (before, after) => {
        for (const cursor of [new Prefix().add(before).cursor, cursorOf(before)]) {
          const again = parseCursor(formatCursor(cursor))!;
          for (const key of covered(again, after)) expect(before).toContain(key);
        }
        const kept = after.filter((key) => before.includes(key));
        expect(covered(parseCursor(formatCursor(cursorOf(before)))!, after)).toEqual(kept);
      }),
    );
  });

  it('is null for anything else', () => {
    for (const text of ['', 'x', '{}', 'null', '7', '{"uidValidity":"1","lastUid":7}', '{"count":"1"}'])
      expect(parseCursor(text)).toBeNull();
  });
});

describe('the first line of an answer', () => {
  it.each([
    ['+OK', 'ok', '', null],
    ['+OK ', 'ok', '', null],
    ['+ok small letters', 'ok', 'small letters', null],
    ['-ERR [IN-USE] locked', 'err', '[IN-USE] locked', 'IN-USE'],
    ['-ERR [SYS/TEMP 12] later', 'err', '[SYS/TEMP 12] later', 'SYS/TEMP'],
    ['-ERR no [AUTH] in the middle', 'err', 'no [AUTH] in the middle', null],
    ['+ abc', 'continue', 'abc', null],
    ['+', 'continue', '', null],
  ])('%j', (line, status, text, code) => {
    expect(parseReply(id(line))).toMatchObject({ status, text, code });
  });

  it.each(['', 'OK', '* OK', '-OK', '+O', 'Subject: x'])('%j is none', (line) => {
    expect(parseReply(id(line))).toBeNull();
  });

  it('loses its control characters, and most of a long text', () => {
    const reply = parseReply(id(`-ERR bell\x07 ${'x'.repeat(1_000)}`));
    expect(reply?.text).toMatch(/^bell {2}x+$/);
    expect(reply?.text.length).toBeLessThanOrEqual(300);
  });
});
