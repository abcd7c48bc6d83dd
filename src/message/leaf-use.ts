import type { Limits } from '../limits.ts';
import { sanitiseFilename, UniqueNames } from './filename.ts';
import type { Leaf } from './message.ts';
import type { ScannedLeaf } from './scanned-leaf.ts';

/** What becomes of a leaf. */
export interface LeafUse {
  leaf: ScannedLeaf;
  use: Leaf['use'];
  reason: string | null;
}

/** More body leaves than this are no letter; each costs the parser a stream. */
const MAX_BODIES = 100;

/** Other forms of a text that is there anyway; no client shows them as attachments. */
const OTHER_FORMS = new Set(['text/x-amp-html', 'text/enriched', 'text/richtext', 'text/watch-html']);

/**
 * Decides for every leaf whether it is body, attachment or skipped, and why. Nothing falls through: the result
 * has one entry for each leaf, in order.
 */
export function useLeaves(leaves: ScannedLeaf[], limits: Limits): LeafUse[] {
  const seen = { bodies: 0, plain: 0, html: 0 };
  return leaves.map((leaf) => {
    if (leaf.contentType === 'message/external-body') {
      return skip(leaf, 'The content lies elsewhere and is not fetched.');
    }
    if (
      OTHER_FORMS.has(leaf.contentType) &&
      leaf.parentType === 'multipart/alternative' &&
      leaf.rawFilename === null
    ) {
      return skip(leaf, 'Another form of the same text.');
    }
    if (!isBody(leaf, seen)) return { leaf, use: 'attachment', reason: null };
    const isHtml = leaf.contentType === 'text/html';
    const used = isHtml ? seen.html : seen.plain;
    if (seen.bodies >= MAX_BODIES || used >= (isHtml ? limits.bodyHtmlChars : limits.bodyTextChars)) {
      return skip(leaf, 'The text before it fills the limit.');
    }
    seen.bodies++;
    if (isHtml) seen.html += leaf.size;
    else seen.plain += leaf.size;
    return { leaf, use: 'body', reason: leaf.cut ? 'Only the beginning is kept as text.' : null };
  });
}

/**
 * Text that is meant to be read. A named text without `attachment` is the letter itself when nothing of its kind
 * came before it, as some monitoring systems send; later ones are files.
 */
function isBody(leaf: ScannedLeaf, seen: { plain: number; html: number }): boolean {
  if (leaf.contentType !== 'text/plain' && leaf.contentType !== 'text/html') return false;
  if (leaf.disposition === 'attachment') return false;
  return leaf.rawFilename === null || seen.plain + seen.html === 0;
}

function skip(leaf: ScannedLeaf, reason: string): LeafUse {
  return { leaf, use: 'skipped', reason };
}

/**
 * The file names of all leaves, safe and unique within the message. An attached message without a name is called
 * after its subject; a name of which nothing safe is left becomes `unnamed`; a leaf that never had one stays
 * without.
 */
export function nameLeaves(
  uses: LeafUse[],
  subjects: ReadonlyMap<ScannedLeaf, string>,
  maxLength: number,
): (string | null)[] {
  const unique = new UniqueNames(maxLength);
  return uses.map(({ leaf }) => {
    const name = leafName(leaf, subjects.get(leaf), maxLength);
    return name === null ? null : unique.take(name);
  });
}

function leafName(leaf: ScannedLeaf, subject: string | undefined, maxLength: number): string | null {
  if (leaf.rawFilename !== null && leaf.rawFilename !== '') {
    return sanitiseFilename(leaf.rawFilename, maxLength) ?? 'unnamed';
  }
  if (subject === undefined) return null;
  // A subject is no path: its slashes separate words.
  const stem = sanitiseFilename(subject.replace(/[/\\]/g, '-'), maxLength - '.eml'.length) ?? 'message';
  return `${stem}.eml`;
}
