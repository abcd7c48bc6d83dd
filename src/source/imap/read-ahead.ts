/**
 * Small messages that are asked for together with their listing: the server then answers once for each instead of twice,
 * and a message that has just come is here after one command. What is not asked for afterwards was read in vain, so a long
 * listing does it only while nearly all of the page before was small and wanted.
 */
import { LIMITS } from '../../limits.ts';

/** So few are read ahead whatever was before: they are new mail. */
const FEW = 20;
/** Of the page before. */
const SHARE_WANTED = 0.9;

export class ReadAhead {
  /** Of the page that was listed last, until they are asked for. */
  readonly #bytes = new Map<number, Buffer>();
  #listed = 0;
  #wanted = 0;

  /** What is at hand belongs to the folder that was open: the same UID means another message in the next one. */
  forget(): void {
    this.#bytes.clear();
  }

  /** Begins a page of so many messages. Says whether to read them ahead. */
  begin(messages: number): boolean {
    const worthIt = messages <= FEW || (this.#listed > 0 && this.#wanted >= this.#listed * SHARE_WANTED);
    this.forget();
    this.#listed = messages;
    this.#wanted = 0;
    return worthIt;
  }

  /** Bytes as the server sent them when it was asked for one more than {@link LIMITS.readAheadBytes}. */
  keep(uid: number, bytes: Buffer): void {
    if (bytes.length > 0 && bytes.length <= LIMITS.readAheadBytes) this.#bytes.set(uid, bytes);
  }

  /** Hands a message out, once; null when it was not read ahead. */
  take(uid: number): Buffer | null {
    const bytes = this.#bytes.get(uid) ?? null;
    if (bytes === null) return null;
    this.#bytes.delete(uid);
    this.#wanted += 1;
    return bytes;
  }

  /** A message was fetched by itself that could have been read ahead. */
  note(bytes: Buffer): void {
    if (bytes.length <= LIMITS.readAheadBytes) this.#wanted += 1;
  }
}
