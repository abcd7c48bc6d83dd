/**
 * Takes the dot-stuffing off a multi-line answer and finds its end (RFC 1939 section 3), however the network cuts
 * it into pieces. Every other byte passes as it is. Lines end with CRLF and nothing else: a bare LF is content.
 */

const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;
const LONE_CR = Buffer.from('\r');

/** What comes next: `dot` and `dotCr` hold back a dot that may be stuffing, content of a line or the end. */
type Place = 'lineStart' | 'inLine' | 'afterCr' | 'dot' | 'dotCr';

export class DotDecoder {
  #place: Place = 'lineStart';
  #ended = false;

  /** True when the line that consists of a dot alone has come. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Decodes the next piece of the wire. `rest` is what follows the end, and empty before it; both are views of
   * `piece` where they can be.
   */
  push(piece: Buffer): { content: Buffer[]; rest: Buffer } {
    const content: Buffer[] = [];
    let from = 0;
    let at = 0;
    while (at < piece.length) {
      if (this.#place === 'inLine' || this.#place === 'afterCr' || this.#place === 'lineStart') {
        at = this.#seek(piece, at);
        if (at < 0) break;
        // Everything before the dot is content; the dot itself waits for what follows it.
        content.push(piece.subarray(from, at - 1));
        from = at;
        continue;
      }
      const byte = piece[at] as number;
      if (this.#place === 'dot') {
        if (byte === CR) {
          this.#place = 'dotCr';
          at += 1;
        } else this.#place = 'inLine';
        from = at;
        continue;
      }
      if (byte === LF) {
        this.#ended = true;
        return { content: content.filter(isFilled), rest: piece.subarray(at + 1) };
      }
      // A stuffed line whose content begins with CR.
      content.push(LONE_CR);
      this.#place = 'afterCr';
      from = at;
    }
    if (this.#place !== 'dot' && this.#place !== 'dotCr') content.push(piece.subarray(from));
    return { content: content.filter(isFilled), rest: piece.subarray(piece.length) };
  }

  /** Goes on to the byte after the next dot at the start of a line; -1 when there is none in this piece. */
  #seek(piece: Buffer, start: number): number {
    if (this.#place === 'lineStart') {
      if (piece[start] === DOT) {
        this.#place = 'dot';
        return start + 1;
      }
    } else if (this.#place === 'afterCr' && piece[start] === LF) {
      this.#place = 'lineStart';
      return start + 1 < piece.length ? this.#seek(piece, start + 1) : -1;
    }
    // Only a dot right after a line end matters, so the search is for that and not for every line end.
    for (let at = start; ; at += 1) {
      at = piece.indexOf('\n.', at, 'latin1');
      if (at < 0) break;
      if (at > start && piece[at - 1] === CR) {
        this.#place = 'dot';
        return at + 2;
      }
    }
    this.#place = placeAfter(piece, start);
    return -1;
  }
}

function placeAfter(piece: Buffer, start: number): Place {
  const last = piece[piece.length - 1];
  if (last === CR) return 'afterCr';
  const isLineEnd = last === LF && piece.length - start >= 2 && piece[piece.length - 2] === CR;
  return isLineEnd ? 'lineStart' : 'inLine';
}

function isFilled(bytes: Buffer): boolean {
  return bytes.length > 0;
}
