/** Values of mail as jsonb takes them: no U+0000 and no lone surrogate, in keys and texts of any depth. */
import { LIMITS } from '../limits.ts';
import { toStorableJson } from '../message/storable.ts';

/** What JSON.stringify writes for what PostgreSQL refuses. May hit harmless text too; then the copy changes nothing. */
const REFUSED = /\\u(?:0000|d[89a-f])/i;

/** JSON text for a jsonb column; null stays null. */
export function storableJson(value: object): string;
export function storableJson(value: object | null): string | null;
export function storableJson(value: object | null): string | null {
  if (value === null) return null;
  const text = JSON.stringify(value);
  return REFUSED.test(text) ? JSON.stringify(toStorableJson(value, LIMITS.bodyTextChars)) : text;
}
