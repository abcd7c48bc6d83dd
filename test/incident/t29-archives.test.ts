/**
 * Zip bombs and files that scanners look for. Penstock opens no archive and has no scanner, so of T29.1 there is nothing to
 * test of one that is down, slow, or refuses a size, and nothing to flag in encrypted archives: whoever wants a scan puts
 * it before the mailbox. What is left is that such mail is mail: it goes through as it is, and costs what its bytes cost.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32, deflateRawSync } from 'node:zlib';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import type { Leaf } from '../../src/message/message.ts';
import { multipart } from '../message/mail.ts';
import { expectExactlyOnce } from '../support/exactly-once.ts';
import { Pipe } from '../support/pipe.ts';
import { Site } from '../support/site.ts';

const MIB = 1024 * 1024;

/** In two halves, so that no scanner takes this file for it. */
const EICAR = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$', 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*'].join('');

/** A zip archive with one file in it again and again. `claim`: the size that it says the file has. */
function zip(content: Buffer, options: { files?: number; claim?: number; encrypted?: boolean } = {}): Buffer {
  const { files = 1, claim = content.length, encrypted = false } = options;
  const packed = deflateRawSync(content, { level: 9 });
  const bodies: Buffer[] = [];
  const entries: Buffer[] = [];
  let offset = 0;
  for (let index = 0; index < files; index += 1) {
    const name = Buffer.from(`${index}.zip`);
    const facts = Buffer.alloc(26);
    facts.writeUInt16LE(20, 0);
    facts.writeUInt16LE(encrypted ? 1 : 0, 2);
    facts.writeUInt16LE(8, 4);
    facts.writeUInt32LE(crc32(content), 10);
    facts.writeUInt32LE(packed.length, 14);
    facts.writeUInt32LE(claim, 18);
    facts.writeUInt16LE(name.length, 22);
    const body = Buffer.concat([Buffer.from('PK\x03\x04'), facts, name, packed]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    entries.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), facts, tail, name]));
    bodies.push(body);
    offset += body.length;
  }
  const directory = Buffer.concat(entries);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(files, 4);
  end.writeUInt16LE(files, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...bodies, directory, Buffer.from('PK\x05\x06'), end]);
}

function attached(type: string, name: string, content: Buffer): { headers: string[]; body: string } {
  return {
    headers: [
      `Content-Type: ${type}; name="${name}"`,
      'Content-Disposition: attachment',
      'Content-Transfer-Encoding: base64',
    ],
    body: content.toString('base64').replace(/.{76}/g, '$&\r\n'),
  };
}

const nested = (inner: Buffer): { headers: string[]; body: string } => ({
  headers: ['Content-Type: message/rfc822'],
  body: inner.toString('latin1'),
});

/** A multipart with a delimiter of its own. */
function bounded(name: string, parts: { headers: string[]; body: string }[]): Buffer {
  const text = multipart('mixed', parts).toString('latin1');
  return Buffer.from(text.replaceAll('--edge', `--${name}`).replace('"edge"', `"${name}"`), 'latin1');
}

const TEXT = { headers: ['Content-Type: text/plain'], body: 'See the file.' };
/** Shaped as 42.zip is, archives in archives: 13 KB that are 64 GiB when all of them are opened. */
const BOMB = [16, 16, 16].reduce((inner, files) => zip(inner, { files }), zip(Buffer.alloc(16 * MIB)));
const LIAR = zip(Buffer.alloc(MIB), { claim: 0xffff_fffe });
const ENCRYPTED = zip(Buffer.from('no key, no content'), { encrypted: true });
const VIRUS = attached('application/x-msdownload', 'eicar.com', Buffer.from(EICAR));
const INNERMOST = bounded('c', [TEXT, VIRUS, attached('application/zip', '42.zip', BOMB)]);
const INNER = bounded('b', [TEXT, nested(INNERMOST)]);

const MAILS: [name: string, parts: { headers: string[]; body: string }[], files: [string, number][]][] = [
  ['a bomb', [TEXT, attached('application/zip', '42.zip', BOMB)], [['42.zip', BOMB.length]]],
  ['a bomb alone', [attached('application/zip', '42.zip', BOMB)], [['42.zip', BOMB.length]]],
  ['a false size', [TEXT, attached('application/zip', 'liar.zip', LIAR)], [['liar.zip', LIAR.length]]],
  [
    'an encrypted archive',
    [TEXT, attached('a/b', 'secret.zip', ENCRYPTED)],
    [['secret.zip', ENCRYPTED.length]],
  ],
  ['EICAR', [TEXT, VIRUS], [['eicar.com', EICAR.length]]],
  ['EICAR as the text', [{ headers: ['Content-Type: text/plain'], body: EICAR }], []],
  ['EICAR in a nested message', [TEXT, nested(INNER)], [['Parts.eml', INNER.length]]],
];

describe('T29.1', () => {
  it('T29.1 bombs and viruses are stored as they came, each as one file that nobody has opened', async () => {
    const site = await Site.start({ backend: 'postgres' });
    await site.addMailbox('ann', { after: 'seen', dedup: 'none' });
    for (const [, parts] of MAILS) site.deliver('ann', multipart('mixed', parts));
    const pipe = await Pipe.start(site);
    await site.waitUntilProcessed();
    await expectExactlyOnce(site);
    expect(pipe.of('message.retrying')).toEqual([]);
    const { rows } = await sql<{ parts: Leaf[] }>`select parts from incoming_email order by id`.execute(
      site.runtime.db,
    );
    const files = rows.map(({ parts }) =>
      parts.filter(({ use }) => use === 'attachment').map(({ filename, size }) => [filename, size]),
    );
    expect(files).toEqual(MAILS.map(([, , expected]) => expected));
  });

  it('T29.1 no room that mail goes through can unpack anything', () => {
    const src = fileURLToPath(new URL('../../src/', import.meta.url));
    const rooms = ['source', 'intake', 'raw', 'message', 'rule', 'ticket', 'process'];
    const files = rooms.flatMap((room) =>
      readdirSync(join(src, room), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts'))
        .map((name) => join(room, name)),
    );
    const unpacking =
      /from '(?:node:)?zlib'|DecompressionStream|from '[^']*(?:zip|zlib|tar|inflate|rar|7z)[^']*'/;
    expect(files.filter((name) => unpacking.test(readFileSync(join(src, name), 'utf8')))).toEqual([]);
  });
});
