/**
 * Puts a large attachment to the address of a Graph upload session, piece by piece
 * (learn.microsoft.com/graph/outlook-large-attachments). The address is its own permission: no token goes there.
 */
import https from 'node:https';
import { fail } from '../errors.ts';
import { networkError } from '../source/graph/errors.ts';
import type { GraphSettings } from '../source/graph/settings.ts';
import { tlsOptions } from '../source/probe.ts';

/** A multiple of 320 KiB below 4 MB. */
const CHUNK = 10 * 320 * 1024;
const ANSWER_MS = 120_000;
/** Where Exchange Online takes uploads, beside the Graph host itself. */
const UPLOAD_HOSTS =
  /(?:^|\.)(?:outlook\.office(?:365)?\.(?:com|us)|outlook\.com|partner\.outlook\.cn|microsoft\.com)$/;

export async function uploadInChunks(
  url: string,
  bytes: Buffer,
  settings: Pick<GraphSettings, 'graphHost' | 'tlsCa' | 'tlsVerify'>,
  signal: AbortSignal,
): Promise<void> {
  const target = new URL(url);
  // What the mail says goes there: no answer of a server may lead it elsewhere.
  if (
    target.protocol !== 'https:' ||
    !(target.host === settings.graphHost || UPLOAD_HOSTS.test(target.hostname))
  ) {
    throw fail('server_protocol', 'The upload session leads to a foreign host', { host: target.host });
  }
  for (let start = 0; start < bytes.length; start += CHUNK) {
    const piece = bytes.subarray(start, start + CHUNK);
    const range = `bytes ${start}-${start + piece.length - 1}/${bytes.length}`;
    const status = await put(target, piece, range, settings, signal);
    if (status >= 300) throw fail('send_deferred', `An upload was answered with ${status}`, { status });
  }
}

async function put(
  url: URL,
  piece: Buffer,
  range: string,
  settings: Pick<GraphSettings, 'tlsCa' | 'tlsVerify'>,
  signal: AbortSignal,
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const headers = {
    'Content-Type': 'application/octet-stream',
    'Content-Length': piece.length,
    'Content-Range': range,
  };
  const request = https.request(
    url,
    { method: 'PUT', headers, signal, ...tlsOptions(settings) },
    (answer) => {
      answer.resume();
      answer.on('end', () => resolve(answer.statusCode ?? 0));
      answer.on('error', reject);
    },
  );
  request.setTimeout(ANSWER_MS, () => request.destroy(fail('stalled', 'An upload got no answer')));
  request.on('error', reject);
  request.end(piece);
  return await promise.catch((error: unknown) => {
    throw networkError(error, 'an upload');
  });
}
