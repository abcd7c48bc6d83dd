/** A program that asks for the token of the credential it is given, and prints it. */
import { TokenService } from '../../src/source/oauth/token-service.ts';
import { openDatabase } from '../../src/store/database.ts';
import { loadKeyring } from '../../src/store/keyring.ts';
import { tokenStore } from '../../src/store/oauth-tokens.ts';

const { url, keyFile, credential } = JSON.parse(process.argv[2] ?? '{}');
const connection = openDatabase(url, { connections: 2, onError: () => undefined });
const service = new TokenService({ store: tokenStore(connection.db, await loadKeyring(keyFile, false)) });
try {
  console.log(`token ${await service.token(credential)}`);
} finally {
  await connection.close();
}
