/** Tokens in PostgreSQL: who asks for one holds the row, tokens are sealed, and ages go by the database's clock. */
import { sql } from 'kysely';
import type { ErrorCode } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { TokenRecord, TokenStore, TokenTurn } from '../source/oauth/token-store.ts';
import type { Database, Tx } from './database.ts';
import type { Keyring } from './keyring.ts';
import { deleteSecret, readSecret, writeSecret } from './secrets.ts';

/** What is sealed together: the digest too, because it is made of secrets. */
interface Sealed {
  digest: string;
  accessToken: string | null;
  refreshToken: string | null;
}

/** Name of the first credential of a mailbox, under which its tokens are kept. Further ones add a part of their own. */
export const credentialId = (mailboxId: number): string => `mailbox:${mailboxId}`;

/** The mailbox that a credential is of; null when it is of none. */
export function mailboxOf(credential: string): number | null {
  const id = /^mailbox:(\d+)(?:\/|$)/.exec(credential)?.[1];
  return id === undefined ? null : Number(id);
}

const NAME = 'tokens';
const ownerOf = (credential: string): string => `oauth:${credential}`;

export function tokenStore(db: Database, keys: Keyring): TokenStore {
  return {
    async exclusively(credential: string, turn: (kept: TokenRecord | null) => Promise<TokenTurn>) {
      return await db.transaction().execute(async (tx) => {
        await lockRow(tx, credential);
        const sealed = await readSealed(tx, keys, credential);
        const kept = sealed === null ? null : await readRecord(tx, credential, sealed);
        const next = await turn(kept);
        await save(tx, keys, credential, sealed, next);
        return { kept, turn: next };
      });
    },
  };
}

/** Again when the row was deleted between the two statements. */
async function lockRow(tx: Tx, credential: string): Promise<void> {
  for (;;) {
    await sql`insert into oauth_token (credential) values (${credential}) on conflict do nothing`.execute(tx);
    const { rows } = await sql`
      select 1 from oauth_token where credential = ${credential} for update`.execute(tx);
    if (rows.length > 0) return;
  }
}

async function readSealed(tx: Tx, keys: Keyring, credential: string): Promise<Sealed | null> {
  const text = await readSecret(tx, keys, ownerOf(credential), NAME);
  return text === null ? null : (JSON.parse(text) as Sealed);
}

/** Read after the lock was got: what another process wrote meanwhile counts. */
async function readRecord(tx: Tx, credential: string, sealed: Sealed): Promise<TokenRecord> {
  const { rows } = await sql<{
    age_ms: number | null;
    life_ms: number | null;
    failure_code: ErrorCode | null;
    failure_message: string;
    failure_reason: string;
    failure_terminal: boolean;
    failure_age_ms: number;
    failure_wait_ms: number;
    failure_attempts: number;
  }>`select (extract(epoch from clock_timestamp() - obtained_at) * 1000)::float8 as age_ms, life_ms,
      failure_code, failure_message, failure_reason, failure_terminal, failure_wait_ms, failure_attempts,
      (extract(epoch from clock_timestamp() - failure_at) * 1000)::float8 as failure_age_ms
    from oauth_token where credential = ${credential}`.execute(tx);
  const row = rows[0]!;
  const { digest, accessToken, refreshToken } = sealed;
  const isComplete = accessToken !== null && row.age_ms !== null && row.life_ms !== null;
  return {
    digest,
    access: isComplete ? { token: accessToken, ageMs: row.age_ms!, lifeMs: row.life_ms! } : null,
    refreshToken,
    failure:
      row.failure_code === null
        ? null
        : {
            code: row.failure_code,
            message: row.failure_message,
            reason: row.failure_reason,
            terminal: row.failure_terminal,
            askedMs: null,
            ageMs: row.failure_age_ms,
            waitMs: row.failure_wait_ms,
            attempts: row.failure_attempts,
          },
  };
}

async function save(
  tx: Tx,
  keys: Keyring,
  credential: string,
  sealed: Sealed | null,
  turn: TokenTurn,
): Promise<void> {
  switch (turn.kind) {
    case 'keep':
      return;
    case 'dropped': {
      if (sealed === null) return;
      return await seal(tx, keys, credential, { ...sealed, accessToken: null });
    }
    case 'renewed': {
      const { digest, accessToken, refreshToken, lifeMs, refreshLifeMs } = turn;
      await seal(tx, keys, credential, { digest, accessToken, refreshToken });
      await sql`update oauth_token set obtained_at = clock_timestamp(), life_ms = ${lifeMs},
          refresh_expires_at = clock_timestamp() + make_interval(secs => ${refreshLifeMs === null ? null : refreshLifeMs / 1000}),
          renewals = renewals + 1, failure_code = null, failure_message = null, failure_reason = null,
          failure_terminal = null, failure_at = null, failure_wait_ms = null, failure_attempts = 0
        where credential = ${credential}`.execute(tx);
      return;
    }
    case 'failed': {
      const { digest, failure, isOther } = turn;
      if (isOther) await seal(tx, keys, credential, { digest, accessToken: null, refreshToken: null });
      await sql`update oauth_token set failure_code = ${failure.code},
          failure_message = ${failure.message.slice(0, LIMITS.reasonChars)}, failure_reason = ${failure.reason},
          failure_terminal = ${failure.terminal}, failure_at = clock_timestamp(),
          failure_wait_ms = ${failure.waitMs}, failure_attempts = ${failure.attempts}
        where credential = ${credential}`.execute(tx);
    }
  }
}

async function seal(tx: Tx, keys: Keyring, credential: string, sealed: Sealed): Promise<void> {
  await writeSecret(tx, keys, ownerOf(credential), NAME, JSON.stringify(sealed));
}

/** How a credential stands, for people and metrics. Nothing secret. */
export interface TokenStanding {
  credential: string;
  /** When the access token ends. */
  expiresAt: Date | null;
  refreshExpiresAt: Date | null;
  renewals: number;
  failure: { code: ErrorCode; message: string; terminal: boolean; at: Date; attempts: number } | null;
}

export async function tokenStandings(
  db: Database | Tx,
  credentials: readonly string[],
): Promise<TokenStanding[]> {
  if (credentials.length === 0) return [];
  const rows = await db
    .selectFrom('oauth_token')
    .selectAll()
    .where('credential', 'in', [...credentials])
    .execute();
  return rows.map((row) => ({
    credential: row.credential,
    expiresAt:
      row.obtained_at === null || row.life_ms === null
        ? null
        : new Date(row.obtained_at.getTime() + row.life_ms),
    refreshExpiresAt: row.refresh_expires_at,
    renewals: row.renewals,
    failure:
      row.failure_code === null
        ? null
        : {
            code: row.failure_code,
            message: row.failure_message ?? '',
            terminal: row.failure_terminal ?? false,
            at: row.failure_at!,
            attempts: row.failure_attempts,
          },
  }));
}

/** Forgets everything about a credential that is no longer used. */
export async function forgetTokens(tx: Tx, credential: string): Promise<void> {
  // The row first, as everybody locks it first.
  await tx.deleteFrom('oauth_token').where('credential', '=', credential).execute();
  await deleteSecret(tx, ownerOf(credential), NAME);
}
