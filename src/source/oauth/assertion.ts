/** Signed statements about who we are: client assertions for Entra, service account assertions for Google. */
import { createHash, createPrivateKey, type KeyObject, randomUUID, X509Certificate } from 'node:crypto';
import { SignJWT } from 'jose';
import { fail } from '../../errors.ts';

const MINUTE_S = 60;

/**
 * Proves an application by its certificate (RFC 7523 section 2.2; PS256 and `x5t#S256` as Entra asks for). `now` is
 * the time in milliseconds. Fails with `credential_refused` when key or certificate cannot be read.
 */
export async function clientAssertion(
  client: { privateKey: string; certificate: string },
  clientId: string,
  tokenUrl: string,
  now: number,
): Promise<string> {
  const { raw } = readCertificate(client.certificate);
  const seconds = Math.floor(now / 1000);
  return await new SignJWT({})
    .setProtectedHeader({
      alg: 'PS256',
      typ: 'JWT',
      'x5t#S256': createHash('sha256').update(raw).digest('base64url'),
    })
    .setIssuer(clientId)
    .setSubject(clientId)
    .setAudience(tokenUrl)
    .setJti(randomUUID())
    .setNotBefore(seconds - 5 * MINUTE_S)
    .setExpirationTime(seconds + 10 * MINUTE_S)
    .sign(readKey(client.privateKey));
}

/** Asks for a token in the name of a user (RFC 7523 section 2.1, Google's domain-wide delegation), or its own. */
export async function serviceAccountAssertion(
  account: { email: string; privateKey: string; privateKeyId: string | null; subject: string | null },
  scope: string,
  tokenUrl: string,
  now: number,
): Promise<string> {
  const seconds = Math.floor(now / 1000);
  const keyId = account.privateKeyId === null ? {} : { kid: account.privateKeyId };
  const about = account.subject === null ? {} : { sub: account.subject };
  return await new SignJWT({ scope, ...about })
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT', ...keyId })
    .setIssuer(account.email)
    .setAudience(tokenUrl)
    .setIssuedAt(seconds)
    .setExpirationTime(seconds + 60 * MINUTE_S)
    .sign(readKey(account.privateKey));
}

/** Reads a PEM certificate. Fails with `credential_refused`. */
export function readCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw fail('credential_refused', 'The certificate is not a PEM certificate', {}, error);
  }
}

function readKey(pem: string): KeyObject {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === 'rsa') return key;
  } catch (error) {
    throw fail('credential_refused', 'The private key is not a PEM key without a passphrase', {}, error);
  }
  throw fail('credential_refused', 'The private key must be an RSA key');
}
