import { decodeEntities } from './html-entities.ts';

/** Elements whose content is not text. */
const HIDDEN = new Set(['script', 'style', 'title', 'template', 'noscript', 'object', 'svg', 'math', 'xml']);

/** Elements that start and end a line. */
const BLOCKS = new Set([
  ...[
    'address',
    'article',
    'aside',
    'body',
    'center',
    'dd',
    'div',
    'dl',
    'dt',
    'fieldset',
    'figure',
    'footer',
  ],
  ...[
    'form',
    'header',
    'hr',
    'li',
    'main',
    'nav',
    'ol',
    'section',
    'table',
    'tbody',
    'tfoot',
    'thead',
    'tr',
    'ul',
  ],
]);

/** Blocks with an empty line around them. */
const PARAGRAPHS = new Set(['p', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'pre', 'blockquote']);

/** Deeper quoting is shown as this deep. */
const MAX_QUOTE_DEPTH = 10;

const BULLET = '* ';

const SPACE = 0x20;

/**
 * The readable text of an HTML part, for rules and search; quotes (`blockquote`) get `> ` before their lines, as
 * in plain mail. A scanner and no parser: it builds no tree, so depth costs nothing, and takes time linear to
 * the length. That is why html-to-text is not used: its parser is quadratic in the nesting depth.
 */
export function htmlToText(html: string): string {
  return new TextWriter(html).run();
}

class TextWriter {
  readonly #html: string;
  readonly #out: string[] = [];
  #line = '';
  #afterBlank = false;
  #pendingSpace = false;
  #quoteDepth = 0;
  #preDepth = 0;
  /** Characters that may still be read to find the end of quoted attributes; keeps the whole linear. */
  #quoteBudget: number;

  constructor(html: string) {
    this.#html = html;
    this.#quoteBudget = html.length * 2;
  }

  run(): string {
    const html = this.#html;
    let position = 0;
    while (position < html.length) {
      const open = html.indexOf('<', position);
      if (open < 0) {
        this.#text(html.slice(position));
        break;
      }
      if (open > position) this.#text(html.slice(position, open));
      position = this.#markup(open);
    }
    this.#endLine();
    return this.#out.join('\n').trim();
  }

  /** Handles what starts with `<`; the position after it. */
  #markup(open: number): number {
    const html = this.#html;
    if (html.startsWith('<!--', open)) return after(html, '-->', open + 4);
    const next = html.charCodeAt(open + 1);
    if (next === 0x21 || next === 0x3f) return after(html, '>', open + 2);
    const closing = next === 0x2f;
    const nameStart = open + (closing ? 2 : 1);
    let nameEnd = nameStart;
    while (nameEnd < html.length && nameEnd - nameStart < 32 && isNameChar(html.charCodeAt(nameEnd)))
      nameEnd++;
    if (nameEnd === nameStart || !isLetter(html.charCodeAt(nameStart))) {
      this.#text('<');
      return open + 1;
    }
    const name = html.slice(nameStart, nameEnd).toLowerCase();
    const end = this.#endOfTag(nameEnd);
    if (!closing && HIDDEN.has(name)) {
      const selfClosed = html.charCodeAt(end - 2) === 0x2f;
      return selfClosed ? end : afterClosing(html, name, end);
    }
    this.#element(name, closing);
    return end;
  }

  #element(name: string, closing: boolean): void {
    if (name === 'br') {
      this.#breakLine();
    } else if (name === 'td' || name === 'th') {
      if (this.#line !== '' && this.#line !== BULLET) this.#pendingSpace = true;
    } else if (BLOCKS.has(name)) {
      this.#endLine();
      if (name === 'li' && !closing) this.#line = BULLET;
      if (name === 'hr' && !closing) {
        this.#line = '-----';
        this.#endLine();
      }
    } else if (PARAGRAPHS.has(name)) {
      this.#endLine();
      if (name === 'blockquote' && closing) this.#quoteDepth = Math.max(0, this.#quoteDepth - 1);
      this.#blankLine();
      if (name === 'blockquote' && !closing) this.#quoteDepth++;
      if (name === 'pre') this.#preDepth = Math.max(0, this.#preDepth + (closing ? -1 : 1));
    }
  }

  #endOfTag(from: number): number {
    const html = this.#html;
    let quote = 0;
    for (let index = from; index < html.length && this.#quoteBudget > 0; index++) {
      this.#quoteBudget--;
      const code = html.charCodeAt(index);
      if (quote !== 0) {
        if (code === quote) quote = 0;
      } else if (code === 0x22 || code === 0x27) {
        // A quote counts only where a value starts; elsewhere it is a typing error.
        if (html.charCodeAt(index - 1) === 0x3d || html.charCodeAt(index - 1) === SPACE) quote = code;
      } else if (code === 0x3e) {
        return index + 1;
      }
    }
    return after(html, '>', from);
  }

  #text(raw: string): void {
    const text = decodeEntities(raw);
    if (this.#preDepth > 0) {
      const lines = text.split('\n');
      for (const [index, line] of lines.entries()) {
        if (index > 0) this.#breakLine();
        this.#line += line;
      }
      return;
    }
    let from = 0;
    while (from < text.length) {
      let start = from;
      while (start < text.length && isBlank(text.charCodeAt(start))) start++;
      if (start > from && this.#line !== '' && this.#line !== BULLET) this.#pendingSpace = true;
      let end = start;
      while (end < text.length && !isBlank(text.charCodeAt(end))) end++;
      if (end > start) {
        if (this.#pendingSpace) this.#line += ' ';
        this.#pendingSpace = false;
        this.#line += text.slice(start, end);
      }
      from = end;
    }
  }

  /** Ends the line if it has text. */
  #endLine(): void {
    if (this.#line.trim() !== '' && this.#line !== BULLET) this.#breakLine();
    this.#line = '';
    this.#pendingSpace = false;
  }

  #breakLine(): void {
    const line = this.#line.trimEnd();
    this.#line = '';
    this.#pendingSpace = false;
    if (line === '') {
      this.#blankLine();
      return;
    }
    this.#afterBlank = false;
    this.#out.push(this.#prefix() + line);
  }

  #blankLine(): void {
    // One empty line says as much as ten, and mail layouts are full of them.
    if (this.#out.length === 0) return;
    // Where a quote ends, the empty line belongs to what comes after it.
    if (this.#afterBlank) this.#out.pop();
    this.#afterBlank = true;
    this.#out.push(this.#prefix().trimEnd());
  }

  #prefix(): string {
    return '> '.repeat(Math.min(this.#quoteDepth, MAX_QUOTE_DEPTH));
  }
}

function after(text: string, mark: string, from: number): number {
  const index = text.indexOf(mark, from);
  return index < 0 ? text.length : index + mark.length;
}

/** The position after `</name ...>`; the end of the text when the element is never closed, as in browsers. */
function afterClosing(html: string, name: string, from: number): number {
  for (let index = html.indexOf('</', from); index >= 0; index = html.indexOf('</', index + 2)) {
    const end = index + 2 + name.length;
    if (html.slice(index + 2, end).toLowerCase() === name && !isNameChar(html.charCodeAt(end))) {
      return after(html, '>', end);
    }
  }
  return html.length;
}

function isLetter(code: number): boolean {
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}

function isNameChar(code: number): boolean {
  return isLetter(code) || (code >= 0x30 && code <= 0x39) || code === 0x3a || code === 0x2d;
}

function isBlank(code: number): boolean {
  return code === SPACE || (code >= 0x09 && code <= 0x0d) || code === 0xa0;
}
