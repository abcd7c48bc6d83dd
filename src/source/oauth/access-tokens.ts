/** What a source needs to know of tokens: how to get one, and whom to tell that it was refused. */
import type { Credential } from './credential.ts';
import { firstUsable } from './first-usable.ts';
import type { TokenService } from './token-service.ts';

export interface AccessTokens {
  /** A usable token. Fails with the error that says why there is none. */
  get(): Promise<string>;
  /** The server refused this token; the next one may be better. */
  rejected(token: string): Promise<void>;
}

/** The tokens of a mailbox from the first of its credentials that works. */
export function accessTokens(service: TokenService, credentials: readonly Credential[]): AccessTokens {
  let last: { credential: Credential; token: string } | null = null;
  return {
    async get() {
      last = await firstUsable(service, credentials);
      return last.token;
    },
    async rejected(token) {
      if (last?.token === token) await service.rejected(last.credential, token);
    },
  };
}
