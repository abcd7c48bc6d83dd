/** Rows of `/Control`: the settings that the mail subsystem depends on (halo-domain.md section 7). */

import type { Static } from 'typebox';
import { expect } from 'vitest';
import { draftControl, type HaloControl } from '../../../src/api/halo/control.ts';
import { newMailbox } from '../fixture.ts';
import { type Case, judge, TICKET } from './judge.ts';
import { type Endpoint, not, ok, type Row, works } from './row.ts';

type Item = Record<string, unknown>;

const mail = (...fields: string[]): string[] => [
  'From: Ann <ann@example.org>',
  'To: support@example.org',
  ...fields,
  '',
  'Hello.',
  '',
];
const NEW = mail('Subject: New');
const REPLY = mail('Subject: Re: [ID:0000007] Printer');

/** The value is stored, and an outcome differs by it. */
function effect(value: unknown, given: Partial<Case> = {}, more: Item = {}, note?: string): Row<null> {
  return works(async (api, _world, name) => {
    const saved = (await ok(api.send('POST', '/api/Control', [{ [name]: value }]))).json() as Item;
    expect(saved[name]).toEqual(value);
    await ok(api.send('POST', '/api/Control', [{ [name]: null }]));
    const outcome = async (item: Item) =>
      await judge({ message: NEW, ...given, control: draftControl(item as Static<typeof HaloControl>, {}) });
    return [await outcome(more), await outcome({ ...more, [name]: value })];
  }, note);
}

const otherMailbox = { tickets: [{ ...TICKET, mailboxId: 2 }], message: REPLY };
const alternative = {
  requesters: [
    {
      id: 5,
      name: 'Ann',
      address: 'ann@home.example',
      alternativeAddresses: ['ann@example.org'],
      login: '',
      isAgent: false,
    },
  ],
};

export const control: Endpoint<null> = {
  title: 'Control',
  about: `
- What is posted wins over the configuration file; \`null\` takes it back. The record has no \`id\`.
- The \`incoming_…\` settings are for mailboxes that leave the same setting at its default: a mailbox's own choice wins.`,
  prepare: async () => null,
  calls: {
    'GET /Control': {
      row: works(async (api) => {
        const before = (await ok(api.send('GET', '/api/Control'))).json();
        await ok(api.send('POST', '/api/Control', [{ email_start_tag: '<<' }]));
        const after = (await ok(api.send('GET', '/api/Control'))).json();
        await ok(api.send('POST', '/api/Control', [{ email_start_tag: null }]));
        return [before, after];
      }),
    },
    'POST /Control': {
      row: works(async (api) => [undefined, (await ok(api.send('POST', '/api/Control', {}))).json()]),
    },
  },
  records: {
    Control: {
      email_start_tag: effect('#', { message: mail('Subject: #7] again'), tickets: [TICKET] }),
      email_end_tag: effect('!', { message: mail('Subject: [ID:7! again'), tickets: [TICKET] }),
      emailmustmatchrule: effect(true),
      matchemailsonsubjectandfrom: effect(true, { message: mail('Subject: Printer'), tickets: [TICKET] }),
      onlyrouteemailtoexistingticketifsamemailbox: effect(true, otherMailbox),
      auto_reply_dont_update: effect(true, {
        tickets: [TICKET],
        message: mail('Subject: Re: [ID:7] Printer', 'Auto-Submitted: auto-replied'),
      }),
      stopnewticketsviaemail: effect(true),
      stopnewticketsviaemailreplywithtemplate_id: effect(9, {}, { stopnewticketsviaemail: true }),
      makeemailsfromdifferentdomainprivate: effect(true, {
        message: REPLY,
        tickets: [{ ...TICKET, requesterAddress: 'ann@other.example' }],
      }),
      usermatchalternativeemailaddress: effect(
        true,
        alternative,
        {},
        'The name is that of the storage column without its first letter.',
      ),
      incoming_unmatched_users: effect(2),
      incoming_default_user: effect(5, {}, { incoming_unmatched_users: 1 }),
      incoming_newuser_default_site: effect(6),
      incoming_newuser_send_welcome_email: effect(true),
      incoming_newuser_send_ack: effect(true),
      default_mailbox_id: works(async (api) => {
        const id = await newMailbox(api);
        const saved = (
          await ok(api.send('POST', '/api/Control', [{ default_mailbox_id: id }]))
        ).json() as Item;
        await ok(api.send('POST', '/api/Control', [{ default_mailbox_id: null }]));
        return [0, saved.default_mailbox_id];
      }),
      emailsendervalidation: not('Only "no verification" is publicly known of it, and that is what is done.'),
      emailsizelimitmb: not('Each mailbox has a limit of its own, `penstock.max_message_bytes`.'),
      storeoutgoingemails: not('What is sent is always kept.'),
      useincomingservice: not('Penstock is the incoming service.'),
    },
  },
};
