/**
 * Access tokens: signed, an hour long, checked without the database. The key is made at first use and kept in the
 * secret store, so that all processes of an installation take each other's tokens.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { errors, jwtVerify, SignJWT } from 'jose';
import { sql } from 'kysely';
import { fail } from '../../errors.ts';
import type { Database } from '../../store/database.ts';
import type { Keyring } from '../../store/keyring.ts';
import { readSecret, writeSecret } from '../../store/secrets.ts';

const OWNER = 'api';
const NAME = 'signing-key';
const ISSUER = 'penstock';
/** Any constant: two processes that start at once must not make two keys. */
const LOCK = 728_341_902;

export interface TokenFacts {
  clientId: string;
  scopes: string[];
}

export class Tokens {
  readonly #db: Database;
  readonly #keys: Keyring;
  #key: Promise<Uint8Array> | null = null;

  constructor(db: Database, keys: Keyring) {
    this.#db = db;
    this.#keys = keys;
  }

  async issue(facts: TokenFacts, seconds: number): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    return await new SignJWT({ scope: facts.scopes.join(' ') })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setIssuer(ISSUER)
      .setSubject(facts.clientId)
      .setJti(randomUUID())
      .setIssuedAt(now)
      .setExpirationTime(now + seconds)
      .sign(await this.#signingKey());
  }

  /** Fails with `unauthorized` for a token that is not ours, was changed, or is over. */
  async verify(token: string): Promise<TokenFacts> {
    const key = await this.#signingKey();
    try {
      const { payload } = await jwtVerify<{ scope?: unknown }>(token, key, {
        algorithms: ['HS256'],
        issuer: ISSUER,
        requiredClaims: ['sub', 'exp'],
      });
      return { clientId: payload.sub!, scopes: String(payload.scope ?? '').split(' ') };
    } catch (error) {
      const expired = error instanceof errors.JWTExpired;
      throw fail('unauthorized', expired ? 'The token has expired.' : 'The token is not valid.', {}, error);
    }
  }

  #signingKey(): Promise<Uint8Array> {
    this.#key ??= this.#load().catch((error: unknown) => {
      this.#key = null;
      throw error;
    });
    return this.#key;
  }

  async #load(): Promise<Uint8Array> {
    const encoded =
      (await readSecret(this.#db, this.#keys, OWNER, NAME)) ??
      (await this.#db.transaction().execute(async (tx) => {
        await sql`select pg_advisory_xact_lock(${LOCK})`.execute(tx);
        const known = await readSecret(tx, this.#keys, OWNER, NAME);
        if (known !== null) return known;
        const made = randomBytes(32).toString('base64');
        await writeSecret(tx, this.#keys, OWNER, NAME, made);
        return made;
      }));
    return Buffer.from(encoded, 'base64');
  }
}
