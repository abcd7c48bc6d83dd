/** When what a mailbox logs in with comes to its end, as far as that is known: for warnings before it happens. */
import { readCertificate } from './assertion.ts';
import type { ClientAuth, Credential } from './credential.ts';

export interface ExpiryFact {
  what: 'client_secret' | 'certificate' | 'refresh_token';
  /** ISO instant. */
  at: string;
}

/** `refreshTokenExpiresAt` is what the server said at the last renewal, an ISO instant or null. */
export function expiryFacts(credential: Credential, refreshTokenExpiresAt: string | null): ExpiryFact[] {
  const { grant } = credential;
  const facts: ExpiryFact[] = [];
  if ('client' in grant) facts.push(...clientExpiry(grant.client));
  if (grant.kind === 'refresh_token' && refreshTokenExpiresAt !== null) {
    facts.push({ what: 'refresh_token', at: refreshTokenExpiresAt });
  }
  return facts;
}

function clientExpiry(client: ClientAuth): ExpiryFact[] {
  if (client.kind === 'secret' && client.expiresAt !== null) {
    return [{ what: 'client_secret', at: client.expiresAt }];
  }
  if (client.kind !== 'certificate') return [];
  return [{ what: 'certificate', at: readCertificate(client.certificate).validToDate.toISOString() }];
}
