/** API clients. Their secrets are kept as scrypt hashes only. */
import { randomBytes, randomUUID, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { Database, Tx } from './database.ts';

export interface ApiClient {
  clientId: string;
  name: string;
  scopes: string[];
  createdAt: Date;
  lastUsedAt: Date | null;
  disabledAt: Date | null;
}

const derive = promisify<string, Buffer, number, { N: number; r: number; p: number }, Buffer>(scrypt);
/** 16 MiB and about 40 ms: the secrets are 256 random bits, so this guards against nothing but sloth. */
const COST = { N: 16_384, r: 8, p: 1 };

async function hashSecret(secret: string): Promise<string> {
  const salt = randomBytes(16);
  const hash = await derive(secret, salt, 32, COST);
  return `scrypt$${salt.toString('base64')}$${hash.toString('base64')}`;
}

async function secretMatches(secret: string, stored: string): Promise<boolean> {
  const [, salt, hash] = stored.split('$');
  const wanted = Buffer.from(hash ?? '', 'base64');
  const found = await derive(secret, Buffer.from(salt ?? '', 'base64'), 32, COST);
  return wanted.length === found.length && timingSafeEqual(wanted, found);
}

/** Makes a client. The secret is returned once and cannot be read again. */
export async function createClient(
  db: Database | Tx,
  name: string,
  scopes: string[],
): Promise<{ clientId: string; clientSecret: string }> {
  const clientId = randomUUID();
  const clientSecret = randomBytes(32).toString('base64url');
  await db
    .insertInto('api_client')
    .values({ client_id: clientId, name, scopes, secret_hash: await hashSecret(clientSecret) })
    .execute();
  return { clientId, clientSecret };
}

/** The client, when id and secret are right and it is not disabled; else null. Takes the same time either way. */
export async function authenticateClient(
  db: Database,
  clientId: string,
  secret: string,
): Promise<ApiClient | null> {
  const row = await db
    .selectFrom('api_client')
    .selectAll()
    .where('client_id', '=', clientId)
    .executeTakeFirst();
  const stored =
    row?.secret_hash ??
    `scrypt$${Buffer.alloc(16).toString('base64')}$${Buffer.alloc(32).toString('base64')}`;
  const matches = await secretMatches(secret, stored);
  if (row === undefined || !matches || row.disabled_at !== null) return null;
  await db.updateTable('api_client').set({ last_used_at: new Date() }).where('id', '=', row.id).execute();
  return asClient(row);
}

/** The client with this id, disabled or not; null when there is none. */
export async function findClient(db: Database, clientId: string): Promise<ApiClient | null> {
  const row = await db
    .selectFrom('api_client')
    .selectAll()
    .where('client_id', '=', clientId)
    .executeTakeFirst();
  return row === undefined ? null : asClient(row);
}

export async function listClients(db: Database): Promise<ApiClient[]> {
  const rows = await db.selectFrom('api_client').selectAll().orderBy('id').execute();
  return rows.map(asClient);
}

/** Tokens of a disabled client stop working at once. Returns false when there is no such client. */
export async function disableClient(db: Database, clientId: string): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('api_client')
    .set({ disabled_at: new Date() })
    .where('client_id', '=', clientId)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

function asClient(row: {
  client_id: string;
  name: string;
  scopes: string[];
  created_at: Date;
  last_used_at: Date | null;
  disabled_at: Date | null;
}): ApiClient {
  return {
    clientId: row.client_id,
    name: row.name,
    scopes: row.scopes,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
    disabledAt: row.disabled_at,
  };
}
