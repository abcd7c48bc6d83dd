/**
 * Access tokens for every kind of mailbox. A token is renewed at 80 % of its life, by one caller at a time in all
 * processes together; a refresh token that the server replaced is stored before the new access token is used; a
 * refusal that only a person can mend is remembered and not asked for again until the credential changes.
 */
import { createHash } from 'node:crypto';
import { fail } from '../../errors.ts';
import type { Credential, Tokens } from './credential.ts';
import { failureError, type TokenFailure } from './token-answer.ts';
import { requestTokens } from './token-request.ts';
import type { TokenRecord, TokenStore, TokenTurn } from './token-store.ts';
import { renewAfter, tokenBackOff, tokenStep, usableFor } from './token-use.ts';

/** Told once for what happened, by the process that did it. */
export type TokenEvent =
  | { kind: 'renewed'; credential: string; lifeMs: number; rotated: boolean }
  | { kind: 'failed'; credential: string; failure: TokenFailure; attempts: number; waitMs: number };

export interface TokenServiceOptions {
  store: TokenStore;
  /** A clock that never goes back, in milliseconds. */
  monotonic?: () => number;
  /** The time of day, for signed assertions, in milliseconds. */
  wall?: () => number;
  random?: () => number;
  report?: (event: TokenEvent) => void;
}

/** What this process knows without asking the store, and until when by its clock. */
interface Cached {
  digest: string;
  until: number;
  /** `retryAt`: when asking again is due; null when it is no use. */
  outcome: { token: string } | { failure: TokenFailure; retryAt: number | null };
}

/** After a failure the store is asked again after this time at the latest: another process may have had better luck. */
const FAILURE_CACHE_MS = 60_000;
/** Each renewal holds a database connection while it waits for the server. */
const RENEWALS_AT_ONCE = 4;
/** A token that is refused this soon after it was made would be no better the next time. */
const TOO_YOUNG_TO_REPLACE_MS = 60_000;

export class TokenService {
  readonly #store: TokenStore;
  readonly #monotonic: () => number;
  readonly #wall: () => number;
  readonly #random: () => number;
  readonly #report: (event: TokenEvent) => void;
  readonly #cache = new Map<string, Cached>();
  readonly #flights = new Map<string, Promise<string>>();
  /** Refresh tokens that came but could not be stored: the one in the store may be void. */
  readonly #unsaved = new Map<string, { digest: string; refreshToken: string }>();
  readonly #turns = new Turns(RENEWALS_AT_ONCE);

  constructor(options: TokenServiceOptions) {
    this.#store = options.store;
    this.#monotonic = options.monotonic ?? (() => performance.now());
    this.#wall = options.wall ?? (() => Date.now());
    this.#random = options.random ?? Math.random;
    this.#report = options.report ?? (() => undefined);
  }

  /** A usable access token. Fails with the error that says why there is none; see `token-answer.ts`. */
  async token(credential: Credential): Promise<string> {
    const digest = digestOf(credential);
    const known = this.#known(credential.id, digest);
    if (known !== null) return known;
    const flight = `${credential.id}/${digest}`;
    let running = this.#flights.get(flight);
    if (running === undefined) {
      running = this.#turns
        .run(() => this.#settle(credential, digest))
        .finally(() => this.#flights.delete(flight));
      this.#flights.set(flight, running);
    }
    return await running;
  }

  /**
   * The mail server refused this token although it is not over: the next call gets another one. A token that is quite
   * new is kept: then something else is wrong, and new ones would be refused too.
   */
  async rejected(credential: Credential, token: string): Promise<void> {
    await this.#store.exclusively(credential.id, async (kept) => {
      const isThis = kept?.access?.token === token;
      return isThis && kept.access!.ageMs >= TOO_YOUNG_TO_REPLACE_MS ? { kind: 'dropped' } : { kind: 'keep' };
    });
    this.#cache.delete(credential.id);
  }

  /**
   * Asks the server now, whatever is remembered, and for a person who tries whether it works: fails when there came no new
   * token, also while an old one still serves.
   */
  async retry(credential: Credential): Promise<string> {
    return await this.#turns.run(() => this.#settle(credential, digestOf(credential), true));
  }

  #known(id: string, digest: string): string | null {
    const cached = this.#cache.get(id);
    if (cached === undefined || cached.digest !== digest) return null;
    return this.#monotonic() < cached.until ? this.#tell(id, cached) : null;
  }

  /** The token, or the reason why there is none, with the wait as it is now. */
  #tell(id: string, { outcome }: Cached): string {
    if ('token' in outcome) return outcome.token;
    const askedMs = outcome.retryAt === null ? null : Math.max(0, outcome.retryAt - this.#monotonic());
    throw failureError({ ...outcome.failure, askedMs }, id);
  }

  /** Takes what the store has, or gets a new token while no other process does. */
  async #settle(credential: Credential, digest: string, insist = false): Promise<string> {
    const { id } = credential;
    // When the store fails, nothing that came meanwhile may be used: it would know of an older refresh token only.
    this.#cache.delete(id);
    const { kept, turn } = await this.#store.exclusively(id, (found) =>
      this.#turn(credential, digest, found, insist),
    );
    this.#unsaved.delete(id);
    const event = eventOf(id, turn);
    if (event !== null) this.#report(event);
    const known = this.#learn(credential, digest, kept?.digest === digest ? kept : null, turn);
    this.#cache.set(id, known);
    if (insist && turn.kind === 'failed') throw failureError(turn.failure, id);
    return this.#tell(id, known);
  }

  async #turn(
    credential: Credential,
    digest: string,
    found: TokenRecord | null,
    insist: boolean,
  ): Promise<TokenTurn> {
    const kept = found?.digest === digest ? found : null;
    const step = tokenStep({ access: kept?.access ?? null, failure: kept?.failure ?? null });
    if (step !== 'renew' && !insist) return { kind: 'keep' };
    const unsaved = this.#unsaved.get(credential.id);
    const before = (unsaved?.digest === digest ? unsaved.refreshToken : null) ?? kept?.refreshToken ?? null;
    const answer = await requestTokens(credential, before, this.#wall());
    if ('accessToken' in answer) return this.#renewed(credential, digest, before, answer);
    const attempts = (kept?.failure?.attempts ?? 0) + 1;
    const waitMs = tokenBackOff(attempts, answer.askedMs, this.#random());
    return { kind: 'failed', digest, isOther: kept === null, failure: { ...answer, attempts, waitMs } };
  }

  #renewed(credential: Credential, digest: string, before: string | null, tokens: Tokens): TokenTurn {
    const { accessToken, lifeMs, refreshLifeMs } = tokens;
    const isDelegated = credential.grant.kind === 'refresh_token';
    const refreshToken = isDelegated ? (tokens.refreshToken ?? before) : null;
    if (refreshToken !== null) this.#unsaved.set(credential.id, { digest, refreshToken });
    return { kind: 'renewed', digest, accessToken, lifeMs, refreshToken, refreshLifeMs };
  }

  /** What a turn teaches this process. */
  #learn(credential: Credential, digest: string, kept: TokenRecord | null, turn: TokenTurn): Cached {
    const now = this.#monotonic();
    if (turn.kind === 'renewed') {
      return { digest, until: now + renewAfter(0, turn.lifeMs), outcome: { token: turn.accessToken } };
    }
    const access = kept?.access ?? null;
    const failure = turn.kind === 'failed' ? { ...turn.failure, ageMs: 0 } : (kept?.failure ?? null);
    const wait = failure === null || failure.terminal ? null : Math.max(0, failure.waitMs - failure.ageMs);
    const pause = Math.min(wait ?? FAILURE_CACHE_MS, FAILURE_CACHE_MS);
    const left = access === null ? 0 : usableFor(access.ageMs, access.lifeMs);
    if (access !== null && left > 0) {
      const due = renewAfter(access.ageMs, access.lifeMs);
      return {
        digest,
        until: now + (due > 0 ? due : Math.min(pause, left)),
        outcome: { token: access.token },
      };
    }
    if (failure === null) {
      throw fail('internal', 'There is neither a token nor a reason', { credential: credential.id });
    }
    return { digest, until: now + pause, outcome: { failure, retryAt: wait === null ? null : now + wait } };
  }
}

/**
 * Tells one credential from another without keeping its secrets apart from those that are sealed with it. The order of
 * properties must not matter: a credential may be put together in another way after an upgrade.
 */
export function digestOf(credential: Credential): string {
  const sorted = (_name: string, value: unknown): unknown =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value;
  return createHash('sha256').update(JSON.stringify(credential, sorted)).digest('base64url');
}

function eventOf(credential: string, turn: TokenTurn): TokenEvent | null {
  if (turn.kind === 'renewed') {
    return { kind: 'renewed', credential, lifeMs: turn.lifeMs, rotated: turn.refreshToken !== null };
  }
  if (turn.kind !== 'failed') return null;
  const { failure } = turn;
  return { kind: 'failed', credential, failure, attempts: failure.attempts, waitMs: failure.waitMs };
}

/** At most so many at once, the others in the order in which they came. */
class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free -= 1;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
