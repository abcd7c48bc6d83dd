import { X509Certificate } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { makeCertificate } from '../../src/lab/certificate.ts';
import { CommandSyntaxError, parseCommand } from '../../src/lab/imap/command-parser.ts';
import { decodeFolderName, encodeFolderName, matchesPattern } from '../../src/lab/imap/folder-name.ts';
import { cutPartial, endOfHeader, parseBodyItem, sectionBytes } from '../../src/lab/imap/message-sections.ts';
import { formatSequenceSet, inRanges, parseSequenceSet } from '../../src/lab/imap/sequence-set.ts';
import { CommandReader } from '../../src/lab/wire/command-reader.ts';

describe('sequence sets', () => {
  it('n:* includes the last number even when n is larger', () => {
    const ranges = parseSequenceSet('9:*', 4);
    expect(ranges).toEqual([[4, 9]]);
    expect(inRanges(ranges ?? [], 4)).toBe(true);
  });

  it.each(['', 'a', '1:', ':1', '1,,2', '1 2', '12345678901'])('refuses %j', (text) => {
    expect(parseSequenceSet(text, 9)).toBeNull();
  });

  it('writes runs as ranges', () => {
    expect(formatSequenceSet([1, 2, 3, 7, 9, 10])).toBe('1:3,7,9:10');
    expect(formatSequenceSet([])).toBe('');
  });
});

describe('folder names', () => {
  it.each([
    ['Müll', 'M&APw-ll'],
    ['A & B', 'A &- B'],
    ['日本語', '&ZeVnLIqe-'],
    ['~peter/mail', '~peter/mail'],
    ['🙂', '&2D3eQg-'],
  ])('%s is %s on the wire', (name, wire) => {
    expect(encodeFolderName(name)).toBe(wire);
    expect(decodeFolderName(wire)).toBe(name);
  });

  it.each([
    ['INBOX', '*', true],
    ['a/b', '*', true],
    ['a/b', '%', false],
    ['a/b', 'a/%', true],
    ['a/b/c', 'a/%', false],
    ['abc', 'a*c', true],
    ['abc', 'ab', false],
    ['', '', true],
  ])('%s against %s', (name, pattern, expected) => {
    expect(matchesPattern(name, pattern, '/')).toBe(expected);
  });

  it('matches a pattern made to be slow', () => {
    expect(matchesPattern('a'.repeat(2000), `${'*a'.repeat(50)}b`, '/')).toBe(false);
  });
});

describe('commands', () => {
  it('reads atoms, strings, lists, sections and literals', () => {
    expect(parseCommand(['a1 uid fetch 1:2 (FLAGS BODY.PEEK[HEADER.FIELDS (TO CC)]<0.10>)'])).toMatchObject({
      tag: 'a1',
      name: 'UID FETCH',
      args: [
        { kind: 'atom', text: '1:2' },
        { kind: 'list', items: [{ text: 'FLAGS' }, { text: 'BODY.PEEK[HEADER.FIELDS (TO CC)]<0.10>' }] },
      ],
    });
    const bytes = Buffer.from('pass word');
    expect(parseCommand(['a LOGIN "a \\"b\\"" ', bytes, ''])).toMatchObject({
      name: 'LOGIN',
      args: [{ bytes: Buffer.from('a "b"') }, { bytes }],
    });
  });

  it.each([
    '',
    'a1',
    '"x" NOOP',
    'a1 FETCH (',
    'a1 FETCH )',
    'a1 LOGIN "x',
    'a1 UID',
    'a1 UID NOOP',
    `a1 X ${'('.repeat(100)}`,
  ])('refuses %j', (line) => {
    expect(() => parseCommand([line])).toThrow(CommandSyntaxError);
  });

  it('reads commands whatever pieces they come in', async () => {
    const wire = 'a1 NOOP\r\na2 LOGIN {3}\r\nann {6+}\r\nsecret\r\na3 LOGOUT\n';
    for (const size of [1, 2, 7, 1000]) {
      const stream = new PassThrough();
      const reader = new CommandReader(stream, { lineBytes: 100, literalBytes: 100 });
      let invited = 0;
      const read = () => reader.readCommand(() => (invited += 1));
      for (let at = 0; at < wire.length; at += size) stream.write(wire.slice(at, at + size));
      stream.end();
      expect(await read()).toEqual(['a1 NOOP']);
      expect(await read()).toEqual(['a2 LOGIN ', Buffer.from('ann'), ' ', Buffer.from('secret'), '']);
      expect(await read()).toEqual(['a3 LOGOUT']);
      expect(await read()).toBeNull();
      expect(invited).toBe(1);
    }
  });

  it('gives up on lines and literals above the limit', async () => {
    for (const wire of ['x'.repeat(200), 'a APPEND INBOX {101}\r\n']) {
      const stream = new PassThrough();
      const reader = new CommandReader(stream, { lineBytes: 100, literalBytes: 100 });
      stream.write(wire);
      await expect(reader.readCommand(() => {})).rejects.toThrow(/too l/);
    }
  });
});

describe('sections of a message', () => {
  const message = Buffer.from('To: a\r\nSubject: one\r\n two\r\nX: y\r\n\r\nbody\r\n');

  it.each([
    ['BODY[]', message.toString()],
    ['BODY.PEEK[HEADER]', 'To: a\r\nSubject: one\r\n two\r\nX: y\r\n\r\n'],
    ['BODY[TEXT]', 'body\r\n'],
    ['BODY[HEADER.FIELDS (SUBJECT)]', 'Subject: one\r\n two\r\n\r\n'],
    ['BODY[HEADER.FIELDS.NOT ("subject" to)]', 'X: y\r\n\r\n'],
  ])('%s', (item, expected) => {
    const parsed = parseBodyItem(item);
    expect(parsed && sectionBytes(message, parsed).toString()).toBe(expected);
  });

  it('cuts parts, and gives nothing past the end', () => {
    const item = parseBodyItem('BODY.PEEK[]<4.3>');
    expect(item?.partial).toEqual({ start: 4, length: 3 });
    expect(cutPartial(message, { start: 4, length: 3 }).toString()).toBe('a\r\n');
    expect(cutPartial(message, { start: 1000, length: 3 })).toHaveLength(0);
  });

  it('knows what it does not have', () => {
    for (const item of ['BODY[1]', 'BODYSTRUCTURE', 'BODY[1.MIME]', 'ENVELOPE'])
      expect(parseBodyItem(item)).toBeNull();
  });

  it('finds the end of the header with any line ends, or none', () => {
    expect(endOfHeader(Buffer.from('a: b\n\nx'))).toBe(6);
    expect(endOfHeader(Buffer.from('a: b'))).toBe(4);
    expect(endOfHeader(Buffer.from('\r\nx'))).toBe(2);
  });
});

describe('certificates', () => {
  it('is valid for its names and dates, and signed by itself', () => {
    const notBefore = new Date('2020-01-01T00:00:00Z');
    const notAfter = new Date('2051-01-01T00:00:00Z');
    const { cert } = makeCertificate({
      names: ['mail.example.org', '127.0.0.1', '::1'],
      notBefore,
      notAfter,
    });
    const certificate = new X509Certificate(cert);
    expect(certificate.subjectAltName).toBe(
      'DNS:mail.example.org, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
    );
    expect(certificate.validFromDate).toEqual(notBefore);
    expect(certificate.validToDate).toEqual(notAfter);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.checkHost('mail.example.org')).toBe('mail.example.org');
    expect(certificate.checkIssued(certificate)).toBe(true);
  });
});
