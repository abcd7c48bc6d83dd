/** Names that Windows keeps for devices, with any extension. */
const RESERVED = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i;

/** Marks that turn the reading direction: `a<RLO>gnp.exe` shows as `aexe.png`. Also invisible ones. */
const INVISIBLE = /[\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

const CONTROLS = /\p{Cc}/gu;

/**
 * A file name that is safe on every file system and shows as what it is: last path segment, no control
 * or direction characters, no reserved names, at most `maxLength` UTF-8 bytes with the extension kept.
 * Null when nothing is left.
 */
export function sanitiseFilename(raw: string, maxLength: number): string | null {
  const bounded = raw.slice(-4096);
  const segment = bounded.slice(Math.max(bounded.lastIndexOf('/'), bounded.lastIndexOf('\\')) + 1);
  let name = segment.toWellFormed().normalize('NFC').replace(INVISIBLE, '').replace(CONTROLS, '');
  name = name.replace(/[<>:"|?*]/g, '_').replace(/\s+/g, ' ');
  name = trimDotsAndBlanks(name);
  if (name === '') return null;
  if (RESERVED.test(name)) name = `_${name}`;
  return shorten(name, maxLength);
}

/** Gives out each name once: a second `a.txt` becomes `a (2).txt`. Names that differ by case only are equal. */
export class UniqueNames {
  readonly #taken = new Set<string>();
  readonly #next = new Map<string, number>();
  readonly #maxLength: number;

  constructor(maxLength: number) {
    this.#maxLength = maxLength;
  }

  take(name: string): string {
    const key = name.toLowerCase();
    let candidate = name;
    for (let number = this.#next.get(key) ?? 2; this.#taken.has(candidate.toLowerCase()); number++) {
      const { stem, extension } = splitExtension(name);
      const suffix = ` (${number})${extension}`;
      candidate = cutBytes(stem, this.#maxLength - Buffer.byteLength(suffix)) + suffix;
      this.#next.set(key, number + 1);
    }
    this.#taken.add(candidate.toLowerCase());
    return candidate;
  }
}

function trimDotsAndBlanks(name: string): string {
  // Leading dots hide a file, trailing dots and blanks vanish on Windows.
  let start = 0;
  let end = name.length;
  while (start < end && (name[start] === '.' || name[start] === ' ')) start++;
  while (end > start && (name[end - 1] === '.' || name[end - 1] === ' ')) end--;
  return name.slice(start, end);
}

function shorten(name: string, maxLength: number): string {
  if (Buffer.byteLength(name) <= maxLength) return name;
  const { stem, extension } = splitExtension(name);
  return cutBytes(stem, maxLength - Buffer.byteLength(extension)) + extension;
}

/** An extension is short; a longer tail belongs to the name. */
function splitExtension(name: string): { stem: string; extension: string } {
  const dot = name.lastIndexOf('.');
  if (dot <= 0 || name.length - dot > 20) return { stem: name, extension: '' };
  return { stem: name.slice(0, dot), extension: name.slice(dot) };
}

/** The longest beginning of a text of at most `bytes` bytes in UTF-8 that splits no character. */
function cutBytes(text: string, bytes: number): string {
  const encoded = Buffer.from(text);
  let end = Math.min(encoded.length, Math.max(0, bytes));
  while (end > 0 && end < encoded.length && (encoded[end]! & 0xc0) === 0x80) end--;
  return encoded.toString('utf8', 0, end);
}
