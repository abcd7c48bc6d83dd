/** How Halo's SMTP fields, and ours beside them, say by what a mailbox sends (halo-api.md section 4). */
import Type, { type Static } from 'typebox';
import { factsOf } from '../../source/kinds.ts';
import type { Mailbox } from '../../store/mailboxes.ts';
import { defaultSending, type SendingSettings } from '../../store/sending-settings.ts';
import { text } from './fields.ts';

const choice = <T extends string>(choices: readonly T[], description: string) =>
  Type.Optional(Type.Enum([...choices], { description }));
const number = (minimum: number, maximum: number, description: string) =>
  Type.Optional(Type.Integer({ minimum, maximum, description }));

/** What a posted item asks for, against what the client was shown. */
interface Asked {
  asks(field: string): boolean;
  value<T>(field: string, byDefault: T): T;
}

/** `penstock.sending`. */
export const SendingExtension = Type.Object({
  tls: choice(
    ['implicit', 'starttls', 'none'],
    'How the connection to smtpserver is secured; default: by smtpport.',
  ),
  tls_verify: Type.Optional(Type.Boolean({ description: 'False accepts any certificate.' })),
  tls_ca: text('PEM of an extra certificate authority.', 64_000),
  auth: choice(
    ['none', 'password', 'oauth'],
    'How to log in to smtpserver; oauth takes the tokens of the mailbox.',
  ),
  reply_tag: Type.Optional(
    Type.Boolean({ description: 'Answers go to address+TOKEN@..., where the server takes such addresses.' }),
  ),
  signature: text('For {{signature}} in text.', 16_000),
  signature_html: text('For {{signature}} in HTML.', 64_000),
  acknowledgement_template_id: number(
    0,
    2_147_483_647,
    'FormattedEmail that acknowledges new tickets; 0 = ours.',
  ),
  welcome_template_id: number(0, 2_147_483_647, 'FormattedEmail that welcomes new users; 0 = ours.'),
  concurrency: number(1, 20, 'Mails on their way at once. Default 2.'),
  per_minute: number(1, 10_000, 'Mails sent in a minute. Default 30, as Exchange Online takes.'),
});
export type SendingExtension = Static<typeof SendingExtension>;

/** Halo's fields that decide it. A save that changes none of them, nor ours, leaves the setting alone. */
const FIELDS = [
  'type',
  'smtpserver',
  'smtpport',
  'smtpusetls',
  'smtpusername',
  'smtpaddress',
  'smtpdisplayname',
  'usesmtpforazuremailbox',
];

/** Applies the fields about sending. Nothing given: Graph and Gmail send through their API, others not at all. */
export function readSending(
  { asks, value }: Asked,
  mailbox: Mailbox,
  given: SendingExtension | undefined,
): void {
  const { settings, kind } = mailbox;
  if (given === undefined && !FIELDS.some((field) => asks(field))) return;
  const hasApi = factsOf(kind).api !== null;
  const host = value('smtpserver', '').trim();
  const bySmtp = host !== '' && (!hasApi || kind === 'gmail' || value('usesmtpforazuremailbox', false));
  const before = settings.sending ?? defaultSending(bySmtp ? 'smtp' : 'api');
  const port = value('smtpport', 0);
  const tls = given?.tls ?? tlsOf(port, value('smtpusetls', false), asks('smtpusetls'), before.smtp?.tls);
  const user = value('smtpusername', '').trim() || settings.server.user;
  const login = settings.server.auth === 'oauth' && !hasApi ? 'oauth' : 'password';
  const smtp = {
    host,
    port: port || (tls === 'implicit' ? 465 : 587),
    tls,
    tlsVerify: given?.tls_verify ?? before.smtp?.tlsVerify ?? settings.server.tlsVerify,
    tlsCa: given?.tls_ca === undefined ? (before.smtp?.tlsCa ?? settings.server.tlsCa) : given.tls_ca || null,
    auth: given?.auth ?? before.smtp?.auth ?? login,
    user,
  };
  const sending: SendingSettings = {
    ...before,
    by: bySmtp ? 'smtp' : 'api',
    smtp: bySmtp ? smtp : null,
    address: value('smtpaddress', '').trim() || null,
    displayName: value('smtpdisplayname', '').trim(),
    replyTag: given?.reply_tag ?? before.replyTag,
    signature: given?.signature ?? before.signature,
    signatureHtml: given?.signature_html ?? before.signatureHtml,
    acknowledgementTemplateId: given?.acknowledgement_template_id ?? before.acknowledgementTemplateId,
    welcomeTemplateId: given?.welcome_template_id ?? before.welcomeTemplateId,
    concurrency: given?.concurrency ?? before.concurrency,
    perMinute: given?.per_minute ?? before.perMinute,
  };
  // A mailbox that neither has an API nor was given a server keeps no sending settings: it cannot send.
  settings.sending = !bySmtp && !hasApi ? null : sending;
}

/** Port 465 is TLS from the beginning. Only a client that says false gets a connection without. */
function tlsOf(
  port: number,
  usesTls: boolean,
  isAsked: boolean,
  before: 'implicit' | 'starttls' | 'none' | undefined,
): 'implicit' | 'starttls' | 'none' {
  if (isAsked && !usesTls) return 'none';
  if (!isAsked && before === 'none') return 'none';
  return port === 465 ? 'implicit' : 'starttls';
}

export function viewSending({ settings }: Mailbox): object | null {
  const { sending } = settings;
  if (!sending) return null;
  const { smtp } = sending;
  return {
    ...(smtp === null
      ? {}
      : { tls: smtp.tls, tls_verify: smtp.tlsVerify, tls_ca: smtp.tlsCa, auth: smtp.auth }),
    reply_tag: sending.replyTag,
    signature: sending.signature,
    signature_html: sending.signatureHtml,
    acknowledgement_template_id: sending.acknowledgementTemplateId,
    welcome_template_id: sending.welcomeTemplateId,
    concurrency: sending.concurrency,
    per_minute: sending.perMinute,
  };
}
