import { describe, expect, it } from 'vitest';
import { parseDate } from '../../src/message/date.ts';
import { parseHeaders } from '../message/mail.ts';

describe('T25 time', () => {
  it.each([
    ['Thu, 01 Jan 1970 00:00:00 +0000', '1970-01-01T00:00:00.000Z'],
    ['Wed, 31 Dec 2099 23:59:59 +0000', '2099-12-31T23:59:59.000Z'],
    ['Mon, 5 Jan 2026 10:00:00 +0100', '2026-01-05T09:00:00.000Z'],
    ['5 Jan 2026 10:00 -0500', '2026-01-05T15:00:00.000Z'],
    ['Mon, 05 Jan 2026 10:00:00 -0000', '2026-01-05T10:00:00.000Z'],
    ['Mon, 05 Jan 2026 10:00:00', '2026-01-05T10:00:00.000Z'],
    ['Mon, 05 Jan 2026 10:00:00 GMT', '2026-01-05T10:00:00.000Z'],
    ['Mon, 05 Jan 2026 10:00:00 EST', '2026-01-05T15:00:00.000Z'],
    ['Mon, 05 Jan 2026 10:00:00 +0100 (CET)', '2026-01-05T09:00:00.000Z'],
    ['Mon, 05 Jan 2026 10:00:00 (a (nested) comment) +0100', '2026-01-05T09:00:00.000Z'],
    ['Mon, 05 Jan 2026 10:00:00+0100', '2026-01-05T09:00:00.000Z'],
    ['Mon, 05 Jan 2026 10:00:00 GMT+0100', '2026-01-05T09:00:00.000Z'],
    ['Mon, 05 Jan 2026 10:00:00 UTC+1', '2026-01-05T09:00:00.000Z'],
    ['Mon, 05-Jan-2026 10:00:00 +0000', '2026-01-05T10:00:00.000Z'],
    ['Mon Jan  5 10:00:00 2026', '2026-01-05T10:00:00.000Z'],
    ['Monday, January 5, 2026 10:00:00', '2026-01-05T10:00:00.000Z'],
    ['5 Jan 26 10:00:00 +0000', '2026-01-05T10:00:00.000Z'],
    ['5 Jan 99 10:00:00 +0000', '1999-01-05T10:00:00.000Z'],
    ['5 Jan 126 10:00:00 +0000', '2026-01-05T10:00:00.000Z'],
    ['31 Dec 2016 23:59:60 +0000', '2016-12-31T23:59:59.000Z'],
    ['2026-01-05T10:00:00Z', '2026-01-05T10:00:00.000Z'],
    ['2026-01-05 10:00:00 +01:00', '2026-01-05T09:00:00.000Z'],
    ['2026-01-05', '2026-01-05T00:00:00.000Z'],
    ['29 Feb 2024 00:00:00 +0000', '2024-02-29T00:00:00.000Z'],
    ['Mon, 05 Jan 2026 10:00:00 +9999', '2026-01-05T10:00:00.000Z'],
    ['Thu, 32 Foo', null],
    ['Thu, 32 Jan 2026 10:00:00 +0000', null],
    ['29 Feb 2025 00:00:00 +0000', null],
    ['Mon, 05 Jan 2026 25:00:00 +0000', null],
    ['Mon, 05 Jan 999999 10:00:00 +0000', null],
    ['Mon, 05 Jan 0001 10:00:00 +0000', null],
    ['tomorrow', null],
    ['', null],
    ['1767607200', null],
    [`${'('.repeat(100_000)}5 Jan 2026`, null],
  ])('T25.1 %s', (text, expected) => {
    expect(parseDate(text)).toBe(expected);
  });

  it('T25.1 a missing date is null and not now', async () => {
    expect((await parseHeaders(['Subject: x'])).date).toBeNull();
    expect((await parseHeaders(['Date: Thu, 32 Foo'])).date).toBeNull();
  });

  it('T25.1 of two dates the first one counts', async () => {
    const message = await parseHeaders([
      'Date: 5 Jan 2026 10:00:00 +0000',
      'Date: 6 Jan 2027 10:00:00 +0000',
    ]);
    expect(message.date).toBe('2026-01-05T10:00:00.000Z');
    expect(message.warnings).toEqual(['The field date occurs 2 times; the first one counts.']);
  });

  it('T25.1 the time of arrival comes from the topmost hop, never from the sender', async () => {
    const message = await parseHeaders([
      'Received: from b by c (x; y); Mon, 5 Jan 2026 10:00:00 +0100 (CET)',
      'Received: from a by b; Mon, 5 Jan 2026 08:00:00 +0000',
      'Date: Thu, 31 Dec 2099 23:59:59 +0000',
    ]);
    expect(message.receivedAt).toBe('2026-01-05T09:00:00.000Z');
    expect((await parseHeaders(['Received: by x'])).receivedAt).toBeNull();
  });

  it('T25.1 every date is one that PostgreSQL takes', () => {
    for (const text of [
      '31 Dec 9999 23:59:59 -1200',
      '1 Jan 1900 00:00:00 +1400',
      '31 Dec 9999 23:59:59 +0000',
    ]) {
      const date = parseDate(text);
      expect(date === null || /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(date)).toBe(true);
    }
  });
});
