import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  countMailFiles,
  type FileMessage,
  type MailFileOptions,
  maildirFlags,
  readMailFiles,
} from '../../src/intake/mail-files.ts';
import { type MboxMessage, type MboxQuoting, MboxScanner, separatorDate } from '../../src/intake/mbox.ts';

const SEPARATOR = 'From jane@example.org Mon Mar  2 09:30:00 2026\n';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'penstock-mail-files-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function put(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, content, 'latin1');
  return path;
}

async function readAll(
  paths: string[],
  options: MailFileOptions = {},
): Promise<(Pick<FileMessage, 'name' | 'size' | 'receivedAt' | 'flags'> & { text: string })[]> {
  const read = [];
  for await (const { name, size, receivedAt, flags, open } of readMailFiles(paths, options)) {
    const chunks: Buffer[] = [];
    for await (const chunk of open()) chunks.push(chunk as Buffer);
    const bytes = Buffer.concat(chunks);
    expect(bytes.length, `${name} is as large as it was said to be`).toBe(size);
    read.push({
      name: name.slice(folder.length + 1),
      size,
      receivedAt,
      flags,
      text: bytes.toString('latin1'),
    });
  }
  return read;
}

async function textsOf(mbox: string, mboxQuoting?: MboxQuoting): Promise<string[]> {
  const path = await put('some.mbox', mbox);
  return (await readAll([path], { mboxQuoting })).map(({ text }) => text);
}

describe('single messages', () => {
  it('are read byte for byte, whatever is in them', async () => {
    const message = 'Subject: x\r\n\r\n\x00\xff>From me\nFrom you\r';
    const path = await put('one.eml', message);
    expect(await readAll([path])).toEqual([
      { name: 'one.eml', size: message.length, receivedAt: null, flags: [], text: message },
    ]);
  });

  it('are told by their content when the name says nothing', async () => {
    const path = await put('message', 'Received: by x\n\nhi\n');
    expect((await readAll([path])).map(({ text }) => text)).toEqual(['Received: by x\n\nhi\n']);
  });

  it('that are none are refused when they are named', async () => {
    const path = await put('notes.bin', '\x7fELF');
    await expect(readAll([path])).rejects.toMatchObject({ code: 'validation_failed' });
  });

  it('that are not there are not found', async () => {
    await expect(readAll([join(folder, 'no.eml')])).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('mbox files', () => {
  it('are split at their separators, without the empty line before each', async () => {
    expect(
      await textsOf(
        `${SEPARATOR}Subject: a\n\none\n\n${SEPARATOR}Subject: b\n\ntwo\n\n\n${SEPARATOR}Subject: c\n\n3`,
      ),
    ).toEqual(['Subject: a\n\none\n', 'Subject: b\n\ntwo\n\n', 'Subject: c\n\n3']);
  });

  it('have numbers and dates', async () => {
    const path = await put(
      'in',
      `${SEPARATOR}Subject: a\n\n1\n\nFrom b@c Tue Mar  3 10:00:01 2026\nSubject: b\n\n2\n`,
    );
    expect((await readAll([path])).map(({ name, receivedAt }) => [name, receivedAt])).toEqual([
      ['in#1', '2026-03-02T09:30:00.000Z'],
      ['in#2', '2026-03-03T10:00:01.000Z'],
    ]);
  });

  it('keep CRLF line ends', async () => {
    const separator = SEPARATOR.replace('\n', '\r\n');
    expect(
      await textsOf(`${separator}Subject: a\r\n\r\none\r\n\r\n${separator}Subject: b\r\n\r\ntwo\r\n\r\n`),
    ).toEqual(['Subject: a\r\n\r\none\r\n', 'Subject: b\r\n\r\ntwo\r\n']);
  });

  it.each([
    ['mboxrd', 'From a\nFrom b\n>From c\n>>From d\n > From e\n>from f\n'],
    ['mboxo', 'From a\nFrom b\n>>From c\n>>>From d\n > From e\n>from f\n'],
    ['none', '>From a\n>From b\n>>From c\n>>>From d\n > From e\n>from f\n'],
  ] as const)('undo quoting by %s', async (quoting, body) => {
    const stored = '>From a\n>From b\n>>From c\n>>>From d\n > From e\n>from f\n';
    expect(await textsOf(`${SEPARATOR}Subject: a\n\n${stored}`, quoting)).toEqual([`Subject: a\n\n${body}`]);
  });

  it('are not split at sentences that begin with From', async () => {
    const body = 'x\n\nFrom what I hear, Mon is fine.\n\nFrom now on\nFrom me, Tue Mar is no date 2026\n';
    expect(await textsOf(`${SEPARATOR}Subject: a\n\n${body}`)).toEqual([`Subject: a\n\n${body}`]);
  });

  it('are split without an empty line when a header follows the separator, and not when none does', async () => {
    expect(
      await textsOf(
        `${SEPARATOR}Subject: a\n\none\n${SEPARATOR}Subject: b\n\n${SEPARATOR.trimEnd()}\nquoted above`,
      ),
    ).toEqual(['Subject: a\n\none\n', 'Subject: b\n', 'quoted above']);
    expect(await textsOf(`${SEPARATOR}Subject: a\n\nhe wrote\n${SEPARATOR}and so on\n`)).toEqual([
      `Subject: a\n\nhe wrote\n${SEPARATOR}and so on\n`,
    ]);
  });

  it('may be empty, or hold an empty message', async () => {
    expect(await textsOf('')).toEqual([]);
    expect(await textsOf(SEPARATOR)).toEqual([]);
    expect(await textsOf(`${SEPARATOR}\n${SEPARATOR}Subject: b\n\n`)).toEqual(['Subject: b\n']);
  });

  it('can be opened again, in any order, while the file grows', async () => {
    const path = await put('in', `${SEPARATOR}Subject: a\n\n1\n\n${SEPARATOR}Subject: b\n\n2\n`);
    const messages = [];
    for await (const message of readMailFiles([path])) {
      messages.push(message);
      await writeFile(path, `\n${SEPARATOR}Subject: late\n\n3\n`, { flag: 'a' });
    }
    expect(messages).toHaveLength(2);
    for (const index of [1, 0, 1]) {
      const chunks = await messages[index]!.open().toArray();
      expect(Buffer.concat(chunks).toString()).toContain(index === 0 ? 'Subject: a' : 'Subject: b');
    }
  });

  it('are read to the same messages however the bytes are cut', () => {
    const text = `${SEPARATOR}Subject: a\r\n\r\n>From x\n>>From y\n\n${SEPARATOR}X: ${'y'.repeat(1_000)}\n\n${'>'.repeat(200)}From z\n`;
    const bytes = Buffer.from(text.replaceAll('\u0000', ''));
    const scan = (size: number): MboxMessage[] => {
      const scanner = new MboxScanner();
      const found: MboxMessage[] = [];
      for (let start = 0; start < bytes.length; start += size) {
        // A copy that is overwritten afterwards, as a stream may reuse its memory.
        const chunk = Buffer.from(bytes.subarray(start, start + size));
        found.push(...scanner.push(chunk));
        chunk.fill(0);
      }
      return [...found, ...scanner.end()];
    };
    const whole = scan(bytes.length);
    expect(whole).toHaveLength(2);
    expect(whole[0]!.end - whole[0]!.start - whole[0]!.size).toBe(2);
    for (let size = 1; size < 200; size += 1) expect(scan(size), `chunks of ${size}`).toEqual(whole);
  });

  it('with a line of many megabytes need no memory for it', async () => {
    const scanner = new MboxScanner();
    scanner.push(Buffer.from(`${SEPARATOR}Subject: a\n\n`));
    const chunk = Buffer.alloc(1024 * 1024, 'x');
    const before = process.memoryUsage().arrayBuffers;
    for (let count = 0; count < 100; count += 1) scanner.push(chunk);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10 * 1024 * 1024);
    expect(scanner.end()[0]?.size).toBe(12 + 100 * 1024 * 1024);
  });

  it('with quoted lines across the chunks of the file come out whole', async () => {
    // The file is read in pieces of 256 KiB; lines of a length prime to that meet every cut.
    const line = `>From the start ${'.'.repeat(241)}\n`;
    const stored = line.repeat(5_000);
    const [text] = await textsOf(`${SEPARATOR}Subject: a\n\n${stored}`);
    expect(text).toBe(`Subject: a\n\n${line.slice(1).repeat(5_000)}`);
  });
});

describe('the date of a separator', () => {
  it.each([
    ['From a@b Mon Mar  2 09:30:00 2026', '2026-03-02T09:30:00.000Z'],
    ['From - Mon Mar 2 09:30:00 2026', '2026-03-02T09:30:00.000Z'],
    ['From a@b Mon Mar  2 09:30 2026', '2026-03-02T09:30:00.000Z'],
    ['From 17@xxx Mon Mar 02 09:30:00 +0100 2026', '2026-03-02T08:30:00.000Z'],
    ['From a@b Mon Mar  2 09:30:00 2026 -0530', '2026-03-02T15:00:00.000Z'],
    ['From a b c@d  Mon Mar  2 09:30:00 GMT 2026', '2026-03-02T09:30:00.000Z'],
    ['From Mon Mar  2 09:30:00 2026', '2026-03-02T09:30:00.000Z'],
    ['From a@b', undefined],
    ['From a@b Mon', undefined],
    ['From a@b Mon Mar  2 at noon 2026', undefined],
    ['From: a@b Mon Mar  2 09:30:00 2026', undefined],
    ['from a@b Mon Mar  2 09:30:00 2026', undefined],
  ])('%s -> %s', (line, expected) => {
    expect(separatorDate(Buffer.from(`${line}\n`))?.toISOString()).toBe(expected);
  });
});

describe('maildirs', () => {
  it('give their messages with flags and time, and leave what is not delivered', async () => {
    await put('box/cur/1772443800.M1P2.host,S=9:2,RS', 'Subject: a\n');
    await put('box/cur/other;2,F', 'Subject: b\n');
    await put('box/new/1772443900.M2P2.host', 'Subject: c\n');
    await put('box/tmp/1772444000.M3P2.host', 'Subject: half');
    await put('box/dovecot.index.log', 'x');
    const read = await readAll([join(folder, 'box')]);
    expect(read.map(({ text, flags, receivedAt }) => [text, flags, receivedAt])).toEqual([
      ['Subject: a\n', ['answered', 'seen'], '2026-03-02T09:30:00.000Z'],
      ['Subject: b\n', ['flagged'], null],
      ['Subject: c\n', [], '2026-03-02T09:31:40.000Z'],
    ]);
  });

  it('have folders of their own (Maildir++)', async () => {
    for (const part of ['cur', 'new', '.Sent/cur', '.Sent/new'])
      await mkdir(join(folder, part), { recursive: true });
    await put('cur/1:2,', 'Subject: in\n');
    await put('.Sent/cur/2:2,', 'Subject: sent\n');
    expect((await readAll([folder])).map(({ name }) => name)).toEqual(['cur/1:2,', '.Sent/cur/2:2,']);
  });

  it.each([
    ['x:2,DFPRST', ['draft', 'flagged', 'passed', 'answered', 'seen', 'deleted']],
    ['x!2,Sab', ['seen']],
    ['x:1,S', []],
    ['x', []],
  ])('%s has the flags %j', (name, flags) => {
    expect(maildirFlags(name)).toEqual(flags);
  });
});

describe('folders', () => {
  it('are read at any depth, in the order of names; what is no mail is named', async () => {
    await put('b/2.eml', 'Subject: 2\n');
    await put('a/in.mbox', `${SEPARATOR}Subject: 1\n\n`);
    await put('b/deep/deeper/3', 'Subject: 3\n');
    await put('readme.txt', 'Note: this begins like a message\n');
    await put('b/empty.txt', '');
    await symlink(join(folder, 'b'), join(folder, 'again'));
    const skipped: string[] = [];
    const read = await readAll([folder], {
      onSkipped: (path) => skipped.push(path.slice(folder.length + 1)),
    });
    expect(read.map(({ name }) => name)).toEqual(['a/in.mbox#1', 'b/2.eml', 'b/deep/deeper/3']);
    expect(skipped).toEqual(['again', 'readme.txt', 'b/empty.txt']);
  });

  it('are counted beforehand, exactly', async () => {
    await put('a.mbox', `${SEPARATOR}Subject: 1\n\n>From x\n\n${SEPARATOR}Subject: 2\n\n`);
    await put('b.eml', 'Subject: 3\n');
    const read = await readAll([folder]);
    const bytes = read.reduce((sum, { size }) => sum + size, 0);
    expect(await countMailFiles([folder])).toEqual({ messages: 3, bytes });
  });
});
