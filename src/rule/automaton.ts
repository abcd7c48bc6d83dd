import { DROPPED, FOLD, SPACE, unitsOf } from './fold.ts';

/**
 * Finds which of many needles occur in a text, in one pass over it (Aho and Corasick, 1975).
 *
 * The text is folded while it is read, so no folded copy is made. The transition table is dense, one row a
 * state, for speed; to bound its memory only the beginning of each needle is in it, as much as the budget
 * allows, and the rest of a needle is compared at each place where its beginning ends. The alphabet is the
 * bytes of UTF-8 (of single UTF-16 units), so rows stay short even for needles in Chinese.
 */

/** Cells of the transition table, 4 MB: more would be slower again, because it no longer fits the caches. */
const TABLE_CELLS = 1024 * 1024;
/** A beginning longer than this finds nothing that a shorter one does not. */
const HEAD_BYTES = 64;

/** A set of needle numbers that is emptied in constant time. */
export class HitSet {
  readonly #stamps: Uint32Array;
  #epoch = 1;

  constructor(size: number) {
    this.#stamps = new Uint32Array(size);
  }

  clear(): void {
    this.#epoch++;
    if (this.#epoch === 0x1_0000_0000) {
      this.#stamps.fill(0);
      this.#epoch = 1;
    }
  }

  has(id: number): boolean {
    return this.#stamps[id] === this.#epoch;
  }

  /** Returns false when it was there already. */
  add(id: number): boolean {
    if (this.#stamps[id] === this.#epoch) return false;
    this.#stamps[id] = this.#epoch;
    return true;
  }
}

/** The UTF-8 bytes of UTF-16 units, as a binary string; surrogates are encoded one by one (CESU-8). */
function headBytes(needle: string, limit: number): { bytes: string; units: number } {
  let bytes = '';
  let units = 0;
  for (; units < needle.length; units++) {
    const unit = needle.charCodeAt(units);
    let encoded: string;
    if (unit < 0x80) encoded = String.fromCharCode(unit);
    else if (unit < 0x800) encoded = String.fromCharCode(0xc0 | (unit >> 6), 0x80 | (unit & 0x3f));
    else
      encoded = String.fromCharCode(0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f));
    if (bytes.length + encoded.length > limit) break;
    bytes += encoded;
  }
  return { bytes, units };
}

function commonPrefix(a: string, b: string): number {
  const end = Math.min(a.length, b.length);
  let at = 0;
  while (at < end && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  return at;
}

/** The longest head, in bytes, for which all heads together need at most `states` states. */
function affordableHead(heads: string[], states: number): number {
  const perDepth = new Uint32Array(HEAD_BYTES + 1);
  let previous = '';
  for (const head of [...heads].sort()) {
    for (let depth = commonPrefix(previous, head) + 1; depth <= head.length; depth++) perDepth[depth]!++;
    previous = head;
  }
  let sum = 1;
  for (let depth = 1; depth <= HEAD_BYTES; depth++) {
    sum += perDepth[depth]!;
    // Three bytes are one unit, the least that a head can be.
    if (sum > states && depth > 3) return depth - 1;
  }
  return HEAD_BYTES;
}

export class NeedleIndex {
  readonly #needles: readonly string[];
  /** Column of each byte; 0 for bytes in no needle. */
  readonly #column = new Uint8Array(256);
  /** Column of the folded form of each ASCII character: most of most mail, in one step. */
  readonly #ascii = new Uint8Array(0x80);
  readonly #shift: number;
  /** Row of the next state; negative (bitwise not) when needles end there or at one of its suffixes. */
  readonly #next: Int32Array;
  /** For each state the nearest proper suffix state where needles end; 0 for none. */
  readonly #suffix: Int32Array;
  /** Needles that end in a state: `#ending[#from[state] .. #from[state + 1]]`. */
  readonly #from: Int32Array;
  readonly #ending: Int32Array;
  /** How many units of each needle are in the table. */
  readonly #headUnits: Int32Array;
  /** States all of whose needles were found in this scan; their chains need no second visit. */
  readonly #done: HitSet;

  /** Builds the index. Needles are folded, distinct and not empty; needle numbers are their positions. */
  constructor(needles: readonly string[], tableCells = TABLE_CELLS) {
    this.#needles = needles;
    const heads = needles.map((needle) => headBytes(needle, HEAD_BYTES).bytes);
    let columns = 1;
    for (const head of heads) {
      for (let at = 0; at < head.length; at++) {
        const byte = head.charCodeAt(at);
        if (this.#column[byte] === 0) this.#column[byte] = columns++;
      }
    }
    this.#shift = Math.ceil(Math.log2(Math.max(2, columns)));
    const limit = affordableHead(heads, tableCells >> this.#shift);

    this.#headUnits = new Int32Array(needles.length);
    const cut = needles.map((needle, id) => {
      const { bytes, units } = headBytes(needle, limit);
      this.#headUnits[id] = units;
      return bytes;
    });
    const { next, states, endOf } = this.#buildTrie(cut);

    this.#from = new Int32Array(states + 1);
    for (const state of endOf) this.#from[state + 1]!++;
    for (let state = 0; state < states; state++) this.#from[state + 1]! += this.#from[state]!;
    this.#ending = new Int32Array(needles.length);
    const fill = this.#from.slice();
    for (const [id, state] of endOf.entries()) this.#ending[fill[state]!++] = id;

    this.#suffix = new Int32Array(states);
    this.#next = next.slice(0, states << this.#shift);
    this.#completeTable(states);
    this.#done = new HitSet(states);
    for (let unit = 0; unit < 0x80; unit++) this.#ascii[unit] = this.#column[FOLD[unit]!]!;
  }

  /**
   * Builds the tree of all heads, level by level, so that the states near the root, where nearly all of a text is
   * spent, lie next to each other in memory.
   */
  #buildTrie(heads: readonly string[]): { next: Int32Array; states: number; endOf: Int32Array } {
    let next = new Int32Array(1024 << this.#shift);
    let states = 1;
    const endOf = new Int32Array(heads.length);
    let growing = heads.map((_, id) => id);
    for (let depth = 0; growing.length > 0; depth++) {
      growing = growing.filter((id) => depth < heads[id]!.length);
      for (const id of growing) {
        const cell = (endOf[id]! << this.#shift) + this.#column[heads[id]!.charCodeAt(depth)]!;
        if (next[cell] === 0) {
          if ((states + 1) << this.#shift > next.length) {
            const larger = new Int32Array(next.length * 2);
            larger.set(next);
            next = larger;
          }
          next[cell] = states++;
        }
        endOf[id] = next[cell]!;
      }
    }
    return { next, states, endOf };
  }

  /**
   * Fills in where each state leads when a byte does not continue a needle. States are numbered by depth, so the
   * suffix of a state is always complete before the state is. After a space further space changes nothing, so
   * that runs of white space need no attention while scanning.
   */
  #completeTable(states: number): void {
    const next = this.#next;
    const width = 1 << this.#shift;
    const space = this.#column[SPACE]!;
    const fail = new Int32Array(states);
    const endsInSpace = new Uint8Array(states);
    for (let state = 0; state < states; state++) {
      const row = state << this.#shift;
      const failRow = fail[state]! << this.#shift;
      for (let column = 0; column < width; column++) {
        const child = next[row + column]!;
        const suffix = state === 0 ? 0 : next[failRow + column]!;
        if (child === 0) {
          next[row + column] = suffix;
          continue;
        }
        fail[child] = suffix;
        this.#suffix[child] = this.#endsHere(suffix) ? suffix : this.#suffix[suffix]!;
        if (column === space) endsInSpace[child] = 1;
      }
      if (endsInSpace[state] === 1) next[row + space] = state;
    }
    for (let cell = 0; cell < next.length; cell++) {
      const state = next[cell]!;
      const row = state << this.#shift;
      next[cell] = this.#endsHere(state) || this.#suffix[state] !== 0 ? ~row : row;
    }
  }

  #endsHere(state: number): boolean {
    return this.#from[state]! < this.#from[state + 1]!;
  }

  get size(): number {
    return this.#needles.length;
  }

  /** Adds to `hits` the number of every needle that occurs in `text`, and tells `onHit` of those added. */
  scan(text: string, hits: HitSet, onHit: (id: number) => void): void {
    if (this.#needles.length === 0) return;
    this.#done.clear();
    const next = this.#next;
    const column = this.#column;
    const ascii = this.#ascii;
    const units = unitsOf(text);
    let row = 0;
    for (let at = 0; at < units.length; at++) {
      let unit = units[at]!;
      if (unit < 0x80) {
        row = next[row + ascii[unit]!]!;
      } else {
        unit = FOLD[unit]!;
        if (unit === DROPPED) continue;
        // States inside a character are never negative: needles begin and end between characters.
        if (unit >= 0x800) {
          row = next[row + column[0xe0 | (unit >> 12)]!]!;
          row = next[row + column[0x80 | ((unit >> 6) & 0x3f)]!]!;
        } else if (unit >= 0x80) {
          row = next[row + column[0xc0 | (unit >> 6)]!]!;
        }
        row = next[row + column[unit < 0x80 ? unit : 0x80 | (unit & 0x3f)]!]!;
      }
      if (row < 0) {
        row = ~row;
        this.#report(row >> this.#shift, units, at + 1, hits, onHit);
      }
    }
  }

  #report(state: number, units: Uint16Array, at: number, hits: HitSet, onHit: (id: number) => void): void {
    let complete = true;
    for (let end = state; end !== 0; end = this.#suffix[end]!) {
      if (this.#done.has(end)) break;
      for (let index = this.#from[end]!; index < this.#from[end + 1]!; index++) {
        const id = this.#ending[index]!;
        if (hits.has(id)) continue;
        const needle = this.#needles[id]!;
        const head = this.#headUnits[id]!;
        if (head < needle.length && !continues(units, at, needle, head)) {
          complete = false;
          continue;
        }
        hits.add(id);
        onHit(id);
      }
    }
    if (complete) this.#done.add(state);
  }
}

/** True when the folded text goes on at `at` with the rest of the needle, whose beginning ends there. */
function continues(units: Uint16Array, at: number, needle: string, from: number): boolean {
  let wanted = from;
  let spaced = needle.charCodeAt(from - 1) === SPACE;
  for (let index = at; index < units.length; index++) {
    const unit = FOLD[units[index]!]!;
    if (unit === DROPPED) continue;
    if (unit === SPACE) {
      if (spaced) continue;
      spaced = true;
    } else {
      spaced = false;
    }
    if (unit !== needle.charCodeAt(wanted)) return false;
    wanted++;
    if (wanted === needle.length) return true;
  }
  return false;
}
