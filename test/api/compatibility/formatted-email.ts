/** Rows of `/formattedemail`. */
import { allNot, type Endpoint, not } from './row.ts';

const PENDING = 'Not there yet.';

export const formattedEmail: Endpoint<null> = {
  title: 'formattedemail',
  prepare: async () => null,
  calls: {
    'GET /formattedemail': { row: not(PENDING) },
    'POST /formattedemail': { row: not(PENDING) },
    'GET /formattedemail/{id}': { row: not(PENDING), query: allNot(PENDING, 'includedetails') },
    'DELETE /formattedemail/{id}': { row: not(PENDING) },
  },
  records: {
    FormattedEmail: allNot(
      PENDING,
      'id',
      'fmid',
      'fmdata',
      'customer',
      'priority',
      'dateopened',
      'site',
      'email_to',
      'username',
      'timeopened',
      'subject',
      'details',
      'tickettype',
      'agent',
      'team',
      'category1',
      'category2',
      'category3',
      'category4',
      'opportunity_contact_name',
      'opportunity_company_name',
      'opportunity_email',
      'opportunity_phone',
      'opportunity_value',
      'email_cc',
      'opportunity_country',
      'template_name',
      '_warning',
    ),
  },
};
