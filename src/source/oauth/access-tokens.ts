/** What an API's source needs to know of tokens: how to get one, and whom to tell that it was refused. */
import { fail } from '../../errors.ts';
import type { Logins } from '../logins.ts';

export interface AccessTokens {
  /** A usable token. Fails with the error that says why there is none. */
  get(): Promise<string>;
  /** The server refused this token; the next one may be better. */
  rejected(token: string): Promise<void>;
}

/** The tokens of a mailbox that logs in with nothing else. */
export function accessTokens(logins: Logins): AccessTokens {
  return {
    async get() {
      const login = await logins.get();
      if (login.kind === 'xoauth2') return login.token;
      throw fail('validation_failed', 'This kind of mailbox takes tokens only, no password.');
    },
    async rejected(token) {
      await logins.refused(
        { kind: 'xoauth2', token },
        fail('auth_failed', 'The server refused the access token'),
      );
    },
  };
}
