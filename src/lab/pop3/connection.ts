/** One client connection of the lab POP3 server: its state, and its view of the maildrop. */
import type { StoredMessage } from '../mail-store.ts';
import { type ConnectionParts, LineConnection } from '../wire/connection.ts';
import type { Action, FaultScript, Phase } from './faults.ts';

/** The first line of an answer. */
export interface Reply {
  ok: boolean;
  text: string;
}

export const ok = (text: string): Reply => ({ ok: true, text });
export const err = (text: string): Reply => ({ ok: false, text });

export class Connection extends LineConnection {
  readonly faults: FaultScript;
  /** The name that USER gave. */
  named: string | null = null;
  /** The maildrop as it was at the login; message 1 is the first (RFC 1939 section 5). */
  view: readonly StoredMessage[] = [];
  readonly deleted = new Set<StoredMessage>();

  constructor(parts: ConnectionParts, faults: FaultScript) {
    super(parts, 0);
    this.faults = faults;
  }

  /** Sends an answer of one line. */
  async answer({ ok: isOk, text }: Reply): Promise<void> {
    this.output.line(`${isOk ? '+OK' : '-ERR'} ${text}`.trimEnd());
    await this.output.flush();
  }

  /** A message by its number, when it is there and not marked; else null. */
  message(number: string | undefined): StoredMessage | null {
    const message = /^\d{1,9}$/.test(number ?? '') ? this.view[Number(number) - 1] : undefined;
    // Another protocol may have taken it meanwhile.
    return message && !message.expunged && !this.deleted.has(message) ? message : null;
  }

  /** Messages that are not marked, with their numbers. */
  *messages(): Generator<{ number: number; message: StoredMessage }> {
    for (const [index, message] of this.view.entries()) {
      if (!this.deleted.has(message)) yield { number: index + 1, message };
    }
  }

  /** Commits the fault of this phase, if there is one. A reply means: answer with it and do nothing else. */
  async strike(phase: Phase, message: StoredMessage | null = null): Promise<Reply | null> {
    const action = this.faults.forCommand(phase, this.user?.name ?? null, message?.uid ?? null);
    return action ? await this.#commit(action) : null;
  }

  /** The fault in what is said about one message. */
  flaw(phase: Phase, message: StoredMessage): Action | null {
    return this.faults.forMessage(phase, this.user?.name ?? null, message.uid);
  }

  async #commit(action: Action): Promise<Reply | null> {
    switch (action.do) {
      case 'err':
        return err(action.text);
      case 'pretend':
        return ok('done');
      default:
        await this.commitWire(action);
        return null;
    }
  }
}
