/**
 * Names and types of what Microsoft's published v1.0 service metadata says of mail, for those entities that the lab's
 * Graph answers with; and a check of answers against them. Nothing else keeps that server honest.
 */

/** `text` Edm.String, `time` Edm.DateTimeOffset, `list:x` Collection(x). With `!` it is never null. */
type Properties = Readonly<Record<string, string>>;

const ENTITIES: Readonly<Record<string, Properties>> = {
  mailFolder: {
    id: 'text!',
    childFolderCount: 'integer',
    displayName: 'text',
    isHidden: 'boolean',
    parentFolderId: 'text',
    totalItemCount: 'integer',
    unreadItemCount: 'integer',
  },
  message: {
    id: 'text!',
    categories: 'list:text',
    changeKey: 'text',
    createdDateTime: 'time',
    lastModifiedDateTime: 'time',
    bccRecipients: 'list:recipient',
    body: 'itemBody',
    bodyPreview: 'text',
    ccRecipients: 'list:recipient',
    conversationId: 'text',
    conversationIndex: 'text',
    flag: 'followupFlag',
    from: 'recipient',
    hasAttachments: 'boolean',
    importance: 'importance',
    inferenceClassification: 'inferenceClassificationType',
    internetMessageHeaders: 'list:internetMessageHeader',
    internetMessageId: 'text',
    isDeliveryReceiptRequested: 'boolean',
    isDraft: 'boolean',
    isRead: 'boolean',
    isReadReceiptRequested: 'boolean',
    parentFolderId: 'text',
    receivedDateTime: 'time',
    replyTo: 'list:recipient',
    sender: 'recipient',
    sentDateTime: 'time',
    subject: 'text',
    toRecipients: 'list:recipient',
    uniqueBody: 'itemBody',
    webLink: 'text',
    singleValueExtendedProperties: 'list:singleValueLegacyExtendedProperty',
  },
  contact: {
    id: 'text!',
    displayName: 'text',
    givenName: 'text',
    surname: 'text',
    companyName: 'text',
    emailAddresses: 'list:emailAddress',
    businessPhones: 'list:text',
    mobilePhone: 'text',
  },
  subscription: {
    id: 'text!',
    applicationId: 'text',
    changeType: 'text!',
    clientState: 'text',
    creatorId: 'text',
    encryptionCertificate: 'text',
    encryptionCertificateId: 'text',
    expirationDateTime: 'time!',
    includeResourceData: 'boolean',
    latestSupportedTlsVersion: 'text',
    lifecycleNotificationUrl: 'text',
    notificationQueryOptions: 'text',
    notificationUrl: 'text!',
    notificationUrlAppId: 'text',
    resource: 'text!',
  },
  changeNotification: {
    changeType: 'changeType!',
    clientState: 'text',
    encryptedContent: 'changeNotificationEncryptedContent',
    id: 'text',
    lifecycleEvent: 'lifecycleEventType',
    resource: 'text!',
    resourceData: 'resourceData',
    subscriptionExpirationDateTime: 'time!',
    subscriptionId: 'guid!',
    tenantId: 'guid!',
  },
  recipient: { emailAddress: 'emailAddress' },
  emailAddress: { address: 'text', name: 'text' },
  followupFlag: { flagStatus: 'followupFlagStatus' },
  singleValueLegacyExtendedProperty: { id: 'text!', value: 'text' },
  /** Without properties of its own in the metadata; what is in it is up to the resource. */
  resourceData: { id: 'text' },
};

const ENUMS: Readonly<Record<string, readonly string[]>> = {
  importance: ['low', 'normal', 'high'],
  inferenceClassificationType: ['focused', 'other'],
  changeType: ['created', 'updated', 'deleted'],
  lifecycleEventType: ['missed', 'subscriptionRemoved', 'reauthorizationRequired'],
  followupFlagStatus: ['notFlagged', 'complete', 'flagged'],
};

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z$/;
const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** What of `value` is not as the metadata says of this type; what OData adds (`@odata...`) is let through. */
export function typeFaults(value: unknown, type: string, where: string = type): string[] {
  const required = type.endsWith('!');
  const plain = required ? type.slice(0, -1) : type;
  if (value === null || value === undefined) return required ? [`${where} is missing`] : [];
  if (plain.startsWith('list:')) {
    if (!Array.isArray(value)) return [`${where} is no collection`];
    return value.flatMap((item, index) => typeFaults(item, plain.slice(5), `${where}[${index}]`));
  }
  const allowed = ENUMS[plain];
  if (allowed) return allowed.includes(value as string) ? [] : [`${where} is no ${plain}: ${value}`];
  const properties = ENTITIES[plain];
  if (properties) return entityFaults(value, properties, where);
  return isScalar(value, plain) ? [] : [`${where} is no ${plain}: ${JSON.stringify(value)}`];
}

/** Properties that were chosen away with `$select` may be missing. */
function entityFaults(value: unknown, properties: Properties, where: string): string[] {
  if (typeof value !== 'object') return [`${where} is no object`];
  return Object.entries(value as Record<string, unknown>).flatMap(([name, given]) => {
    if (name.includes('@')) return [];
    const type = properties[name];
    return type === undefined
      ? [`${where}.${name} is not in the metadata`]
      : typeFaults(given, type, `${where}.${name}`);
  });
}

function isScalar(value: unknown, type: string): boolean {
  switch (type) {
    case 'text':
      return typeof value === 'string';
    case 'integer':
      return Number.isInteger(value);
    case 'boolean':
      return typeof value === 'boolean';
    case 'time':
      return typeof value === 'string' && TIME.test(value);
    case 'guid':
      return typeof value === 'string' && GUID.test(value);
    default:
      return false;
  }
}
