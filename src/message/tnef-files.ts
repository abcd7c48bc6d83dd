/** Lists the files in a TNEF container as leaves of the message. */
import type { Limits } from '../limits.ts';
import type { LeafUse } from './leaf-use.ts';
import { type ScannedLeaf, typeOf } from './scanned-leaf.ts';
import { readTnef, type TnefFile } from './tnef.ts';
import { decodeTransfer } from './transfer-encoding.ts';

const TYPES = new Set(['application/ms-tnef', 'application/vnd.ms-tnef']);

export function isTnef({ contentType, rawFilename }: ScannedLeaf): boolean {
  return TYPES.has(contentType) || rawFilename?.toLowerCase() === 'winmail.dat';
}

/** The same leaves; each container stays an attachment and is followed by the files in it, numbered below it. */
export function withTnefFiles(uses: LeafUse[], warnings: string[], limits: Limits): LeafUse[] {
  return uses.flatMap((use) => {
    const { leaf } = use;
    if (use.use !== 'attachment' || !isTnef(leaf)) return [use];
    const bytes = decodeTransfer(Buffer.concat(leaf.kept), leaf.encoding);
    const content = readTnef(bytes, limits.mimeParts - uses.length);
    if (content === null || !content.complete)
      warnings.push(`Part ${leaf.part}: the TNEF container could not be read to its end.`);
    return [use, ...(content?.files ?? []).map((file, index) => asLeaf(leaf, file, index + 1))];
  });
}

function asLeaf(container: ScannedLeaf, file: TnefFile, number: number): LeafUse {
  const leaf: ScannedLeaf = {
    part: `${container.part}.${number}`,
    contentType: typeOf(file.contentType?.toLowerCase() || 'application/octet-stream', null),
    parentType: container.contentType,
    charset: null,
    flowed: false,
    delSp: false,
    disposition: 'attachment',
    rawFilename: file.name,
    contentId: null,
    encoding: 'identity',
    start: container.start,
    end: container.end,
    size: file.size,
    kept: [],
    cut: true,
  };
  return { leaf, use: 'attachment', reason: `Inside part ${container.part}.` };
}
