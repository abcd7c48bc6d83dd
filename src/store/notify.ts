/** Words between processes through PostgreSQL: hints that something changed, never the change itself. */
import { sql } from 'kysely';
import pg from 'pg';
import { texts } from './columns.ts';
import type { Connection, Database, Tx } from './database.ts';

const CHANNEL = 'penstock';

/**
 * `rules`: rules changed. `mailboxes`, `destinations`: settings changed. `poll:<id>`: somebody wants this mailbox
 * polled now. `mail:<id>`: a provider says that it has mail. `subscriptions`: a provider wants one to be renewed or
 * made anew. `outgoing`: mail of ours waits to be sent.
 */
export type Notice =
  | 'rules'
  | 'mailboxes'
  | 'destinations'
  | `poll:${number}`
  | `mail:${number}`
  | 'subscriptions'
  | 'outgoing';

/** Sends notices when the surrounding transaction commits. */
export async function notify(db: Database | Tx, ...notices: Notice[]): Promise<void> {
  await sql`select pg_notify(${CHANNEL}, notice) from unnest(${texts(notices)}) as notice`.execute(db);
}

/**
 * Hears notices until closed. Reconnects by itself; `onGap` is called after each (re)connection, because notices
 * sent meanwhile are lost. A listener must therefore also look by itself from time to time.
 */
export class NoticeListener {
  readonly #connection: Connection;
  readonly #onNotice: (notice: string) => void;
  readonly #onGap: () => void;
  #client: pg.Client | null = null;
  #retry: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(connection: Connection, onNotice: (notice: string) => void, onGap: () => void) {
    this.#connection = connection;
    this.#onNotice = onNotice;
    this.#onGap = onGap;
  }

  async start(): Promise<void> {
    const client = new pg.Client(this.#connection.settings);
    const lost = (): void => {
      if (this.#client !== client || this.#closed) return;
      this.#client = null;
      this.#retry = setTimeout(() => void this.start(), 1_000);
    };
    client.on('error', lost);
    client.on('end', lost);
    client.on('notification', (message) => this.#onNotice(message.payload ?? ''));
    this.#client = client;
    try {
      await client.connect();
      await client.query(`listen ${CHANNEL}`);
      this.#onGap();
    } catch {
      client.end().catch(() => undefined);
      lost();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    await this.#client?.end().catch(() => undefined);
  }
}
