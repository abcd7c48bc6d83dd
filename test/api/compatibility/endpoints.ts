/** All endpoints of the table, in the order of the page. */
import { addressBook } from './address-book.ts';
import { control } from './control.ts';
import { emailRule } from './email-rule.ts';
import { emailStore } from './email-store.ts';
import { formattedEmail } from './formatted-email.ts';
import { incomingEmail } from './incoming-email.ts';
import { mail } from './mail.ts';
import { mailbox } from './mailbox.ts';
import { mailboxCredential } from './mailbox-credential.ts';
import { outgoingEmail } from './outgoing-email.ts';
import type { AnyEndpoint } from './row.ts';
import { signIn } from './sign-in.ts';

export const ENDPOINTS: readonly AnyEndpoint[] = [
  signIn,
  mail,
  mailbox,
  mailboxCredential,
  emailRule,
  incomingEmail,
  emailStore,
  outgoingEmail,
  formattedEmail,
  addressBook,
  control,
];

/** Calls that Halo does not have. They are described in the API's own document. */
export const OURS: readonly string[] = [
  'POST /Mailbox/{id}/poll',
  'POST /Mailbox/{id}/refetch',
  'POST /EmailRule/test',
  'POST /incomingemail/release',
  'GET /incomingemail/{id}/raw',
  'GET /incomingemail/{id}/mimemessage',
  'GET /incomingemail/{id}/trace',
  'POST /incomingemail/{id}/release',
  'POST /Mailbox/{id}/authorize',
  'GET /Destination',
  'GET /Destination/{id}',
  'POST /Destination',
  'DELETE /Destination/{id}',
  'POST /Destination/{id}/test',
  'POST /Destination/{id}/replay',
  'POST /Destination/{id}/release',
  'GET /Delivery',
  'GET /Site',
  'POST /Site',
  'DELETE /Site/{id}',
];
