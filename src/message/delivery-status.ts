import { decodeHeaderText } from './encoded-words.ts';
import type { DeliveryStatus } from './message.ts';
import type { RawField } from './scanned-leaf.ts';

/** Longest text kept of one field of a report. */
const MAX_FIELD = 2_000;

/**
 * Reads a message/delivery-status part (RFC 3464 section 2): groups of fields between empty lines, the first
 * about the message, the others one for each recipient. Mailers mix them up, so every group that says something
 * about a recipient counts as one.
 */
export function parseDeliveryStatus(content: Buffer, maxRecipients: number): DeliveryStatus['recipients'] {
  const recipients: DeliveryStatus['recipients'] = [];
  for (const group of fieldGroups(content)) {
    const finalRecipient = addressOf(group.get('final-recipient') ?? group.get('original-recipient') ?? '');
    const action = textOf(group.get('action')).toLowerCase();
    const status = statusOf(textOf(group.get('status')));
    if (finalRecipient === '' && action === '' && status === '') continue;
    if (recipients.length === maxRecipients) break;
    recipients.push({
      address: finalRecipient,
      action,
      status,
      diagnostic: withoutType(textOf(group.get('diagnostic-code'))),
    });
  }
  return recipients;
}

/** The header fields at the start of some bytes, such as a returned message: unfolded, up to the empty line. */
export function headerFields(content: Buffer): RawField[] {
  const fields: RawField[] = [];
  for (const line of content.toString('latin1').split(/\r\n|\n|\r/)) {
    if (line === '') {
      if (fields.length > 0) break;
      continue;
    }
    const last = fields.at(-1);
    if ((line.startsWith(' ') || line.startsWith('\t')) && last !== undefined) {
      last.value += line;
      continue;
    }
    const colon = line.indexOf(':');
    if (colon > 0) fields.push({ name: line.slice(0, colon).trim(), value: line.slice(colon + 1) });
  }
  return fields;
}

function* fieldGroups(content: Buffer): Generator<Map<string, string>> {
  let group = new Map<string, string>();
  let last = '';
  for (const line of content.toString('latin1').split(/\r\n|\n|\r/)) {
    if (line.trim() === '') {
      if (group.size > 0) yield group;
      group = new Map();
      last = '';
    } else if ((line.startsWith(' ') || line.startsWith('\t')) && last !== '') {
      group.set(last, `${group.get(last)} ${line.trim()}`);
    } else {
      const colon = line.indexOf(':');
      if (colon <= 0) continue;
      last = line.slice(0, colon).trim().toLowerCase();
      // A second recipient without an empty line between them.
      if (last === 'final-recipient' && group.has(last)) {
        yield group;
        group = new Map();
      }
      if (!group.has(last)) group.set(last, line.slice(colon + 1).trim());
    }
  }
  if (group.size > 0) yield group;
}

/** `rfc822; alice@example.com` */
function addressOf(value: string): string {
  return withoutType(textOf(value)).replace(/[<>\s]/g, '');
}

/** The status code of RFC 3463, without the text that some add. */
function statusOf(value: string): string {
  return /^\d\.\d{1,3}\.\d{1,3}/.exec(value)?.[0] ?? '';
}

function withoutType(value: string): string {
  const semicolon = value.indexOf(';');
  return semicolon >= 0 && semicolon < 40 ? value.slice(semicolon + 1).trim() : value;
}

function textOf(value: string | undefined): string {
  return value === undefined ? '' : decodeHeaderText(value.slice(0, MAX_FIELD));
}
