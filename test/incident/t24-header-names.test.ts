import { describe, expect, it } from 'vitest';
import { classify } from '../../src/message/classify.ts';
import { parseMessage } from '../../src/message/parse.ts';
import { multipart, parseHeaders } from '../message/mail.ts';

const NAMES = [
  '__proto__',
  'constructor',
  'toString',
  'prototype',
  'hasOwnProperty',
  'List-__proto__',
  '_-_proto__',
];

describe('T24 header names', () => {
  it.each(NAMES)('T24.1 the field %s is kept as data', async (name) => {
    const message = await parseHeaders([`${name}: evil`, `${name}: again`, 'Subject: x']);
    expect(message.headers.slice(0, 2)).toEqual([
      { name, value: 'evil' },
      { name, value: 'again' },
    ]);
    expect(message.subject).toBe('x');
    expect(classify(message, { ownAddresses: [], instanceId: 'x' }).class).toBe('human');
  });

  it('T24.1 no prototype is changed', async () => {
    const before = Object.getOwnPropertyNames(Object.prototype);
    await parseHeaders(NAMES.map((name) => `${name}: {"admin": true}`));
    await parseMessage(
      multipart(
        'mixed',
        NAMES.map((name) => ({
          headers: [`Content-Type: text/plain; ${name}=x; charset=${name}`, `${name}: y`],
          body: 'z',
        })),
      ),
    );
    expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(before);
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
    expect(`${{}}`).toBe('[object Object]');
  });

  it.each(NAMES)('T24.1 %s as a charset, a file name and a boundary', async (name) => {
    const message = await parseMessage(
      Buffer.from(
        `Content-Type: multipart/mixed; boundary="${name}"\r\n\r\n--${name}\r\nContent-Type: text/plain; charset=${name}; name=${name}\r\n\r\nhello\r\n--${name}--\r\n`,
      ),
    );
    expect(message.text).toBe('hello');
    expect(message.leaves).toHaveLength(1);
    expect(message.leaves[0]!.charsetDeclared).toBe(name);
  });
});
