import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  DecodedSize,
  decodeBase64,
  decodeQuotedPrintable,
  decodeTransfer,
  transferEncoding,
} from '../../src/message/transfer-encoding.ts';

describe('transferEncoding', () => {
  it.each([
    ['base64', 'base64'],
    ['BASE64 ', 'base64'],
    ['"base64"', 'base64'],
    ['base64 (a comment)', 'base64'],
    ['Quoted-Printable;', 'quoted-printable'],
    ['7bit', 'identity'],
    ['x-uuencode', 'identity'],
    ['', 'identity'],
    [null, 'identity'],
  ])('%j', (header, encoding) => {
    expect(transferEncoding(header)).toBe(encoding);
  });
});

describe('decodeBase64', () => {
  it.each([
    ['aGVsbG8=', 'hello'],
    ['aGVs\r\nbG8=\r\n', 'hello'],
    ['aGVsbG8', 'hello'],
    ['aG*Vs!bG8=', 'hello'],
    ['aGVsbG8=aGVsbG8=', 'hellohello'],
    ['', ''],
    ['====', ''],
  ])('%j', (encoded, text) => {
    expect(decodeBase64(Buffer.from(encoded)).toString('latin1')).toBe(text);
  });
});

describe('decodeQuotedPrintable', () => {
  it.each([
    ['caf=E9', 'caf\xe9'],
    ['caf=e9', 'caf\xe9'],
    ['a=\r\nb', 'ab'],
    ['a=\nb', 'ab'],
    ['a=\rb', 'ab'],
    ['a=GZ=', 'a=GZ'],
    ['a \t\r\nb', 'a\r\nb'],
    ['a=20 \r\nb', 'a \r\nb'],
    ['a= \t\r\nb', 'ab'],
    ['a= b', 'a= b'],
    ['a  ', 'a'],
    ['a=4', 'a=4'],
  ])('%j', (encoded, text) => {
    expect(decodeQuotedPrintable(Buffer.from(encoded)).toString('latin1')).toBe(text);
  });
});

describe('DecodedSize', () => {
  const body = fc.uint8Array({ maxLength: 300 });
  const encoders = {
    base64: (bytes: Buffer) => bytes.toString('base64').replace(/.{76}/g, '$&\r\n'),
    'quoted-printable': (bytes: Buffer) =>
      [...bytes].map((b) => `=${b.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
    identity: (bytes: Buffer) => bytes.toString('latin1'),
  };

  it.each(['base64', 'quoted-printable', 'identity'] as const)(
    'counts %s in pieces as decoding does',
    (encoding) => {
      fc.assert(
        fc.property(body, fc.integer({ min: 1, max: 50 }), (bytes, step) => {
          const encoded = Buffer.from(encoders[encoding](Buffer.from(bytes)), 'latin1');
          const size = new DecodedSize(encoding);
          for (let at = 0; at < encoded.length; at += step) size.add(encoded.subarray(at, at + step));
          expect(size.bytes).toBe(bytes.length);
          expect(decodeTransfer(encoded, encoding)).toEqual(Buffer.from(bytes));
        }),
      );
    },
  );
});
