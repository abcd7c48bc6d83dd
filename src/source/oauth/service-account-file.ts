/** The key of a service account as Google's console gives it. */
import { fail } from '../../errors.ts';

export interface ServiceAccountKey {
  email: string;
  /** PEM. */
  privateKey: string;
  privateKeyId: string | null;
}

/** Reads the text of a key file. Fails with `validation_failed`, without telling what is in it. */
export function readServiceAccountKey(json: string): ServiceAccountKey {
  let value: Record<string, unknown> | null = null;
  try {
    value = JSON.parse(json) as Record<string, unknown> | null;
  } catch {
    // Told below.
  }
  const { client_email: email, private_key: privateKey, private_key_id: keyId } = value ?? {};
  if (typeof email !== 'string' || typeof privateKey !== 'string') {
    throw fail(
      'validation_failed',
      'The file is not the key of a service account: client_email or private_key is missing.',
    );
  }
  return { email, privateKey, privateKeyId: typeof keyId === 'string' ? keyId : null };
}
