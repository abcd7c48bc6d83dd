/**
 * API clients as the API knows them between two looks at the database. A token is checked without the database,
 * so this is what makes the tokens of a disabled client stop: within {@link FRESH_MS}.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { type ApiClient, authenticateClient, findClient } from '../../store/clients.ts';
import type { Database } from '../../store/database.ts';

const FRESH_MS = 2_000;
const REMEMBERED_MS = 300_000;
const MOST = 10_000;

interface Entry<T> {
  value: T;
  at: number;
}

export class ClientDirectory {
  readonly #db: Database;
  readonly #clients = new Map<string, Entry<ApiClient | null>>();
  /** Digests of credentials that were right a short while ago. */
  readonly #right = new Map<string, Entry<true>>();
  readonly #key = randomBytes(32);

  constructor(db: Database) {
    this.#db = db;
  }

  /** The client, or null when there is none or it is disabled. At most two seconds old. */
  async active(clientId: string): Promise<ApiClient | null> {
    const known = lookUp(this.#clients, clientId, FRESH_MS);
    const client = known === null ? await findClient(this.#db, clientId) : known.value;
    if (known === null) remember(this.#clients, clientId, client);
    return client === null || client.disabledAt !== null ? null : client;
  }

  /**
   * The client whose id and secret these are, or null. Some clients ask for a token before every request, so the
   * costly check of a secret is not repeated for some minutes after it succeeded; secrets never change.
   */
  async authenticate(clientId: string, secret: string): Promise<ApiClient | null> {
    const digest = createHmac('sha256', this.#key).update(`${clientId}\0${secret}`).digest('base64');
    if (lookUp(this.#right, digest, REMEMBERED_MS) !== null) return await this.active(clientId);
    const client = await authenticateClient(this.#db, clientId, secret);
    if (client === null) return null;
    remember(this.#right, digest, true);
    remember(this.#clients, clientId, client);
    return client;
  }
}

function lookUp<T>(entries: Map<string, Entry<T>>, key: string, maxAgeMs: number): Entry<T> | null {
  const entry = entries.get(key);
  return entry !== undefined && performance.now() - entry.at <= maxAgeMs ? entry : null;
}

function remember<T>(entries: Map<string, Entry<T>>, key: string, value: T): void {
  entries.delete(key);
  entries.set(key, { value, at: performance.now() });
  if (entries.size > MOST) entries.delete(entries.keys().next().value!);
}
