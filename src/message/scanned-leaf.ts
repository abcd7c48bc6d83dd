import { decodePlain } from './encoded-words.ts';
import { parseStructuredValue, type StructuredValue, textParameter } from './parameters.ts';
import { type DecodedSize, type TransferEncoding, transferEncoding } from './transfer-encoding.ts';

/** A header field as it came: unfolded, undecoded, one character a byte. */
export interface RawField {
  name: string;
  value: string;
}

/** A leaf of the MIME tree as the scan found it. */
export interface ScannedLeaf {
  /** Position as in IMAP (RFC 3501 section 6.4.5). */
  part: string;
  contentType: string;
  /** The type of the multipart around it; null for a message that is one part. */
  parentType: string | null;
  charset: string | null;
  /** `format=flowed` and `delsp=yes` (RFC 3676). */
  flowed: boolean;
  delSp: boolean;
  disposition: 'inline' | 'attachment' | null;
  /** As the sender wrote it, decoded; not safe to use. */
  rawFilename: string | null;
  contentId: string | null;
  encoding: TransferEncoding;
  /** Where the encoded content lies in the message: first byte, and the byte after the last. */
  start: number;
  end: number;
  /** Decoded size in bytes. */
  size: number;
  /** The encoded content as far as it was asked for. */
  kept: Buffer[];
  /** True when `kept` ends before the part does. */
  cut: boolean;
}

/** A leaf whose content passes by. */
export interface OpenLeaf {
  leaf: ScannedLeaf;
  size: DecodedSize;
  /** How many more bytes are kept. */
  keep: number;
}

/** RFC 2046 allows 70 characters; more is taken, without end is not. */
export const MAX_BOUNDARY = 998;

function fieldValue(fields: RawField[], lowerName: string): string | null {
  for (const field of fields) {
    if (field.name.length === lowerName.length && field.name.toLowerCase() === lowerName) return field.value;
  }
  return null;
}

/** The boundary that a multipart header names; null when it names none that can be used. */
export function boundaryOf(fields: RawField[]): string | null {
  const header = fieldValue(fields, 'content-type');
  const boundary =
    header === null ? '' : (parseStructuredValue(header).params.get('boundary') ?? '').trimEnd();
  return boundary === '' || boundary.length > MAX_BOUNDARY ? null : boundary;
}

const NO_VALUE: StructuredValue = { value: '', params: new Map() };

/** What the header of a part says about it. Position and size are filled in by the scan. */
export function describeLeaf(fields: RawField[], part: string, parentType: string | null): ScannedLeaf {
  const typeHeader = fieldValue(fields, 'content-type');
  const type = typeHeader === null ? NO_VALUE : parseStructuredValue(typeHeader);
  const dispositionHeader = fieldValue(fields, 'content-disposition');
  const disposition = dispositionHeader === null ? NO_VALUE : parseStructuredValue(dispositionHeader);
  const contentId = fieldValue(fields, 'content-id');
  const contentType = typeOf(type.value, parentType);
  return {
    part,
    contentType,
    parentType,
    charset: type.params.get('charset')?.trim() || null,
    flowed: contentType === 'text/plain' && type.params.get('format')?.toLowerCase() === 'flowed',
    delSp: type.params.get('delsp')?.toLowerCase() === 'yes',
    disposition: dispositionOf(disposition.value),
    rawFilename: textParameter(disposition.params, 'filename') ?? textParameter(type.params, 'name'),
    contentId: contentId === null ? null : trimAngles(decodePlain(contentId)) || null,
    encoding: transferEncoding(fieldValue(fields, 'content-transfer-encoding')?.trim() ?? null),
    start: 0,
    end: 0,
    size: 0,
    kept: [],
    cut: false,
  };
}

/** The type that a Content-Type value means, in a part of this kind. */
export function typeOf(value: string, parentType: string | null): string {
  // Inside multipart/digest a part without a type is a message (RFC 2046 section 5.1.5).
  if (value === '') return parentType === 'multipart/digest' ? 'message/rfc822' : 'text/plain';
  if (value === 'text' || value === 'plain') return 'text/plain';
  if (value === 'html') return 'text/html';
  // A type that is not a token/token pair says nothing (RFC 2045 section 5.2 lets readers choose).
  return /^[!-~]{1,127}\/[!-~]{1,127}$/.test(value) ? value : 'application/octet-stream';
}

/** Unknown dispositions count as attachment (RFC 2183 section 2.8). */
function dispositionOf(value: string): 'inline' | 'attachment' | null {
  if (value === '') return null;
  return value === 'inline' ? 'inline' : 'attachment';
}

function trimAngles(value: string): string {
  const text = value.trim();
  return text.startsWith('<') && text.endsWith('>') ? text.slice(1, -1).trim() : text;
}
