/** Rows of `/Outgoingemail`. */
import { allNot, type Endpoint, not } from './row.ts';

const PENDING = 'Not there yet.';

export const outgoingEmail: Endpoint<null> = {
  title: 'Outgoingemail',
  prepare: async () => null,
  calls: {
    'GET /Outgoingemail': { row: not(PENDING), query: allNot(PENDING, 'errorsonly') },
    'POST /Outgoingemail': { row: not(PENDING) },
    'DELETE /Outgoingemail/{id}': { row: not(PENDING) },
  },
  records: {
    Outgoingemail: allNot(
      PENDING,
      'id',
      'datesent',
      'memo',
      'html',
      'delete',
      'from',
      'to',
      'cc',
      'subject',
      'likely_cause',
      'changeseq',
      'type',
      'idone',
      'idtwo',
      'actiondate',
      'error',
      '_warning',
    ),
  },
};
