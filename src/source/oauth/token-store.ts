/** Where tokens are kept between processes. The database is behind it; `source` knows nothing of that. */
import type { TokenFailure } from './token-answer.ts';

/** What is kept of a credential. Ages are by the store's clock at the time of reading. */
export interface TokenRecord {
  /** Tells the credential that this was got with: another one makes all of it void. */
  digest: string;
  access: { token: string; ageMs: number; lifeMs: number } | null;
  /** The newest one that the server gave; null while the first one is in use. */
  refreshToken: string | null;
  failure: (TokenFailure & { ageMs: number; waitMs: number; attempts: number }) | null;
}

/** What a turn leads to. */
export type TokenTurn =
  | { kind: 'keep' }
  /** `refreshToken` is the one to use from now on, null = the credential's own. It is stored before this returns. */
  | {
      kind: 'renewed';
      digest: string;
      accessToken: string;
      lifeMs: number;
      refreshToken: string | null;
      refreshLifeMs: number | null;
    }
  /** `isOther`: what was kept belongs to another credential, and goes. */
  | {
      kind: 'failed';
      digest: string;
      isOther: boolean;
      failure: TokenFailure & { waitMs: number; attempts: number };
    }
  /** The access token is good for nothing; the rest stays. */
  | { kind: 'dropped' };

export interface TokenStore {
  /**
   * Runs `turn` for a credential while no other process can, and stores what it leads to before returning. The turn
   * may take as long as a request, and must not fail: what it throws undoes everything. Returns what was found before
   * it, and what it led to.
   */
  exclusively(
    credential: string,
    turn: (kept: TokenRecord | null) => Promise<TokenTurn>,
  ): Promise<{ kept: TokenRecord | null; turn: TokenTurn }>;
}
