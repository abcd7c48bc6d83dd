/** What is in the mailbox at the start of a session, under names that last. */
import type { Commands } from './commands.ts';
import { type Named, nameless, nameMessages } from './keys.ts';

export interface Listing {
  /** In the order of the server. */
  messages: readonly Named[];
  byKey: ReadonlyMap<string, Named>;
  /** Messages whose name is made from their content, because UIDL gives them none of their own. */
  nameless: number;
}

export async function listMailbox(commands: Commands): Promise<Listing> {
  const ids = await commands.uniqueIds();
  const sizes = await commands.list();
  // A server may leave a message out of either list; it is there all the same.
  const numbers = [...new Set([...sizes.keys(), ...(ids?.keys() ?? [])])].sort((a, b) => a - b);
  const numbered = numbers.map((number) => {
    const id = ids?.get(number);
    return { number, size: sizes.get(number) ?? 0, uniqueId: id !== undefined && id.length > 0 ? id : null };
  });
  const withoutName = nameless(numbered);
  const headers = new Map<number, Buffer>();
  for await (const { number, header } of commands.headers(withoutName.map(({ number }) => number))) {
    headers.set(number, header);
  }
  const messages = nameMessages(numbered, headers);
  return {
    messages,
    byKey: new Map(messages.map((message) => [message.key, message])),
    nameless: withoutName.length,
  };
}
