import type { OpenLeaf } from './scanned-leaf.ts';

/** A multipart that is open at the current position of a scan. */
export interface OpenMultipart {
  type: string;
  /** Its part number; empty for the message itself, whose parts are numbered `1`, `2`, ... */
  part: string;
  boundary: string;
  children: number;
  /** What becomes a leaf when no part ever follows. */
  preamble: OpenLeaf;
}

/** A delimiter line: the level of the multipart it belongs to, and whether it is the closing one. */
export interface Delimiter {
  level: number;
  closes: boolean;
}

interface Entry extends OpenMultipart {
  /** The level further out that has the same boundary; it counts again when this one is closed. */
  shadowed: number | undefined;
}

/** The multiparts that are open, the innermost last. Finds the owner of a delimiter in one look-up. */
export class OpenMultiparts {
  readonly #stack: Entry[] = [];
  readonly #levels = new Map<string, number>();

  get depth(): number {
    return this.#stack.length;
  }

  get innermost(): OpenMultipart | null {
    return this.#stack.at(-1) ?? null;
  }

  at(level: number): OpenMultipart {
    return this.#stack[level]!;
  }

  open(multipart: OpenMultipart): void {
    this.#stack.push({ ...multipart, shadowed: this.#levels.get(multipart.boundary) });
    this.#levels.set(multipart.boundary, this.#stack.length - 1);
  }

  /** Takes the innermost multipart off. */
  close(): OpenMultipart {
    const entry = this.#stack.pop()!;
    if (entry.shadowed === undefined) this.#levels.delete(entry.boundary);
    else this.#levels.set(entry.boundary, entry.shadowed);
    return entry;
  }

  /** What a line means that starts with two dashes; `text` is the rest of it, without trailing blanks. */
  match(text: string): Delimiter | null {
    // A boundary may itself end in dashes, so the whole text is tried first.
    const level = this.#levels.get(text);
    if (level !== undefined) return { level, closes: false };
    if (!text.endsWith('--')) return null;
    const closed = this.#levels.get(text.slice(0, -2));
    return closed === undefined ? null : { level: closed, closes: true };
  }
}
