/** How a mailbox sends, as stored beside its other settings. The password is a secret (`smtp_password`). */
import Type, { type Static } from 'typebox';

const text = (maxLength: number) => Type.String({ maxLength });

export const SendingSettings = Type.Object({
  /** Through the API that the mailbox is read by, or through an SMTP server. */
  by: Type.Enum(['api', 'smtp']),
  smtp: Type.Union([
    Type.Object({
      host: Type.String({ minLength: 1, maxLength: 255 }),
      port: Type.Integer({ minimum: 1, maximum: 65_535 }),
      tls: Type.Enum(['implicit', 'starttls', 'none']),
      tlsVerify: Type.Boolean(),
      tlsCa: Type.Union([text(64_000), Type.Null()]),
      /** `oauth`: tokens as the mailbox itself gets them. */
      auth: Type.Enum(['none', 'password', 'oauth']),
      user: text(320),
    }),
    Type.Null(),
  ]),
  /** Null: the first of the mailbox's own addresses. */
  address: Type.Union([Type.String({ minLength: 3, maxLength: 320 }), Type.Null()]),
  displayName: text(255),
  /** Answers go to `address+TOKEN@...`. Only where the server takes such addresses. */
  replyTag: Type.Boolean(),
  signature: text(16_000),
  signatureHtml: text(64_000),
  /** Templates for what is sent by itself; 0 = ours. */
  acknowledgementTemplateId: Type.Integer({ minimum: 0 }),
  welcomeTemplateId: Type.Integer({ minimum: 0 }),
  concurrency: Type.Integer({ minimum: 1, maximum: 20 }),
  perMinute: Type.Integer({ minimum: 1, maximum: 10_000 }),
});
export type SendingSettings = Static<typeof SendingSettings>;

/** What holds for a mailbox that nobody gave any. Exchange Online takes 30 mails a minute. */
export function defaultSending(by: SendingSettings['by']): SendingSettings {
  return {
    by,
    smtp: null,
    address: null,
    displayName: '',
    replyTag: false,
    signature: '',
    signatureHtml: '',
    acknowledgementTemplateId: 0,
    welcomeTemplateId: 0,
    concurrency: 2,
    perMinute: 30,
  };
}

/** How a mailbox sends; null when it cannot. A Graph or Gmail mailbox can without being told how. */
export function sendingOf(mailbox: {
  kind: string;
  settings: { sending?: SendingSettings | null; addresses: readonly string[] };
}): (SendingSettings & { address: string }) | null {
  const { kind, settings } = mailbox;
  const hasApi = kind === 'graph' || kind === 'gmail';
  const sending = settings.sending ?? (hasApi ? defaultSending('api') : null);
  if (sending === null || (sending.by === 'smtp' && sending.smtp === null)) return null;
  const address = sending.address ?? settings.addresses[0];
  return address === undefined ? null : { ...sending, address };
}
