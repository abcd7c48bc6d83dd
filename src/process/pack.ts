/** Packs the bytes of a batch for its way into a thread: one buffer that is handed over, not hundreds that are cloned. */
import type { RawLocation } from '../raw/raw-store.ts';

type Message = { id: number; raw: RawLocation };

/** The same messages with their bytes in one new buffer, which must be in the transfer list of the post. */
export function packMessages(messages: readonly Message[]): { messages: Message[]; transfer: ArrayBuffer[] } {
  const size = messages.reduce((sum, { raw }) => sum + ('inline' in raw ? raw.inline.length : 0), 0);
  const packed = new ArrayBuffer(size);
  let at = 0;
  const moved = messages.map(({ id, raw }): Message => {
    if ('file' in raw) return { id, raw };
    const inline = Buffer.from(packed, at, raw.inline.length);
    raw.inline.copy(inline);
    at += raw.inline.length;
    return { id, raw: { inline } };
  });
  return { messages: moved, transfer: [packed] };
}
