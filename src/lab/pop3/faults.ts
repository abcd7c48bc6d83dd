/**
 * Faults that the lab POP3 server commits when told to: the ways in which real servers fail, so that a client can be
 * tried against each of them.
 */
import { FaultList } from '../fault-list.ts';
import type { End, WireAction } from '../wire/connection.ts';

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
  | WireAction
  /** Refuses with `-ERR text`. */
  | { do: 'err'; text: string }
  /** Answers +OK and does nothing. */
  | { do: 'pretend' }
  // For LIST, RETR and TOP, and for the messages named in the fault:
  | { do: 'claim-size'; bytes: number }
  /** Sends bytes as long as the client takes them. */
  | { do: 'endless' }
  /** Sends no byte between +OK and the end. */
  | { do: 'empty' }
  /** Sends `after` bytes of the message, then cuts the connection or falls silent. */
  | { do: 'cut'; after: number; end: End };

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

export class FaultScript extends FaultList<Fault> {
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
    return this.first(({ at, action, user: only, uids }) => {
      if (at !== phase || !fits(action) || (only !== undefined && only !== user)) return false;
      return !uids || (uid !== null && uids.includes(uid));
    });
  }
}
