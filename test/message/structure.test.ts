import { describe, expect, it } from 'vitest';
import { type Structure, StructureScanner, scanStructure } from '../../src/message/structure.ts';
import { mail } from './mail.ts';

const NESTED = [
  'From: alice@example.com',
  'Content-Type: multipart/mixed; boundary="outer"',
  '',
  'Preamble.',
  '--outer',
  'Content-Type: multipart/alternative; boundary="inner"',
  '',
  '--inner',
  'Content-Type: text/plain; charset=utf-8',
  '',
  'Plain text.',
  '--inner',
  'Content-Type: text/html',
  'Content-Transfer-Encoding: quoted-printable',
  '',
  '<p>Caf=C3=A9=',
  '</p>',
  '--inner--',
  '',
  '--outer',
  'Content-Type: application/pdf; name="a.pdf"',
  'Content-Disposition: attachment',
  'Content-ID: <one@example.com>',
  'Content-Transfer-Encoding: base64',
  '',
  'aGVsbG8g',
  'd29ybGQ=',
  '--outer--',
  'Epilogue.',
];

function content(leaf: Structure['leaves'][number]): string {
  return Buffer.concat(leaf.kept).toString('latin1');
}

function summary(structure: Structure): string[] {
  return structure.leaves.map((leaf) => `${leaf.part} ${leaf.contentType} ${leaf.size}`);
}

function scan(source: Buffer): Structure {
  return scanStructure(source, undefined, () => 1_000_000);
}

describe('scanStructure', () => {
  it('lists the leaves of a nested message in order', () => {
    const structure = scan(mail(...NESTED));
    expect(summary(structure)).toEqual(['1.1 text/plain 11', '1.2 text/html 12', '2 application/pdf 11']);
    expect(structure).toMatchObject({ parts: 5, depth: 2, lineEnd: 'lf', warnings: [] });
    expect(structure.fields.map((field) => field.name)).toEqual(['From', 'Content-Type']);
    expect(structure.leaves[2]).toMatchObject({
      rawFilename: 'a.pdf',
      disposition: 'attachment',
      contentId: 'one@example.com',
      encoding: 'base64',
      parentType: 'multipart/mixed',
    });
  });

  it('gives the exact place of each leaf in the message', () => {
    const source = mail(...NESTED);
    const places = scan(source).leaves.map((leaf) => source.toString('latin1', leaf.start, leaf.end));
    expect(places).toEqual(['Plain text.', '<p>Caf=C3=A9=\r\n</p>', 'aGVsbG8g\r\nd29ybGQ=']);
  });

  it.each([
    ['LF', '\n'],
    ['CR', '\r'],
    ['CR CR LF', '\r\r\n'],
  ])('finds the same with line ends of %s', (_name, lineEnd) => {
    const structure = scan(Buffer.from(NESTED.join(lineEnd), 'latin1'));
    expect(structure.leaves.map((leaf) => leaf.part)).toEqual(['1.1', '1.2', '2']);
    expect(content(structure.leaves[0]!).trim()).toBe('Plain text.');
    expect(content(structure.leaves[1]!)).toMatch(/^<p>Caf=C3=A9=\s+<\/p>\s?$/);
  });

  it('finds the same in chunks of any size', () => {
    for (const lineEnd of ['\r\n', '\n', '\r']) {
      const source = Buffer.from(NESTED.join(lineEnd), 'latin1');
      const whole = scan(source);
      for (const size of [1, 2, 3, 5, 7, 64, 100]) {
        const scanner = new StructureScanner(undefined, () => 1_000_000);
        for (let at = 0; at < source.length; at += size) scanner.push(source.subarray(at, at + size));
        const structure = scanner.end();
        expect(summary(structure)).toEqual(summary(whole));
        expect(structure.leaves.map(content)).toEqual(whole.leaves.map(content));
        expect(structure.fields).toEqual(whole.fields);
        expect(structure.leaves.map((leaf) => [leaf.start, leaf.end])).toEqual(
          whole.leaves.map((leaf) => [leaf.start, leaf.end]),
        );
      }
    }
  });

  it('reads a message of one part', () => {
    const structure = scan(mail('Subject: x', '', 'one', '--two', ''));
    expect(summary(structure)).toEqual(['1 text/plain 12']);
  });

  it('takes an empty message', () => {
    expect(summary(scan(Buffer.alloc(0)))).toEqual(['1 text/plain 0']);
  });

  it('ends open multiparts at the end and says so', () => {
    const structure = scan(mail('Content-Type: multipart/mixed; boundary=b', '', '--b', '', 'text'));
    expect(summary(structure)).toEqual(['1 text/plain 4']);
    expect(structure.warnings).toEqual(['Multipart of the message has no closing delimiter.']);
  });

  it('ends everything inside when the delimiter of an outer multipart comes', () => {
    const lines = NESTED.filter((line) => line !== '--inner--');
    const structure = scan(mail(...lines));
    expect(structure.leaves.map((leaf) => leaf.part)).toEqual(['1.1', '1.2', '2']);
    expect(structure.warnings).toEqual(['Multipart 1 has no closing delimiter.']);
  });

  it('reads a multipart without parts as text', () => {
    const structure = scan(mail('Content-Type: multipart/mixed; boundary=b', '', 'Only text.', ''));
    expect(summary(structure)).toEqual(['1 text/plain 12']);
    expect(structure.warnings).toContain('Multipart of the message has no parts; read as text.');
  });

  it('reads a multipart without a boundary as text', () => {
    const structure = scan(mail('Content-Type: multipart/mixed', '', 'Only text.'));
    expect(summary(structure)).toEqual(['1 text/plain 10']);
    expect(structure.warnings).toHaveLength(1);
  });

  it('takes the same boundary inside itself', () => {
    const inner = ['Content-Type: multipart/mixed; boundary=b', ''];
    const structure = scan(
      mail(...inner, '--b', ...inner, '--b', '', 'inside', '--b--', '--b', '', 'outside', '--b--'),
    );
    expect(summary(structure)).toEqual(['1.1 text/plain 6', '2 text/plain 7']);
  });

  it('does not take a line for a delimiter that only begins like one', () => {
    const structure = scan(
      mail(
        'Content-Type: multipart/mixed; boundary=b',
        '',
        '--b',
        '',
        '--bb',
        ' --b',
        '--b x',
        '--b-',
        '--b  ',
        '',
        'z',
      ),
    );
    expect(structure.leaves.map(content)).toEqual(['--bb\r\n --b\r\n--b x\r\n--b-', 'z']);
  });

  it('takes a boundary that ends in dashes', () => {
    const structure = scan(
      mail('Content-Type: multipart/mixed; boundary="b--"', '', '--b--', '', 'x', '--b----', ''),
    );
    expect(structure.leaves.map(content)).toEqual(['x']);
    expect(structure.warnings).toEqual([]);
  });

  it('keeps an attached message whole', () => {
    const attached = [
      'From: bob@example.com',
      'Content-Type: multipart/mixed; boundary=x',
      '',
      '--x',
      '',
      'deep',
      '--x--',
    ];
    const structure = scan(
      mail(
        'Content-Type: multipart/mixed; boundary=b',
        '',
        '--b',
        'Content-Type: message/rfc822',
        '',
        ...attached,
        '--b--',
      ),
    );
    expect(structure.leaves.map((leaf) => leaf.contentType)).toEqual(['message/rfc822']);
    expect(content(structure.leaves[0]!)).toBe(attached.join('\r\n'));
  });

  it('gives parts of a digest their default type', () => {
    const structure = scan(
      mail('Content-Type: multipart/digest; boundary=b', '', '--b', '', 'From: a@b', '', 'x', '--b--'),
    );
    expect(structure.leaves[0]!.contentType).toBe('message/rfc822');
  });

  it('finds the header behind an envelope line, blanks and a byte order mark', () => {
    for (const start of [
      'From alice Mon Jan  5 10:00:00 2026\r\n',
      '\r\n\r\n',
      '   \r\n',
      ' ',
      '\xef\xbb\xbf',
    ]) {
      const structure = scan(Buffer.from(`${start}Subject: x\r\n\r\nbody`, 'latin1'));
      expect(structure.fields).toEqual([{ name: 'Subject', value: ' x' }]);
      expect(content(structure.leaves[0]!)).toBe('body');
    }
  });

  it('takes a part without a header for its body', () => {
    const structure = scan(
      mail('Content-Type: multipart/mixed; boundary=b', '', '--b', 'No header here', '--b--'),
    );
    expect(content(structure.leaves[0]!)).toBe('No header here');
  });

  it('unfolds fields, leaves out nameless lines and ends a header at a delimiter', () => {
    const structure = scan(
      mail(
        'Subject: a',
        '\tb',
        'nonsense without a name',
        'X-Late : c',
        'Content-Type: multipart/mixed; boundary=b',
        '',
        '--b',
        'X: y',
        '--b--',
      ),
    );
    expect(structure.fields.slice(0, 2)).toEqual([
      { name: 'Subject', value: ' a\tb' },
      { name: 'X-Late', value: ' c' },
    ]);
    expect(summary(structure)).toEqual(['1 text/plain 0']);
    expect(structure.warnings).toEqual(['A header line without a field name was left out.']);
  });

  it('keeps no more of a leaf than asked', () => {
    const structure = scanStructure(mail('Subject: x', '', 'abcdefgh'), undefined, () => 3);
    expect(structure.leaves[0]).toMatchObject({ size: 8, cut: true });
    expect(content(structure.leaves[0]!)).toBe('abc');
  });

  it.each([
    ['broken/type with blanks', 'application/octet-stream'],
    ['text', 'text/plain'],
    ['', 'text/plain'],
    ['nonsense', 'application/octet-stream'],
  ])('reads the content type %j as %s', (type, expected) => {
    expect(scan(mail(`Content-Type: ${type}`, '', 'x')).leaves[0]!.contentType).toBe(expected);
  });
});

describe('limits of the structure', () => {
  const limits = { mimeDepth: 3, mimeParts: 5, headerCount: 4, headerBytes: 500 };

  function limitOf(source: Buffer): unknown {
    try {
      scanStructure(source, limits);
    } catch (error) {
      return error;
    }
    return null;
  }

  function multipartLines(depth: number): string[] {
    const lines: string[] = [];
    for (let level = 0; level < depth; level++) {
      if (level > 0) lines.push(`--b${level - 1}`);
      lines.push(`Content-Type: multipart/mixed; boundary=b${level}`, '');
    }
    return lines;
  }

  it('allows what is at the limit', () => {
    expect(limitOf(mail(...multipartLines(3)))).toBeNull();
    expect(limitOf(mail('A: 1', 'B: 1', 'C: 1', 'D: 1', '', 'x'))).toBeNull();
  });

  it.each([
    ['mimeDepth', mail(...multipartLines(4))],
    ['mimeParts', mail(...multipartLines(1), '--b0', '', '--b0', '', '--b0', '', '--b0', '', '--b0', '')],
    ['headerCount', mail('A: 1', 'B: 1', 'C: 1', 'D: 1', 'E: 1', '', 'x')],
    ['headerBytes', mail(`A: ${'x'.repeat(600)}`, '', 'x')],
    ['headerBytes', mail(`A: ${'x'.repeat(600)}`)],
    ['headerBytes', mail(`A: 1`, ...Array.from({ length: 60 }, () => ' 12345678'), '', 'x')],
  ])('stops at %s', (limit, source) => {
    expect(limitOf(source)).toMatchObject({ code: 'mime_limit', fields: { limit } });
  });

  it('stops before the rest has arrived', () => {
    const scanner = new StructureScanner(limits);
    const long = Buffer.from(`A: ${'x'.repeat(300)}`);
    scanner.push(long);
    expect(() => scanner.push(long)).toThrowError(/headerBytes/);
  });
});
