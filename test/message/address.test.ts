import { describe, expect, it } from 'vitest';
import { parseAddresses } from '../../src/message/address.ts';
import { canonicalAddress, domainPart, localPart } from '../../src/message/address-form.ts';
import { utf8 } from './mail.ts';

function read(value: string, max = 100): string[] {
  return parseAddresses(value, max).map(({ name, address }) =>
    name === '' ? address : `${name} <${address}>`,
  );
}

describe('parseAddresses', () => {
  it.each([
    ['alice@example.com', ['alice@example.com']],
    ['<alice@example.com>', ['alice@example.com']],
    ['Alice <alice@example.com>', ['Alice <alice@example.com>']],
    [
      '"Smith, Alice" <alice@example.com>, bob@example.com',
      ['Smith, Alice <alice@example.com>', 'bob@example.com'],
    ],
    ['"A \\"quoted\\" name" <a@b>', ['A "quoted" name <a@b>']],
    ['alice@example.com (Alice (the one))', ['Alice (the one) <alice@example.com>']],
    ['alice@example.com <alice@example.com>', ['alice@example.com']],
    [
      'Team: alice@example.com, Bob <bob@example.com>; carol@example.com',
      ['alice@example.com', 'Bob <bob@example.com>', 'carol@example.com'],
    ],
    ['undisclosed-recipients:;', []],
    ['=?utf-8?Q?Ren=C3=A9?= <rene@example.com>', ['René <rene@example.com>']],
    ['"=?utf-8?Q?Ren=C3=A9?=" <rene@example.com>', ['René <rene@example.com>']],
    // A comma or a bracket that comes out of an encoded-word adds no address.
    ['=?utf-8?Q?a=2C_evil=40example.com_=3Cx=40y=3E?= <a@b>', ['a, evil@example.com <x@y> <a@b>']],
    [utf8('Jürgen <jürgen@example.com>'), ['Jürgen <jürgen@example.com>']],
    ['<@relay.example,@other.example:alice@example.com>', ['alice@example.com']],
    ['MAILER-DAEMON', ['MAILER-DAEMON']],
    ['Only A Name', ['Only A Name <>']],
    ['Alice alice@example.com', ['Alice <alice@example.com>']],
    ['Alice <alice@example.com', ['Alice <alice@example.com>']],
    ['Alice <alice@example.com, bob@example.com', ['Alice <alice@example.com>', 'bob@example.com']],
    ['"Alice <alice@example.com>', ['Alice <alice@example.com>']],
    ['a@b,, ;c@d,', ['a@b', 'c@d']],
    ['<al ice@example.com>', ['alice@example.com']],
    ['<>', ['']],
    ['((((', []],
    ['', []],
  ])('%s', (value, expected) => {
    expect(read(value)).toEqual(expected);
  });

  it('stops at the bound', () => {
    expect(read('a@b,'.repeat(5_000), 7)).toHaveLength(7);
  });

  it.each(['<', '"', '(', ':', '@:', 'a@', ',<', '"\\', '=?'])('ends on a megabyte of %j', (piece) => {
    expect(read(piece.repeat(1_000_000 / piece.length)).length).toBeLessThanOrEqual(100);
  });
});

describe('forms of an address', () => {
  it.each([
    ['Help@Example.org', 'help@example.org'],
    ['help+ticket-5@example.org', 'help@example.org'],
    ['<help@example.org>', 'help@example.org'],
    ['root', 'root'],
    ['+x@example.org', '+x@example.org'],
  ])('%s compares as %s', (address, form) => {
    expect(canonicalAddress(address)).toBe(form);
  });

  it('splits at the last @', () => {
    expect(localPart('"a@b"@C.example')).toBe('"a@b"');
    expect(domainPart('"a@b"@C.example')).toBe('c.example');
    expect(domainPart('root')).toBe('');
  });
});
