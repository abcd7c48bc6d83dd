/**
 * Faults that the lab server commits when told to: the ways in which real servers fail, so that a client can be
 * tried against each of them.
 */
import { FaultList } from '../fault-list.ts';
import type { End, WireAction } from '../wire/connection.ts';

/** Where a fault strikes: before the command of that name is carried out, unless said otherwise. */
export type Phase =
  /** The connection was accepted; nothing was sent. */
  | 'connect'
  | 'greeting'
  | 'capability'
  | 'starttls'
  /** LOGIN and AUTHENTICATE. */
  | 'login'
  /** The login was answered with OK. */
  | 'ready'
  | 'list'
  | 'status'
  | 'create'
  | 'select'
  | 'search'
  | 'fetch'
  | 'store'
  | 'copy'
  | 'move'
  | 'expunge'
  | 'append'
  /** IDLE came; it is not yet accepted. */
  | 'idle'
  /** IDLE was accepted with `+`. */
  | 'idling'
  /** DONE came. */
  | 'done'
  | 'noop'
  | 'logout';

export type Action =
  | WireAction
  | { do: 'bye'; text: string }
  | { do: 'no'; text: string }
  | { do: 'bad'; text: string }
  /** Answers OK and does nothing. */
  | { do: 'pretend' }
  // For FETCH, and for the UIDs named in the fault:
  /** Leaves the message out of an answer that ends in OK. */
  | { do: 'omit' }
  /** Answers with something that is not IMAP. */
  | { do: 'garble' }
  /** Answers NIL instead of the body. */
  | { do: 'nil' }
  | { do: 'claim-size'; bytes: number }
  /** Announces a literal of `announce` bytes and sends bytes as long as the client takes them. */
  | { do: 'endless'; announce: number }
  /** Sends the whole section although a part was asked for. */
  | { do: 'ignore-partial' }
  /** Sends no more than `bytes` of each section that was asked for, as if it ended there. */
  | { do: 'shorten'; bytes: number }
  /** Sends `after` bytes of the literal, then cuts the connection or falls silent. */
  | { do: 'cut'; after: number; end: End };

export type ActionName = Action['do'];

export interface Fault {
  at: Phase;
  action: Action;
  /** Only for this user; a fault before the login must leave this out. */
  user?: string;
  /** Only when the command concerns one of these UIDs. */
  uids?: readonly number[];
  /** How often it strikes; for ever when left out. */
  times?: number;
}

const MESSAGE_ACTIONS: ReadonlySet<ActionName> = new Set<ActionName>([
  'omit',
  'garble',
  'nil',
  'claim-size',
  'endless',
  'ignore-partial',
  'shorten',
  'cut',
]);

export class FaultScript extends FaultList<Fault> {
  /** The action for a whole command, and counts it as struck. */
  forCommand(phase: Phase, user: string | null, concerns?: (uid: number) => boolean): Action | null {
    return this.#strike(phase, user, (fault) => {
      if (MESSAGE_ACTIONS.has(fault.action.do)) return false;
      return !fault.uids || (concerns !== undefined && fault.uids.some(concerns));
    });
  }

  /** The action for one message of a FETCH, and counts it as struck. */
  forMessage(uid: number, user: string | null): Action | null {
    return this.#strike('fetch', user, (fault) => {
      return MESSAGE_ACTIONS.has(fault.action.do) && (!fault.uids || fault.uids.includes(uid));
    });
  }

  #strike(phase: Phase, user: string | null, fits: (fault: Fault) => boolean): Action | null {
    return this.first(
      (fault) => fault.at === phase && (fault.user === undefined || fault.user === user) && fits(fault),
    );
  }
}
