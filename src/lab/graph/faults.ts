/** Faults that the lab's Graph commits when told to, in the words of Graph's own errors. */
import { FaultList } from '../fault-list.ts';
import type { HttpAction } from '../http/faults.ts';
import { errorAnswer } from './answer.ts';

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
  | 'list-subscriptions'
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

export class GraphFaults extends FaultList<Fault> {
  /** The first that fits, counted as struck. */
  strike(at: RouteName, mailbox: string | null, key: string | null): HttpAction | null {
    const action = this.first(
      (fault) =>
        (fault.at === undefined || fault.at === at) &&
        (fault.mailbox === undefined || fault.mailbox === mailbox) &&
        (fault.key === undefined || fault.key === key),
    );
    return action && httpAction(action);
  }
}

function httpAction(action: Action): HttpAction {
  switch (action.do) {
    case 'reset':
      return { do: 'drop' };
    case 'act-and-reset':
      return { do: 'lose' };
    case 'empty':
      return { do: 'answer', status: 200 };
    case 'act-and-answer':
      return { do: 'act-and-answer', ...errorAnswer(action.status, action.code, 'By the script') };
    case 'cut':
      return { do: 'cut', after: action.after, end: action.end === 'reset' ? 'drop' : 'hang' };
    case 'answer': {
      const { status, code = '', message = 'By the script', retryAfter, html } = action;
      const headers: Record<string, string> =
        retryAfter === undefined ? {} : { 'Retry-After': String(retryAfter) };
      if (html === undefined) return { do: 'answer', ...errorAnswer(status, code, message, headers) };
      const page = { headers: { ...headers, 'Content-Type': 'text/html' }, body: Buffer.from(html) };
      return { do: 'answer', status, ...page };
    }
    default:
      return action;
  }
}
