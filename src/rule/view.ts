import type { Address, ParsedMessage } from '../message/message.ts';
import { type FoldedText, fold, foldText } from './fold.ts';
import type { RuleField } from './rule.ts';

/** What a rule may ask about apart from the message itself. */
export interface MatchContext {
  /** The mailbox that the message came to. */
  mailboxId: number;
}

/** Every text a rule can look at. The newest part of the body is a text of its own, with its own offsets. */
export type ViewText = RuleField | 'newest_text';

/**
 * What rules see of one message. Made once a message, inside the thread that matches; everything that costs is
 * made when it is first asked for, because most rules ask for little.
 */
export class MessageView {
  readonly message: ParsedMessage;
  /** Addresses, folded: who it is from, to, and the copies (Cc and Bcc). */
  readonly from: readonly string[];
  readonly to: readonly string[];
  readonly copies: readonly string[];
  #attachments: readonly string[] | null = null;
  #folded = new Map<ViewText, FoldedText>();
  #originals = new Map<ViewText, string>();

  constructor(message: ParsedMessage) {
    this.message = message;
    this.from = foldAddresses(message.from);
    this.to = foldAddresses(message.to);
    this.copies = [...foldAddresses(message.cc), ...foldAddresses(message.bcc)];
  }

  /** Attachment names, folded; composed first (NFC), because some systems write `ü` as two characters. */
  get attachments(): readonly string[] {
    this.#attachments ??= attachmentNames(this.message).map((name) => fold(name.normalize('NFC')));
    return this.#attachments;
  }

  /** The original text; offsets of extractions refer to it. */
  text(of: ViewText): string {
    switch (of) {
      case 'subject':
        return this.message.subject;
      case 'text':
        return this.message.text;
      case 'newest_text':
        return this.message.newestText;
      case 'html':
        return this.message.html ?? '';
      default: {
        let text = this.#originals.get(of);
        if (text === undefined) {
          text = composedText(this.message, of);
          this.#originals.set(of, text);
        }
        return text;
      }
    }
  }

  /** The folded text with its way back to the original. */
  folded(of: ViewText): FoldedText {
    let folded = this.#folded.get(of);
    if (folded === undefined) {
      folded = foldText(this.text(of));
      this.#folded.set(of, folded);
    }
    return folded;
  }
}

/** Makes the view of a message. Cheap: texts are folded when a rule needs them. */
export function buildView(message: ParsedMessage): MessageView {
  return new MessageView(message);
}

/** Names of everything that came with the message, as they are shown: attachments and skipped parts. */
export function attachmentNames(message: ParsedMessage): string[] {
  const names: string[] = [];
  for (const leaf of message.leaves) {
    if (leaf.use !== 'body' && leaf.filename !== null) names.push(leaf.filename);
  }
  return names;
}

/** Addresses as one text, the way a person writes them. */
export function formatAddresses(addresses: readonly Address[]): string {
  return addresses.map(({ name, address }) => (name === '' ? address : `${name} <${address}>`)).join(', ');
}

function composedText(message: ParsedMessage, of: 'from' | 'to' | `header:${string}`): string {
  if (of === 'from') return formatAddresses(message.from);
  if (of === 'to') return formatAddresses(message.to);
  const wanted = of.slice('header:'.length).toLowerCase();
  const values: string[] = [];
  for (const header of message.headers) {
    if (header.name.toLowerCase() === wanted) values.push(header.value);
  }
  return values.join('\n');
}

function foldAddresses(addresses: readonly Address[]): string[] {
  const folded: string[] = [];
  for (const { address } of addresses) {
    if (address !== '') folded.push(fold(address).trim());
  }
  return folded;
}
