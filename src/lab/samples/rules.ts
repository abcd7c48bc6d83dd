/**
 * Email rules for the sample mail, one of each kind, as a client posts them to /api/EmailRule. `patterns` is the
 * extension of Penstock; all other names are Halo's.
 */
import { BACKUP, CLOUD_STATUS, MONITORING, NEWS, ON_CALL, PAGER, SHOP, SUPPLIER, VIP } from './people.ts';

/** The part of Halo's EmailRule that these rules use. */
export interface SampleRule {
  name: string;
  type: number;
  enabled: boolean;
  seq: number;
  fromaddr?: string;
  fromaddrexact?: boolean;
  subject?: string;
  body?: string;
  matchonattachment?: boolean;
  attachmentname?: string;
  attachmentmatchtype?: number;
  scan_full_body?: boolean;
  requesttype?: number;
  closestring?: string;
  privateactions?: boolean;
  dontsendacknowledgement?: boolean;
  pagerduty?: boolean;
  pagerduty_service_name?: string;
  splunkoncall?: boolean;
  starttag?: string;
  endtag?: string;
  fieldname?: string;
  useendofline?: boolean;
  '2starttag'?: string;
  '2useendofline'?: boolean;
  '3starttag'?: string;
  '3useendofline'?: boolean;
  '3matchtype'?: number;
  '4starttag'?: string;
  '4endtag'?: string;
  '4useendofline'?: boolean;
  '6starttag'?: string;
  '6useendofline'?: boolean;
  fieldmappings?: {
    fieldid: number;
    fieldtype: number;
    searchtext?: string;
    starttag?: string;
    endtag?: string;
    value?: string;
  }[];
  patterns?: {
    field: string;
    pattern: string;
    flags: string;
    required: boolean;
    groups: { group: string; field: string }[];
  }[];
}

/** halo-style numbers of rule types. */
const IGNORE = 0;
const HELP_REQUEST = 1;
const SERVICE_STATUS = 2;
const SUPPLIER_UPDATE = 3;
const ALERT = 4;

const INCIDENT = 21;
const REQUEST = 1;
const PURCHASE = 7;
const STANDARD_FIELD = 0;
const CUSTOM_FIELD = 1;
const ATTACHMENT_STARTS_WITH = 2;

export const SAMPLE_RULES: readonly SampleRule[] = [
  {
    name: 'Newsletters',
    type: IGNORE,
    enabled: true,
    seq: 100,
    fromaddr: NEWS.address,
    patterns: [{ field: 'header:list-unsubscribe', pattern: '.', flags: '', required: true, groups: [] }],
  },
  {
    name: 'Monitoring alerts',
    type: ALERT,
    enabled: true,
    seq: 90,
    fromaddr: MONITORING.address,
    fromaddrexact: true,
    requesttype: INCIDENT,
    // The host is the asset; the alert key ties a recovery to its problem.
    starttag: 'Host: ',
    useendofline: true,
    fieldname: 'hostname',
    '4starttag': 'Alert-Key: [',
    '4endtag': ']',
    closestring: 'Notification Type: RECOVERY',
    dontsendacknowledgement: true,
  },
  {
    name: 'Pager incidents',
    type: ALERT,
    enabled: true,
    seq: 80,
    fromaddr: PAGER.address,
    requesttype: INCIDENT,
    pagerduty: true,
    pagerduty_service_name: 'Business services',
    '4starttag': 'Incident Number: ',
    '4useendofline': true,
    closestring: 'Status: Resolved',
    dontsendacknowledgement: true,
  },
  {
    name: 'On-call alerts',
    type: ALERT,
    enabled: true,
    seq: 80,
    fromaddr: ON_CALL.address,
    requesttype: INCIDENT,
    splunkoncall: true,
    '4starttag': 'Entity ID: ',
    '4useendofline': true,
    closestring: 'Message Type: RECOVERY',
    dontsendacknowledgement: true,
  },
  {
    name: 'Failed backups (regular expression)',
    type: HELP_REQUEST,
    enabled: true,
    seq: 70,
    fromaddr: BACKUP.address,
    requesttype: INCIDENT,
    privateactions: true,
    patterns: [
      {
        field: 'subject',
        pattern: '^\\[(?<host>[a-z]+-[0-9]+)\\] backup failed after (?<minutes>[0-9]+) min',
        flags: 'i',
        required: true,
        groups: [
          { group: 'host', field: 'Host' },
          { group: 'minutes', field: 'Minutes' },
        ],
      },
    ],
  },
  {
    name: 'Hosting status',
    type: SERVICE_STATUS,
    enabled: true,
    seq: 60,
    fromaddr: CLOUD_STATUS.address,
    subject: 'Status update',
    starttag: 'Service: ',
    useendofline: true,
    '2starttag': 'Status: ',
    '2useendofline': true,
  },
  {
    name: 'Copperline cases',
    type: SUPPLIER_UPDATE,
    enabled: true,
    seq: 50,
    fromaddr: SUPPLIER.address,
    '6starttag': 'Supplier reference: ',
    '6useendofline': true,
  },
  {
    name: 'Orders',
    type: HELP_REQUEST,
    enabled: true,
    seq: 40,
    fromaddr: SHOP.address,
    subject: 'New order',
    requesttype: PURCHASE,
    // The order is opened for the person who asked for it, not for the order desk.
    '3starttag': 'Requested by: ',
    '3useendofline': true,
    '3matchtype': 0,
    fieldmappings: [
      { fieldid: 201, fieldtype: CUSTOM_FIELD, starttag: 'Order number: ', endtag: 'Requested by' },
      { fieldid: 202, fieldtype: CUSTOM_FIELD, starttag: 'Cost centre: ', endtag: 'Deliver to' },
      { fieldid: 203, fieldtype: CUSTOM_FIELD, starttag: 'Total: ', endtag: ' EUR' },
      { fieldid: 3, fieldtype: STANDARD_FIELD, searchtext: 'Priority: Urgent', value: '1' },
    ],
  },
  {
    name: `VIP: ${VIP.name}`,
    type: HELP_REQUEST,
    enabled: true,
    seq: 30,
    fromaddr: VIP.address,
    fromaddrexact: true,
    requesttype: REQUEST,
    scan_full_body: false,
  },
  {
    name: 'Invoices by attachment name',
    type: HELP_REQUEST,
    enabled: true,
    seq: 20,
    matchonattachment: true,
    attachmentname: 'invoice',
    attachmentmatchtype: ATTACHMENT_STARTS_WITH,
    requesttype: PURCHASE,
  },
  {
    // Shows that a rule that is switched off is seen and passed over.
    name: 'Everything else (switched off)',
    type: IGNORE,
    enabled: false,
    seq: 0,
  },
];
