/**
 * Text as PostgreSQL takes it. `text` and `jsonb` refuse U+0000, and a lone surrogate has no UTF-8 form
 * (RFC 3629 section 3). Both occur in hostile and in merely broken mail.
 */

/** The text without U+0000, lone surrogates replaced by U+FFFD, cut to `maxChars` UTF-16 units. */
export function toStorableText(text: string, maxChars: number): string {
  let result = text;
  if (result.length > maxChars) {
    // A pair that the cut would split is left out whole.
    const splitsPair = isHighSurrogate(result, maxChars - 1) && isLowSurrogate(result, maxChars);
    result = result.slice(0, splitsPair ? maxChars - 1 : maxChars);
  }
  if (result.includes('\0')) result = result.replaceAll('\0', '');
  return result.isWellFormed() ? result : result.toWellFormed();
}

/** True when PostgreSQL takes the text as it is. */
export function isStorableText(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}

/**
 * A copy of a JSON-like value in which every string and every key is storable. Walks with its own stack, so a
 * deep value cannot exhaust the call stack. Keys such as `__proto__` stay plain data.
 */
export function toStorableJson<T>(value: T, maxChars: number): T {
  const root: Record<string, unknown> = {};
  const work: Copy[] = [];
  copyInto(root, 'value', value, maxChars, work);
  for (let item = work.pop(); item !== undefined; item = work.pop()) {
    const { from, into } = item;
    if (Array.isArray(from)) {
      for (let i = 0; i < from.length; i++) copyInto(into, i, from[i], maxChars, work);
    } else {
      for (const name of Object.keys(from)) {
        copyInto(
          into,
          toStorableText(name, maxChars),
          (from as Record<string, unknown>)[name],
          maxChars,
          work,
        );
      }
    }
  }
  return root.value as T;
}

interface Copy {
  from: object;
  into: object;
}

/** Sets one entry; an array or object is set empty and put on the work list. */
function copyInto(into: object, key: string | number, value: unknown, maxChars: number, work: Copy[]): void {
  let copy = value;
  if (typeof value === 'string') {
    copy = toStorableText(value, maxChars);
  } else if (typeof value === 'object' && value !== null) {
    copy = Array.isArray(value) ? [] : {};
    work.push({ from: value, into: copy as object });
  }
  // Assignment would run the setter of `__proto__`; a definition never does.
  if (key === '__proto__') {
    Object.defineProperty(into, key, { value: copy, writable: true, enumerable: true, configurable: true });
  } else {
    (into as Record<string | number, unknown>)[key] = copy;
  }
}

function isHighSurrogate(text: string, index: number): boolean {
  return (text.charCodeAt(index) & 0xfc00) === 0xd800;
}

function isLowSurrogate(text: string, index: number): boolean {
  return (text.charCodeAt(index) & 0xfc00) === 0xdc00;
}
