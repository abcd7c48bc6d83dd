/** `/Mailbox/{id}/OutlookContacts` (halo-api.md 3.5). */
import Type from 'typebox';
import { fail } from '../../errors.ts';
import { findMailbox } from '../../store/mailboxes.ts';
import { text } from '../halo/fields.ts';
import { byId } from '../http/shapes.ts';
import type { Api } from '../route.ts';
import type { ApiContext } from '../services.ts';

const OutlookContact = Type.Object({
  id: text('Id of the contact in Outlook.'),
  displayname: text('Name to show.'),
  firstname: text('Given name.'),
  surname: text('Family name.'),
  emailaddress: text('The first of its addresses.'),
  companyname: text('Company.'),
  phonenumber: text('The first business phone.'),
  mobilenumber: text('Mobile phone.'),
});

export function outlookContactRoutes(app: Api, { db, services }: ApiContext): void {
  app.get(
    '/Mailbox/:id/OutlookContacts',
    {
      config: { access: 'admin' },
      schema: {
        tags: ['Mailbox'],
        summary: 'List the contacts of a Graph mailbox',
        description:
          'Asked of Microsoft Graph each time. The application needs the permission Contacts.Read.',
        params: byId,
        response: { 200: Type.Array(OutlookContact) },
      },
    },
    async (request) => {
      const { id } = request.params;
      const mailbox = await findMailbox(db, id);
      if (mailbox === null) throw fail('not_found', `There is no mailbox ${id}.`);
      const contacts = await services.contacts(mailbox);
      return contacts.map((contact) => ({
        id: contact.id,
        displayname: contact.displayName,
        firstname: contact.givenName,
        surname: contact.surname,
        emailaddress: contact.address,
        companyname: contact.company,
        phonenumber: contact.phone,
        mobilenumber: contact.mobile,
      }));
    },
  );
}
