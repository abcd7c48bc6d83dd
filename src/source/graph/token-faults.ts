/**
 * What is wrong when Microsoft Entra gives no token, by the number in its message (AADSTS...), and what to change.
 * Source: the list of Entra's authentication error codes.
 */
interface TokenFault {
  found: string;
  advice: string;
}

const FAULTS: ReadonlyMap<string, TokenFault> = new Map([
  [
    '90002',
    { found: 'The tenant does not exist', advice: 'Check the tenant id, and the cloud it belongs to.' },
  ],
  [
    '900023',
    { found: 'The tenant id is malformed', advice: 'Give the tenant as a GUID or as a domain name.' },
  ],
  [
    '700016',
    {
      found: 'The application is not known in this tenant',
      advice: 'Check the application id; an administrator of the tenant must have added the application.',
    },
  ],
  [
    '7000215',
    {
      found: 'The client secret is wrong',
      advice: 'Give the value of the secret, not its id, as it was shown when it was made.',
    },
  ],
  [
    '7000222',
    { found: 'The client secret has expired', advice: 'Make a new client secret and give it here.' },
  ],
  [
    '700027',
    {
      found: 'The certificate of the application is not accepted',
      advice: 'Upload the certificate to the application.',
    },
  ],
  [
    '65001',
    {
      found: 'Nobody has consented to the permissions',
      advice: 'Let an administrator grant consent to the application.',
    },
  ],
  ['50034', { found: 'The user does not exist in this tenant', advice: 'Check the user name.' }],
  [
    '50057',
    { found: 'The user account is disabled', advice: 'Enable the account, or sign in with another one.' },
  ],
  ['50076', { found: 'A second factor is demanded', advice: 'Sign in again in the browser.' }],
  [
    '50173',
    { found: 'The sign-in has been revoked, for example by a new password', advice: 'Sign in again.' },
  ],
  ['700082', { found: 'The sign-in has expired for lack of use', advice: 'Sign in again.' }],
  ['70008', { found: 'The sign-in has expired', advice: 'Sign in again.' }],
]);

/** The fault that an error text of Entra names; null when it names none that is known here. */
export function tokenFault(text: string): TokenFault | null {
  const number = /AADSTS(\d{4,8})/.exec(text)?.[1];
  return (number !== undefined && FAULTS.get(number)) || null;
}
