/** The fields of Halo's user list item (halo-api.md section 10), which is a row of the address book. */
import Type, { type Static, type TSchema } from 'typebox';
import { flag, int, text } from './fields.ts';

const number = (description: string) =>
  Type.Optional(Type.Unsafe<number | null>({ type: ['number', 'null'], description }));

/** Fields that Penstock finds users by, or makes for them. */
const used = {
  id: int('Primary key; absent or 0 creates, or updates the user with this emailaddress.'),
  name: text('Name. Default that of firstname and surname, else the address.', 255),
  firstname: text('Given name.', 255),
  surname: text('Family name.', 255),
  emailaddress: text('Address; required, and no other user has it.', 320),
  email2: text('A second address.', 320),
  email3: text('A third address.', 320),
  login: text('Login name.', 255),
  site_id: number('Site.'),
  site_id_int: int('Computed: the site.'),
  site_name: text('Computed: name of the site.'),
  client_id: int('Client.'),
  organisation_id: int('Organisation.'),
  department_id: int('Department.'),
  toplevel_id: int('Top level.'),
  linked_agent_id: int('Agent that the user is; 0 = none.'),
  linked_to_user_id: int('User that this one is linked to.'),
  relationship_id: int('Kind of relationship.'),
  isapprover: flag('The user approves.'),
  isserviceaccount: flag('An account of a machine.'),
  inactive: flag('Not used any more. Mail finds active users only.'),
  role_list: text('Numbers of roles, with commas between.'),
  azure_id: text('Id in Microsoft Entra.', 255),
  okta_id: text('Id in Okta.', 255),
  user_with_clientsite: text('Computed: name, client and site.'),
  use: text('Computed: user.'),
  _warning: text('Only in answers.'),
} satisfies Record<string, TSchema>;

/** Phone numbers, which a search can look into. */
const phones = {
  phonenumber: text('Phone.', 100),
  homenumber: text('Phone at home.', 100),
  mobilenumber: text('Mobile phone.', 100),
  mobilenumber2: text('Second mobile phone.', 100),
} satisfies Record<string, TSchema>;

/** Kept for Halo's clients. */
const kept = {
  client_name: text('Name of the client.', 255),
  initials: text('Initials.', 50),
  title: text('Title.', 100),
  phonenumber_preferred: text('Phone to call first.', 100),
  sitephonenumber: text('Phone of the site.', 100),
  ...phones,
  fax: text('Fax.', 100),
  telpref: int('Which phone to call first.'),
  activedirectory_dn: text('Distinguished name in the directory.'),
  onpremise_activedirectory_dn: text('The same in the directory on premises.'),
  container_dn: text('Distinguished name of the container.'),
  colour: text('Colour.', 50),
  isimportantcontact: flag('Important.'),
  isimportantcontact2: flag('Important, too.'),
  other1: text('Free field.', 255),
  other2: text('Free field.', 255),
  other3: text('Free field.', 255),
  other4: text('Free field.', 255),
  other5: text('Free field.', 255),
  neversendemails: flag('Gets no mail.'),
  default_currency_code: int('Currency.'),
  priority_id: int('Priority.'),
  ignoreautomatedbilling: flag('Not billed by itself.'),
  connectwiseid: int('Id in ConnectWise.'),
  autotaskid: int('Id in Autotask.'),
  messagegroup_id: int('Template group.'),
  sitetimezone: text('Time zone of the site.', 100),
  client_account_manager_id: int('Account manager of the client.'),
} satisfies Record<string, TSchema>;

/** Kept, and shown only when asked for. */
const notes = { notes: text('Notes; in lists only with includenotes.', 64_000) } satisfies Record<
  string,
  TSchema
>;

export const KEPT_FIELDS: readonly string[] = [...Object.keys(kept), ...Object.keys(notes)];

const CustomField = Type.Object(
  {
    id: int('Id of the field.'),
    name: text('Its name.', 255),
    value: Type.Optional(
      Type.Unsafe<string | number | boolean | null>({
        type: ['string', 'number', 'boolean', 'null'],
        maxLength: 4_000,
        description: 'Its value.',
      }),
    ),
  },
  { title: 'CustomField' },
);

const record = Type.Object({
  ...used,
  ...notes,
  customfields: Type.Optional(
    Type.Unsafe<Static<typeof CustomField>[] | null>({
      type: ['array', 'null'],
      items: CustomField,
      maxItems: 200,
      description: 'Custom fields; in lists those of include_custom_fields.',
    }),
  ),
});
export type UserItem = Static<typeof record> & Record<string, unknown>;

export const HaloUser = Type.Unsafe<UserItem>(
  Type.Object({ ...record.properties, ...kept }, { title: 'UserListItem' }),
);
