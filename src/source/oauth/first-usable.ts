/** Several credentials of one mailbox: the first that works is used. */
import { asPenstockError, type PenstockError } from '../../errors.ts';
import type { Credential } from './credential.ts';
import type { TokenService } from './token-service.ts';

/** A token and the credential that it was got with. */
export interface UsableToken {
  credential: Credential;
  token: string;
}

/**
 * Tries them in their order. What failed is noted with each by the service, so that a dead one costs no request. When
 * none works, fails with what says most: see {@link worstReason}.
 */
export async function firstUsable(
  service: Pick<TokenService, 'token'>,
  credentials: readonly Credential[],
): Promise<UsableToken> {
  const errors: PenstockError[] = [];
  for (const credential of credentials) {
    try {
      return { credential, token: await service.token(credential) };
    } catch (thrown) {
      errors.push(asPenstockError(thrown));
    }
  }
  throw worstReason(errors);
}

/**
 * The error to show for all of them: while one may recover by itself, waiting is right, and the soonest counts; else
 * the first one is what a person should mend.
 */
export function worstReason(errors: readonly PenstockError[]): PenstockError {
  const waitOf = ({ fields }: PenstockError): number =>
    typeof fields.backoffMs === 'number' ? fields.backoffMs : 0;
  const [soonest] = errors.filter((error) => error.temporary).sort((a, b) => waitOf(a) - waitOf(b));
  const reason = soonest ?? errors[0];
  return reason ?? asPenstockError(new Error('The mailbox has no credential'), 'validation_failed');
}
