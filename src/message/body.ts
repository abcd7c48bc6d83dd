import { randomBytes } from 'node:crypto';
import { Transform, type TransformCallback } from 'node:stream';
import { MailParser } from 'mailparser';
import { type DecodedText, decodeBytes } from './charset.ts';
import type { ScannedLeaf } from './scanned-leaf.ts';
import { decodeTransfer } from './transfer-encoding.ts';

/** The text of a message and, for each body leaf in order, how its charset came out. */
export interface Body {
  text: string | null;
  html: string | null;
  charsets: Omit<DecodedText, 'text'>[];
}

/** No content can hold it: it is made anew in every thread and never leaves it. */
const BOUNDARY = `penstock-${randomBytes(18).toString('hex')}`;
const CHARSET_PREFIX = 'penstock-leaf-';

/** What the decoder of a leaf calls, by the number of its message. Entries live as long as their parse. */
const decoders = new Map<number, (leaf: number, bytes: Buffer) => string>();
let lastMessage = 0;

/**
 * Decodes the text leaves of a message. Plain text and HTML need no more than their transfer encoding and charset
 * undone, which is done here: mailparser gives the same text (a test compares them) at five times the cost, most of
 * it for its streams. Text whose lines flow (RFC 3676) goes through mailparser.
 */
export async function decodeBody(leaves: ScannedLeaf[], lineEnd: 'lf' | 'cr'): Promise<Body> {
  if (leaves.some((leaf) => leaf.flowed)) return await decodeWithMailParser(leaves, lineEnd);
  const charsets: Body['charsets'] = [];
  const text: string[] = [];
  const html: string[] = [];
  for (const leaf of leaves) {
    const kept = leaf.kept.length === 1 ? leaf.kept[0]! : Buffer.concat(leaf.kept);
    const bytes = decodeTransfer(lineEnd === 'cr' ? withLineFeeds(kept) : kept, leaf.encoding);
    const { text: decoded, used, loss } = decodeBytes(bytes, leaf.charset);
    charsets.push({ used, loss });
    if (decoded !== '') (leaf.contentType === 'text/html' ? html : text).push(withoutReturns(decoded));
  }
  return {
    text: text.length === 0 ? null : text.join('\n'),
    html: html.length === 0 ? null : html.join('<br/>\n'),
    charsets,
  };
}

/**
 * Decodes with mailparser. It does not see the message itself but one rebuilt from these leaves alone, so both always
 * agree on the structure, attachments cost nothing, and an odd boundary or line end in the original cannot hide text.
 * Each leaf names itself as its charset, which leads mailparser's decoder (its `Iconv` option) to the bytes of that
 * leaf and so to ours.
 */
export async function decodeWithMailParser(leaves: ScannedLeaf[], lineEnd: 'lf' | 'cr'): Promise<Body> {
  const charsets: Body['charsets'] = leaves.map((leaf) => ({ used: leaf.charset ?? 'us-ascii', loss: 0 }));
  const message = ++lastMessage;
  decoders.set(message, (number, bytes) => {
    const { text, used, loss } = decodeBytes(bytes, leaves[number]?.charset ?? null);
    charsets[number] = { used, loss };
    return text;
  });
  try {
    return { ...(await runMailParser(rebuild(leaves, message, lineEnd))), charsets };
  } finally {
    decoders.delete(message);
  }
}

function runMailParser(source: Buffer): Promise<{ text: string | null; html: string | null }> {
  const parser = new MailParser({
    Iconv: LeafDecoder,
    skipHtmlToText: true,
    skipTextToHtml: true,
    skipImageLinks: true,
    skipTextLinks: true,
  });
  return new Promise((resolve, reject) => {
    let text: string | null = null;
    let html: string | null = null;
    parser.on('data', (data) => {
      if (data.type !== 'text') return;
      text = typeof data.text === 'string' ? data.text : null;
      html = typeof data.html === 'string' ? data.html : null;
    });
    parser.on('error', reject);
    parser.on('end', () => resolve({ text, html }));
    parser.end(source);
  });
}

/** A message of the leaves alone. `alternative`, so that mailparser adds no text of one form to the other. */
function rebuild(leaves: ScannedLeaf[], message: number, lineEnd: 'lf' | 'cr'): Buffer {
  const pieces: Buffer[] = [
    Buffer.from(`Content-Type: multipart/alternative; boundary="${BOUNDARY}"\r\n\r\n`),
  ];
  for (const [number, leaf] of leaves.entries()) {
    const flowed = leaf.flowed ? `; format=flowed${leaf.delSp ? '; delsp=yes' : ''}` : '';
    pieces.push(
      Buffer.from(
        `--${BOUNDARY}\r\nContent-Type: ${leaf.contentType}; charset=${CHARSET_PREFIX}${message}-${number}${flowed}\r\n` +
          `Content-Transfer-Encoding: ${leaf.encoding === 'identity' ? '8bit' : leaf.encoding}\r\n\r\n`,
      ),
    );
    for (const piece of leaf.kept) pieces.push(lineEnd === 'cr' ? withLineFeeds(piece) : piece);
    pieces.push(Buffer.from('\r\n'));
  }
  pieces.push(Buffer.from(`--${BOUNDARY}--\r\n`));
  return Buffer.concat(pieces);
}

function withoutReturns(text: string): string {
  return text.includes('\r') ? text.replaceAll('\r\n', '\n') : text;
}

function withLineFeeds(piece: Buffer): Buffer {
  return Buffer.from(piece.toString('latin1').replaceAll('\r', '\n'), 'latin1');
}

/** Has the shape of node-iconv's class: a stream of bytes in one charset to bytes in UTF-8. */
class LeafDecoder extends Transform {
  readonly #message: number;
  readonly #leaf: number;
  readonly #chunks: Buffer[] = [];

  constructor(charset: string) {
    super();
    const [message, leaf] = charset.slice(CHARSET_PREFIX.length).split('-');
    this.#message = Number(message);
    this.#leaf = Number(leaf);
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#chunks.push(chunk);
    done();
  }

  override _flush(done: TransformCallback): void {
    const decode = decoders.get(this.#message);
    if (decode !== undefined) this.push(decode(this.#leaf, Buffer.concat(this.#chunks)));
    done();
  }
}
