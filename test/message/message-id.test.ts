import { describe, expect, it } from 'vitest';
import { messageId, messageIds } from '../../src/message/message-id.ts';

describe('messageIds', () => {
  it.each([
    ['<a@b> <c@d>', ['a@b', 'c@d']],
    ['<a@b>\r\n <c@d>', ['a@b', 'c@d']],
    ['<a@b><c@d>', ['a@b', 'c@d']],
    ['<a@b>, <c@d>', ['a@b', 'c@d']],
    ['Your message of Monday <a@b>', ['a@b']],
    ['<a@b> <a@b> <c@d> <a@b>', ['c@d', 'a@b']],
    ['<a@\r\n b>', ['a@b']],
    ['a@b c@d junk', ['a@b', 'c@d']],
    ['<a@b> stray>', ['a@b']],
    ['<>', []],
    ['', []],
    ['=?us-ascii?Q?=3Ca=40b=3E?=', ['a@b']],
  ])('%j', (value, ids) => {
    expect(messageIds(value, 100, 998)).toEqual(ids);
  });

  it('keeps the newest and leaves out the endless', () => {
    expect(messageIds('<1@a> <2@a> <3@a>', 2, 998)).toEqual(['2@a', '3@a']);
    expect(messageIds(`<${'x'.repeat(999)}@a> <2@a>`, 10, 998)).toEqual(['2@a']);
  });
});

describe('messageId', () => {
  it.each([
    ['<a@b>', 'a@b'],
    [' <a@b> trailing', 'a@b'],
    ['a@b', 'a@b'],
    ['<a@b', 'a@b'],
    ['<a b@c>', 'ab@c'],
    ['<>', null],
    ['', null],
    [null, null],
    [`<${'x'.repeat(2000)}>`, null],
  ])('%j', (value, id) => {
    expect(messageId(value, 998)).toBe(id);
  });
});
