/** Fields of Microsoft's sign-in that a mailbox and a credential share (halo-api.md sections 3.6 and 4). */
import { fail } from '../../errors.ts';
import type { OauthSettings } from '../../store/mailbox-settings.ts';
import { invalid } from '../http/problem.ts';
import { AZURE_AUTHENTICATION, AZURE_AUTHORITY } from './enums.ts';

/** `azure_authentication_type`. Fails with `validation_failed`, and with `unsupported` for a password. */
export function grantOf(type: number): OauthSettings['grant'] {
  const field = 'azure_authentication_type';
  const grant = AZURE_AUTHENTICATION.word(type);
  if (grant === null) throw invalid(field, `must be one of ${AZURE_AUTHENTICATION.allowed}`);
  if (grant === 'password')
    throw fail('unsupported', 'Microsoft takes no passwords from applications any more.', { field });
  return grant;
}

/** `azure_authority`. Fails with `validation_failed`. */
export function cloudOf(authority: number): OauthSettings['cloud'] {
  const cloud = AZURE_AUTHORITY.word(authority);
  if (cloud === null) throw invalid('azure_authority', `must be one of ${AZURE_AUTHORITY.allowed}`);
  return cloud;
}
