/** Makes RFC 5322 bytes of the MIME tree that Gmail gives with format=full (halo-api.md 2.2). */
import { isUtf8 } from 'node:buffer';
import { decodeBase64 } from '../http/base64.ts';
import type { MessagePartItem } from './mail-fields.ts';
import { headerLines, leafLines, multipart } from './mime-message.ts';

/** The message, and how many contents were not in the tree. */
export function buildFromPayload(payload: MessagePartItem): { bytes: Buffer; missing: number } {
  const count = { missing: 0 };
  const headers = (payload.headers ?? []).map(({ name, value }) => ({
    field: name ?? null,
    value: value ?? null,
  }));
  const lines = [...headerLines({ headers }), 'MIME-Version: 1.0', ...partLines(payload, count, 'payload')];
  return { bytes: Buffer.from(`${lines.join('\r\n')}\r\n`, 'utf8'), missing: count.missing };
}

function partLines(part: MessagePartItem, count: { missing: number }, field: string): string[] {
  const type = (part.mimeType ?? '').trim().toLowerCase();
  const parts = part.parts ?? [];
  if (parts.length > 0) {
    const subtype = /^multipart\/([\w.+-]+)$/.exec(type)?.[1] ?? 'mixed';
    return multipart(
      subtype,
      parts.map((inner, index) => partLines(inner, count, `${field}.parts.${index}`)),
    );
  }
  const { data, attachmentId } = part.body ?? {};
  if (!data && attachmentId) count.missing += 1;
  const header = (name: string): string =>
    part.headers?.find((one) => one.name?.toLowerCase() === name)?.value ?? '';
  const bytes = data ? decodeBase64(data, `${field}.body.data`) : Buffer.alloc(0);
  const declared = /charset\s*=\s*"?([\w.:+-]+)/i.exec(header('content-type'))?.[1];
  // Gmail gives most text as UTF-8, whatever the field says.
  const charset = isUtf8(bytes) ? 'utf-8' : declared;
  const head = {
    type: `${type || 'text/plain'}${type.startsWith('text/') && charset !== undefined ? `; charset=${charset}` : ''}`,
    name: part.filename ?? '',
    disposition: /^\s*(inline|attachment)/i.exec(header('content-disposition'))?.[1] ?? '',
    contentId: header('content-id'),
  };
  return leafLines(head, bytes);
}
