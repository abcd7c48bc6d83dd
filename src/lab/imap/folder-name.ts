/** Folder names on the wire: modified UTF-7 (RFC 3501 section 5.1.3). */

export function encodeFolderName(name: string): string {
  return name.replaceAll('&', '&-').replace(/[^\x20-\x7e]+/g, (run) => `&${encodeRun(run)}-`);
}

export function decodeFolderName(wire: string): string {
  return wire.replace(/&([A-Za-z0-9+,]*)-/g, (_whole, run: string) => (run === '' ? '&' : decodeRun(run)));
}

/** INBOX is the same folder in any spelling (RFC 9051 section 5.1). */
export function normalFolderName(name: string): string {
  return name.toUpperCase() === 'INBOX' ? 'INBOX' : name;
}

/** Matches a LIST pattern: `*` is anything, `%` anything but the hierarchy delimiter (RFC 9051 section 6.3.9). */
export function matchesPattern(name: string, pattern: string, delimiter: string): boolean {
  // One row of "which prefixes of the pattern fit so far" for each character: linear memory, no recursion.
  let fits = new Set<number>([0]);
  const spread = (positions: Set<number>): Set<number> => {
    for (const position of positions) {
      if (pattern[position] === '*' || pattern[position] === '%') positions.add(position + 1);
    }
    return positions;
  };
  spread(fits);
  for (const character of name) {
    const next = new Set<number>();
    for (const position of fits) {
      const expected = pattern[position];
      if (expected === '*' || (expected === '%' && character !== delimiter)) next.add(position);
      else if (expected === character) next.add(position + 1);
    }
    fits = spread(next);
  }
  return fits.has(pattern.length);
}

function encodeRun(run: string): string {
  const bytes = Buffer.from(run, 'utf16le').swap16();
  return bytes.toString('base64').replaceAll('/', ',').replace(/=+$/, '');
}

function decodeRun(run: string): string {
  const bytes = Buffer.from(run.replaceAll(',', '/'), 'base64');
  const even = bytes.subarray(0, bytes.length - (bytes.length % 2));
  return Buffer.from(even).swap16().toString('utf16le');
}
