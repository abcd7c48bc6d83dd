/** Parsers of arguments: what is no number, or not in range, is refused before anything is done. */
import { InvalidArgumentError } from 'commander';

/** A whole number within the range. */
export function whole(from: number, to: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  const allowed =
    to === Number.MAX_SAFE_INTEGER
      ? `a whole number, at least ${from}`
      : `a whole number from ${from} to ${to}`;
  return numberParser(allowed, (value) => Number.isSafeInteger(value) && value >= from && value <= to);
}

/** A number within the range, with decimals if need be. */
export function decimal(from: number, to: number): (text: string) => number {
  return numberParser(`a number from ${from} to ${to}`, (value) => value >= from && value <= to);
}

/** The id of a record. */
export const id = whole(1);

function numberParser(allowed: string, fits: (value: number) => boolean): (text: string) => number {
  return (text) => {
    // Stricter than Number(), which takes ' ' for 0 and '0x50' for 80.
    const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
    if (!fits(value)) throw new InvalidArgumentError(`It must be ${allowed}.`);
    return value;
  };
}
