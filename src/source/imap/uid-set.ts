/** UIDs as keys, and as sets on the wire. */

/** UIDs are 32 bits and never 0 (RFC 9051 section 2.3.1.1). */
const UID = /^[1-9]\d{0,9}$/;
const MAX_UID = 0xffff_ffff;

/** The UID of a source key, or null when the key cannot be one. */
export function uidOfKey(key: string): number | null {
  if (!UID.test(key)) return null;
  const uid = Number(key);
  return uid <= MAX_UID ? uid : null;
}

/** Ascending UIDs as a set with runs joined: 4,5,6,9 becomes `4:6,9`. Names exactly these, never `*`. */
export function uidSet(ascending: readonly number[]): string {
  const parts: string[] = [];
  let start = 0;
  for (let index = 0; index < ascending.length; index += 1) {
    const uid = ascending[index] as number;
    if (ascending[index + 1] === uid + 1) continue;
    const first = ascending[start] as number;
    parts.push(first === uid ? String(uid) : `${first}:${uid}`);
    start = index + 1;
  }
  return parts.join(',');
}

/** Keys as ascending UIDs without repeats, and the keys that are no UIDs. */
export function uidsOfKeys(keys: readonly string[]): { uids: number[]; invalid: string[] } {
  const uids = new Set<number>();
  const invalid = new Set<string>();
  for (const key of keys) {
    const uid = uidOfKey(key);
    if (uid === null) invalid.add(key);
    else uids.add(uid);
  }
  return { uids: [...uids].sort((left, right) => left - right), invalid: [...invalid] };
}

export function* chunksOf<T>(values: readonly T[], size: number): Generator<T[]> {
  for (let start = 0; start < values.length; start += size) yield values.slice(start, start + size);
}
