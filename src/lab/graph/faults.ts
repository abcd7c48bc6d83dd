/** Faults that the lab's Graph commits when told to: the ways in which the real one fails. */

/** The requests that it knows, by name. */
export type RouteName =
  | 'get-folder'
  | 'list-folders'
  | 'create-folder'
  | 'delta'
  | 'list-messages'
  | 'get-message'
  | 'value'
  | 'patch-message'
  | 'move-message'
  | 'delete-message'
  | 'list-contacts'
  | 'send-mail'
  | 'create-draft'
  | 'attach'
  | 'create-upload'
  | 'upload'
  | 'send-draft'
  | 'find-message'
  | 'create-subscription'
  | 'get-subscription'
  | 'renew-subscription'
  | 'reauthorize-subscription'
  | 'delete-subscription';

export type Action =
  /** Answers with an error, or with anything else, and does nothing. `retryAfter`: seconds or a date. */
  | {
      do: 'answer';
      status: number;
      code?: string;
      message?: string;
      retryAfter?: number | string;
      html?: string;
    }
  /** Does what was asked, and answers with an error all the same: what a gateway does that has lost patience. */
  | { do: 'act-and-answer'; status: number; code: string }
  /** Stops answering and keeps the connection open. */
  | { do: 'hang' }
  /** Cuts the connection before anything is answered. */
  | { do: 'reset' }
  /** Does what was asked, and cuts the connection before it is answered. */
  | { do: 'act-and-reset' }
  | { do: 'wait'; ms: number }
  /** Sends `after` bytes of the body, then cuts the connection or falls silent. */
  | { do: 'cut'; after: number; end: 'reset' | 'hang' }
  /** Sends the body in pieces of `bytes`, one every `ms`. */
  | { do: 'drip'; bytes: number; ms: number }
  /** Success, without a body. */
  | { do: 'empty' }
  /** Sends bytes without end. */
  | { do: 'endless' };

export interface Fault {
  /** Left out: any request. */
  at?: RouteName;
  action: Action;
  /** Only for this mailbox. */
  mailbox?: string;
  /** Only for the message with this immutable id. */
  key?: string;
  /** How often it strikes; for ever when left out. */
  times?: number;
  /** Requests that pass before it strikes for the first time. */
  after?: number;
}

export class GraphFaults {
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

  /** The first that fits, counted as struck. */
  strike(at: RouteName, mailbox: string | null, key: string | null): Action | null {
    for (const fault of this.#faults) {
      if (fault.at !== undefined && fault.at !== at) continue;
      if (fault.mailbox !== undefined && fault.mailbox !== mailbox) continue;
      if (fault.key !== undefined && fault.key !== key) continue;
      if (fault.after !== undefined && fault.after > 0) {
        fault.after -= 1;
        continue;
      }
      if (fault.times === undefined) return fault.action;
      if (fault.times <= 0) continue;
      fault.times -= 1;
      return fault.action;
    }
    return null;
  }
}
