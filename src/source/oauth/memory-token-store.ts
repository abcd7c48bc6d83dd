/** Tokens that nobody keeps: for settings that are only being tried. */
import type { TokenRecord, TokenStore, TokenTurn } from './token-store.ts';

/**
 * For one credential, used for a moment: nothing in it ages. `newest` tells the refresh token that the server gave in place
 * of the first one, if it did: the first one may be void now.
 */
export function memoryTokenStore(): TokenStore & { newest(): string | null } {
  let record: TokenRecord | null = null;
  let last: Promise<unknown> = Promise.resolve();
  return {
    newest: () => record?.refreshToken ?? null,
    async exclusively(_credential, turn) {
      const mine = last.then(async () => {
        const kept = record;
        const next = await turn(kept);
        record = after(kept, next);
        return { kept, turn: next };
      });
      last = mine.catch(() => undefined);
      return await mine;
    },
  };
}

function after(kept: TokenRecord | null, turn: TokenTurn): TokenRecord | null {
  switch (turn.kind) {
    case 'keep':
      return kept;
    case 'dropped':
      return kept && { ...kept, access: null };
    case 'renewed': {
      const { digest, accessToken: token, lifeMs, refreshToken } = turn;
      return { digest, access: { token, ageMs: 0, lifeMs }, refreshToken, failure: null };
    }
    case 'failed': {
      const { digest, failure } = turn;
      const access = turn.isOther ? null : (kept?.access ?? null);
      const refreshToken = turn.isOther ? null : (kept?.refreshToken ?? null);
      return { digest, access, refreshToken, failure: { ...failure, ageMs: 0 } };
    }
  }
}
