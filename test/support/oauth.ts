/** A lab authorization server that ends with the test file, and credentials for it. */
import { join } from 'node:path';
import { LabOauthServer } from '../../src/lab/oauth/server.ts';
import { type LoginReport, type Logins, makeLogins } from '../../src/source/logins.ts';
import type { Credential, Grant } from '../../src/source/oauth/credential.ts';
import { TokenService, type TokenServiceOptions } from '../../src/source/oauth/token-service.ts';
import { type Connection, openDatabase } from '../../src/store/database.ts';
import { type Keyring, loadKeyring } from '../../src/store/keyring.ts';
import { tokenStore } from '../../src/store/oauth-tokens.ts';
import { onCleanup } from './cleanup.ts';
import { tempFolder } from './folder.ts';
import { createTestDatabase } from './postgres.ts';

export async function startOauth(): Promise<LabOauthServer> {
  const server = new LabOauthServer();
  await server.start();
  onCleanup(() => server.stop());
  return server;
}

export const GRAPH_SCOPE = 'https://graph.microsoft.com/.default';

/** A credential at the lab's Entra; `changes` for anything else. */
export function entraCredential(
  server: LabOauthServer,
  grant: Grant,
  changes: Partial<Credential> = {},
): Credential {
  return {
    id: 'mailbox:1',
    provider: 'microsoft',
    tokenUrl: server.microsoftUrl('token'),
    clientId: 'app',
    scope: GRAPH_SCOPE,
    grant,
    tlsCa: server.certificate.cert,
    ...changes,
  };
}

export const bySecret = (secret: string): Grant => ({
  kind: 'client_credentials',
  client: { kind: 'secret', secret, expiresAt: null },
});

export const byRefreshToken = (refreshToken: string, secret = 'secret'): Grant => ({
  kind: 'refresh_token',
  client: { kind: 'secret', secret, expiresAt: null },
  refreshToken,
});

/** What a mailbox with these credentials logs in with. */
export function loginsOf(
  service: TokenService,
  credentials: readonly Credential[],
  report: Partial<LoginReport> = {},
): Logins {
  const options = credentials.map((credential) => ({
    name: credential.id,
    with: { kind: 'oauth' as const, credential },
    refused: false,
  }));
  return makeLogins(options, service, { used: () => undefined, refused: () => undefined, ...report });
}

/** A database with keys, and token services on it as other processes would have them. */
export interface TokenLab {
  connection: Connection;
  url: string;
  keyFile: string;
  keys: Keyring;
  service(options?: Partial<TokenServiceOptions>): TokenService;
  /** Lets time pass for what is kept, by the database's clock. */
  passTime(seconds: number): Promise<void>;
}

export async function startTokenLab(): Promise<TokenLab> {
  const database = await createTestDatabase();
  const connection = openDatabase(database.url, { connections: 8, onError: () => undefined });
  onCleanup(() => connection.close());
  const keyFile = join(await tempFolder('keys'), 'secret.key');
  const keys = await loadKeyring(keyFile, true);
  return {
    connection,
    url: database.url,
    keyFile,
    keys,
    service: (options) => new TokenService({ store: tokenStore(connection.db, keys), ...options }),
    async passTime(seconds) {
      await connection.pool.query(
        `update oauth_token set obtained_at = obtained_at - make_interval(secs => $1),
          failure_at = failure_at - make_interval(secs => $1)`,
        [seconds],
      );
    },
  };
}
