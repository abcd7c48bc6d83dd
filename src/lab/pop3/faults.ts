/**
 * Faults that the lab POP3 server commits when told to: the ways in which real servers fail, so that a client can be
 * tried against each of them.
 */

/** Where a fault strikes: before the command of that name is carried out, unless said otherwise. */
export type Phase =
  /** The connection was accepted; nothing was sent. */
  | 'connect'
  | 'greeting'
  | 'capa'
  | 'stls'
  /** PASS and AUTH. */
  | 'login'
  /** The login was answered with +OK. */
  | 'ready'
  | 'list'
  | 'uidl'
  | 'top'
  | 'retr'
  | 'dele'
  | 'quit'
  /** QUIT has deleted what was marked; it is not yet answered. */
  | 'updated';

export type Action =
  /** Stops answering and keeps the connection open: what a lost route looks like. */
  | { do: 'hang' }
  /** Cuts the connection with RST. */
  | { do: 'reset' }
  /** Closes the connection with FIN, without a word. */
  | { do: 'drop' }
  /** Refuses with `-ERR text`. */
  | { do: 'err'; text: string }
  /** Answers +OK and does nothing. */
  | { do: 'pretend' }
  | { do: 'wait'; ms: number }
  /** Sends `line`, then goes on as usual. */
  | { do: 'say'; line: string }
  /** Sends everything from here on in pieces of `bytes`, one every `ms`. */
  | { do: 'drip'; bytes: number; ms: number }
  // For LIST, RETR and TOP, and for the messages named in the fault:
  | { do: 'claim-size'; bytes: number }
  /** Sends bytes as long as the client takes them. */
  | { do: 'endless' }
  /** Sends no byte between +OK and the end. */
  | { do: 'empty' }
  /** Sends `after` bytes of the message, then cuts the connection or falls silent. */
  | { do: 'cut'; after: number; end: 'hang' | 'reset' | 'drop' };

const MESSAGE_ACTIONS: ReadonlySet<Action['do']> = new Set<Action['do']>([
  'claim-size',
  'endless',
  'empty',
  'cut',
]);

export interface Fault {
  at: Phase;
  action: Action;
  /** Only for this user; a fault before the login must leave this out. */
  user?: string;
  /** Only for these messages, by their UID in the store. */
  uids?: readonly number[];
  /** How often it strikes; for ever when left out. */
  times?: number;
}

/** The faults of one server. Faults are looked at in the order in which they were added. */
export class FaultScript {
  #faults: Fault[] = [];

  /** Adds a fault; the returned function removes it. */
  add(fault: Fault): () => void {
    const own = { ...fault };
    this.#faults.push(own);
    return () => {
      this.#faults = this.#faults.filter((other) => other !== own);
    };
  }

  clear(): void {
    this.#faults = [];
  }

  /** The action for a command as a whole, and counts it as struck. */
  forCommand(phase: Phase, user: string | null, uid: number | null): Action | null {
    return this.#strike(phase, user, uid, (action) => !MESSAGE_ACTIONS.has(action.do));
  }

  /** The action for what is said about one message, and counts it as struck. */
  forMessage(phase: Phase, user: string | null, uid: number): Action | null {
    return this.#strike(phase, user, uid, (action) => MESSAGE_ACTIONS.has(action.do));
  }

  #strike(
    phase: Phase,
    user: string | null,
    uid: number | null,
    fits: (action: Action) => boolean,
  ): Action | null {
    for (const fault of this.#faults) {
      if (fault.at !== phase || !fits(fault.action)) continue;
      if (fault.user !== undefined && fault.user !== user) continue;
      if (fault.uids && (uid === null || !fault.uids.includes(uid))) continue;
      if (fault.times === undefined) return fault.action;
      if (fault.times <= 0) continue;
      fault.times -= 1;
      return fault.action;
    }
    return null;
  }
}
