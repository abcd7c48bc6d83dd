/** A rule with the defaults of halo-api.md section 5. */
import type { Rule, TagSlot } from './rule.ts';

export const blankSlot = (): TagSlot => ({
  startTag: '',
  endTag: '',
  length: 0,
  useEndOfLine: false,
  fieldName: '',
});

/** Without conditions, and asking for a ticket. It has no identity yet. */
export function blankRule(): Rule {
  return {
    id: 0,
    guid: '',
    name: '',
    type: 'help_request',
    enabled: false,
    mailboxId: null,
    sequence: 0,
    from: '',
    fromExact: false,
    to: '',
    toExact: false,
    matchCcAndBcc: false,
    subject: '',
    body: '',
    scanFullBody: true,
    matchOnAttachment: false,
    attachmentName: '',
    attachmentMatch: 'contains',
    patterns: [],
    slots: [blankSlot(), blankSlot(), blankSlot(), blankSlot(), blankSlot(), blankSlot()],
    userMatch: 'address',
    userFromTicket: false,
    fieldMappings: [],
    closeString: '',
    alwaysCloseAlerts: false,
    closedAlertsReadStatus: 'global',
    ticketTypeId: -1,
    privateActions: false,
    dontSendAcknowledgement: false,
    dontUpdateFromAddress: false,
    responseTemplateId: 0,
    pagerDuty: false,
    pagerDutyAgentId: 0,
    pagerDutyService: '',
    pagerDutyServiceName: '',
    splunkOnCall: false,
  };
}
