/** The contacts of a mailbox, for those who look up senders. Needs the permission Contacts.Read. */
import { fail } from '../../errors.ts';
import type { GraphClient } from './client.ts';
import type { GraphPage } from './types.ts';

export interface Contact {
  id: string;
  displayName: string;
  givenName: string;
  surname: string;
  /** The first of its addresses. */
  address: string;
  company: string;
  phone: string;
  mobile: string;
}

interface GraphContact {
  id?: string;
  displayName?: string | null;
  givenName?: string | null;
  surname?: string | null;
  companyName?: string | null;
  emailAddresses?: { address?: string | null }[] | null;
  businessPhones?: string[] | null;
  mobilePhone?: string | null;
}

const SELECT =
  '$select=id,displayName,givenName,surname,companyName,emailAddresses,businessPhones,mobilePhone&$top=200';

/** Up to `most` contacts. */
export async function listContacts(client: GraphClient, most: number): Promise<Contact[]> {
  const contacts: Contact[] = [];
  let path: string | undefined = `${client.mailbox('/contacts')}?${SELECT}`;
  while (path !== undefined && contacts.length < most) {
    const page = ((await client.json(path, { what: 'list contacts' })) ?? {}) as GraphPage<GraphContact>;
    if (!Array.isArray(page.value)) throw fail('server_protocol', 'The answer is no list of contacts');
    contacts.push(...page.value.map(contactOf));
    const next = page['@odata.nextLink'];
    if (next === path) throw fail('server_protocol', 'The next page is the same page again');
    path = next;
  }
  return contacts.slice(0, most);
}

function contactOf(contact: GraphContact): Contact {
  return {
    id: contact.id ?? '',
    displayName: contact.displayName ?? '',
    givenName: contact.givenName ?? '',
    surname: contact.surname ?? '',
    address: contact.emailAddresses?.[0]?.address ?? '',
    company: contact.companyName ?? '',
    phone: contact.businessPhones?.[0] ?? '',
    mobile: contact.mobilePhone ?? '',
  };
}
