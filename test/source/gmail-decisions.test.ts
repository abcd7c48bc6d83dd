/** What the Gmail source decides, apart from all requests. */
import { describe, expect, it } from 'vitest';
import { arrivals } from '../../src/source/gmail/arrivals.ts';
import { formatCursor, parseCursor } from '../../src/source/gmail/cursor.ts';
import { gmailError, readApiError } from '../../src/source/gmail/gmail-error.ts';
import { findLabel, isMailOf } from '../../src/source/gmail/labels.ts';
import { eachOf } from '../../src/source/gmail/parallel.ts';
import { UnitBucket } from '../../src/source/gmail/quota.ts';
import { rawBytes } from '../../src/source/gmail/raw-stream.ts';
import { collect } from '../contract/source-suite.ts';

describe('what an answer of the API means', () => {
  it.each([
    [403, 'rateLimitExceeded', '', 'server_busy', 0],
    [403, 'userRateLimitExceeded', '', 'server_busy', 0],
    [429, 'whatever', 'Too many concurrent requests for user', 'server_busy', 0],
    [403, 'dailyLimitExceeded', '', 'server_busy', 3_600_000],
    [403, 'quotaExceeded', '', 'server_busy', 3_600_000],
    [403, 'accessNotConfigured', 'Gmail API has not been used', 'consent_needed', undefined],
    [403, 'insufficientPermissions', '', 'consent_needed', undefined],
    [403, 'domainPolicy', '', 'consent_needed', undefined],
    [403, 'forbidden', 'Delegation denied for a@b.c', 'auth_failed', undefined],
    [403, 'forbidden', 'Forbidden', 'consent_needed', undefined],
    [401, 'authError', 'Invalid Credentials', 'auth_failed', undefined],
    [400, 'failedPrecondition', 'Mail service not enabled', 'auth_failed', undefined],
    [400, 'invalidArgument', 'Invalid id value', 'message_gone', undefined],
    [400, 'invalidArgument', 'Invalid label: Label_9', 'folder_missing', undefined],
    [400, 'invalidArgument', 'Invalid something else', 'server_protocol', undefined],
    [404, 'notFound', 'Requested entity was not found.', 'message_gone', undefined],
    [409, 'aborted', 'Label name exists or conflicts', 'conflict', undefined],
    [500, 'backendError', 'Backend Error', 'server_protocol', undefined],
    [403, 'toString', '', 'consent_needed', undefined],
  ])('%i %s %s: %s', (code, reason, message, expected, backoffMs) => {
    const body = { error: { code, message, errors: [{ domain: 'global', reason, message }] } };
    const error = gmailError(readApiError(code, body, null), 'get');
    expect(error.code).toBe(expected);
    expect(error.fields.backoffMs).toBe(backoffMs);
  });

  it('reads every shape of an error, and what is none', () => {
    const details = [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'SERVICE_DISABLED' }];
    expect(gmailError(readApiError(403, JSON.stringify({ error: { details } }), null), 'get').code).toBe(
      'consent_needed',
    );
    expect(readApiError(502, '<html>', 5).message).toBe('');
    expect(readApiError(400, { error: 'invalid' }, null).message).toBe('invalid');
    expect(readApiError(400, null, null)).toEqual({
      status: 400,
      reasons: [],
      message: '',
      retryAfterMs: null,
    });
    expect(gmailError(readApiError(503, '', 9_000), 'get')).toMatchObject({
      code: 'server_busy',
      fields: { backoffMs: 9_000 },
    });
  });
});

describe('cursors', () => {
  it.each([
    { account: 'a@b.c', historyId: '18446744073709551615', rest: null },
    { account: 'a@b.c', historyId: '1', rest: { since: null, after: '19a' } },
    { account: 'a@b.c', historyId: '1', rest: { since: '0', after: '19a' } },
  ])('survive being stored: %o', (cursor) => {
    expect(parseCursor(formatCursor(cursor))).toEqual(cursor);
  });

  it.each([
    'null',
    '7',
    '[]',
    '{"historyId":"1"}',
    '{"account":"a","historyId":1}',
    '{"account":"a","historyId":"1x"}',
    '{"account":"a","historyId":"1","rest":7}',
    '{"account":"a","historyId":"1","rest":{"since":"x","after":"a"}}',
    '{"account":"a","historyId":"1","rest":{"since":null}}',
  ])('of another kind are none: %s', (text) => {
    expect(parseCursor(text)).toBeNull();
  });
});

describe('labels', () => {
  it.each([
    ['INBOX', ['INBOX'], true],
    ['INBOX', ['INBOX', 'UNREAD', 'IMPORTANT'], true],
    ['INBOX', ['UNREAD'], false],
    ['INBOX', ['INBOX', 'SENT'], true],
    ['Label_1', ['Label_1', 'SENT'], false],
    ['Label_1', ['Label_1', 'SENT', 'INBOX'], true],
    ['Label_1', ['Label_1', 'DRAFT'], false],
    ['Label_1', ['Label_1', 'CHAT'], false],
    ['Label_1', ['Label_1', 'TRASH'], false],
    ['Label_1', ['Label_1', 'SPAM'], false],
    ['SENT', ['SENT'], true],
    ['SPAM', ['SPAM'], true],
    ['TRASH', ['TRASH', 'SENT', 'INBOX'], true],
    ['DRAFT', ['DRAFT'], true],
  ])('%s holds %o as mail: %s', (folder, labels, expected) => {
    expect(isMailOf(folder, labels)).toBe(expected);
  });

  it('are found by name, in another case too when there is no better one', () => {
    const labels = [
      { id: 'INBOX', name: 'INBOX' },
      { id: 'L1', name: 'support' },
      { id: 'L2', name: 'Support' },
    ];
    expect(findLabel(labels, 'Support')?.id).toBe('L2');
    expect(findLabel(labels, 'SUPPORT')?.id).toBe('L1');
    expect(findLabel(labels, 'Inbox')?.id).toBe('INBOX');
    expect(findLabel(labels, 'Nowhere')).toBeNull();
  });
});

describe('arrivals', () => {
  const message = (id: string, ...labelIds: string[]) => ({ message: { id, labelIds } });
  it.each([
    ['delivered', { messagesAdded: [message('a', 'INBOX')] }, ['a']],
    ['delivered elsewhere', { messagesAdded: [message('a', 'Label_1')] }, []],
    ['a draft', { messagesAdded: [message('a', 'INBOX', 'DRAFT')] }, []],
    ['without labels', { messagesAdded: [{ message: { id: 'a' } }] }, ['a']],
    ['moved in', { labelsAdded: [{ ...message('a', 'INBOX'), labelIds: ['INBOX'] }] }, ['a']],
    ['labelled otherwise', { labelsAdded: [{ ...message('a', 'INBOX'), labelIds: ['STARRED'] }] }, []],
    ['taken from spam', { labelsRemoved: [{ ...message('a', 'INBOX'), labelIds: ['SPAM'] }] }, ['a']],
    ['read', { labelsRemoved: [{ ...message('a', 'INBOX'), labelIds: ['UNREAD'] }] }, []],
    ['deleted', { messagesDeleted: [message('a', 'INBOX')] }, []],
    ['nothing', {}, []],
  ])('%s', (_case, record, ids) => {
    expect([...arrivals([{ id: '5', ...record }], 'INBOX', null)]).toEqual(ids);
  });

  it('are each given once, in order, and not past the end', () => {
    const records = [
      { id: '9007199254740993', messagesAdded: [message('b', 'INBOX'), message('a', 'INBOX')] },
      { id: '9007199254740994', labelsAdded: [{ ...message('b', 'INBOX'), labelIds: ['INBOX'] }] },
      { id: '9007199254740995', messagesAdded: [message('c', 'INBOX')] },
    ];
    expect([...arrivals(records, 'INBOX', null)]).toEqual(['b', 'a', 'c']);
    // As numbers the last two would be equal.
    expect([...arrivals(records, 'INBOX', '9007199254740994')]).toEqual(['b', 'a']);
  });
});

describe('the quota', () => {
  it('lets through what it holds, then makes everybody wait for what they take', () => {
    const bucket = new UnitBucket(6_000, 0);
    expect(bucket.take(1_500, 0)).toBe(0);
    expect(bucket.take(20, 0)).toBe(200);
    expect(bucket.take(20, 0)).toBe(400);
    expect(bucket.take(20, 400)).toBe(200);
  });

  it('never exceeds what a minute allows, but for what it held', () => {
    const bucket = new UnitBucket(6_000, 0);
    let now = 0;
    let units = 0;
    while (now < 60_000) {
      now += bucket.take(20, now);
      if (now < 60_000) units += 20;
    }
    expect(units).toBeLessThanOrEqual(6_000 + 1_500);
    expect(units).toBeGreaterThan(7_000);
  });

  it('is empty after the server asked for a pause', () => {
    const bucket = new UnitBucket(6_000, 0);
    bucket.pause(30_000);
    expect(bucket.take(20, 0)).toBe(30_200);
    expect(bucket.take(20, 30_400)).toBe(0);
  });

  it('does not mind a clock that goes back', () => {
    const bucket = new UnitBucket(6_000, 1_000_000);
    expect(bucket.take(1_500, 0)).toBe(0);
    expect(bucket.take(20, 500)).toBeGreaterThan(0);
  });
});

describe('the bytes in the JSON', () => {
  const json = (raw: string, tail = '"historyId":"7"}'): string =>
    `{"id":"1","snippet":"it says \\"raw\\": \\"no\\" and \\"raw","labelIds":["INBOX"],"raw": "${raw}",${tail}`;
  const read = async (pieces: (string | Buffer)[]): Promise<string> =>
    Buffer.concat(
      await collect(
        rawBytes(
          (async function* () {
            yield* pieces;
          })(),
        ),
      ),
    ).toString('latin1');
  const message = Buffer.from(Array.from({ length: 1_000 }, (_value, index) => (index * 7) % 256));
  const encoded = message.toString('base64').replaceAll('+', '-').replaceAll('/', '_');

  it('come whole however they are cut', async () => {
    const text = json(encoded);
    for (const size of [1, 2, 3, 5, 7, 64, 1_000, 10_000]) {
      const pieces: string[] = [];
      for (let start = 0; start < text.length; start += size) pieces.push(text.slice(start, start + size));
      expect(await read(pieces), `pieces of ${size}`).toBe(message.toString('latin1'));
    }
  });

  it.each([
    ['YQ==', 'a'],
    ['YQ', 'a'],
    ['YQ\\u003d\\u003d', 'a'],
    ['YWI\\u003D', 'ab'],
    ['', ''],
  ])('are padded in any way: %s', async (raw, expected) => {
    const text = json(raw);
    expect(await read([text])).toBe(expected);
    expect(await read([...text])).toBe(expected);
  });

  it.each([
    ['that is cut', [json(encoded).slice(0, 600)], 'connection_lost'],
    ['without a message', ['{"id":"1"}'], 'fetch_failed'],
    ['that is empty', [], 'fetch_failed'],
    ['with other characters', [json('YQ$$')], 'server_protocol'],
    ['with other escapes', [json('YWFh\\nYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh')], 'server_protocol'],
    ['that never begins', ['x'.repeat(70_000)], 'fetch_failed'],
  ])('an answer %s fails', async (_case, pieces, code) => {
    await expect(read(pieces)).rejects.toMatchObject({ code });
  });

  it('are not read past their end for ever', async () => {
    let given = 0;
    const endless = async function* (): AsyncGenerator<string> {
      yield json('YQ==', '"x":"');
      for (;;) {
        given += 10_000;
        yield 'x'.repeat(10_000);
      }
    };
    expect(Buffer.concat(await collect(rawBytes(endless()))).toString()).toBe('a');
    expect(given).toBeLessThan(100_000);
  });
});

describe('several calls at once', () => {
  it('are never more than allowed, all answered, and waited for when one fails', async () => {
    let open = 0;
    let most = 0;
    const work = async (item: number): Promise<number> => {
      open += 1;
      most = Math.max(most, open);
      await new Promise((resolve) => setImmediate(resolve));
      open -= 1;
      if (item === 20) throw new Error('twenty');
      return item;
    };
    const items = Array.from({ length: 20 }, (_value, index) => index);
    expect((await collect(eachOf(items, 3, work))).sort((a, b) => a - b)).toEqual(items);
    expect(most).toBe(3);
    await expect(collect(eachOf([...items, 20, 21, 22], 3, work))).rejects.toThrow('twenty');
    expect(open).toBe(0);
    for await (const _one of eachOf(items, 3, work)) break;
    expect(open).toBe(0);
  });
});
