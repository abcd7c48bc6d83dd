/**
 * Templates of mail: `{{name}}` stands for a value. In HTML values are escaped, in a subject they are one line, so that
 * nothing that somebody wrote in a mail becomes markup or another header field. Pure.
 */
import { oneLine } from '../send/one-line.ts';

export interface Template {
  subject: string;
  text: string;
  /** '' = none. */
  html: string;
  /** Recipients for a mail that names none; may hold variables. */
  to: string;
  cc: string;
}

/** What templates may ask for. */
export const VARIABLES = {
  'ticket.id': 'Number of the ticket.',
  'ticket.tag': 'What a subject must hold for an answer to find the ticket, such as [ID:7].',
  'ticket.subject': 'Subject of the ticket.',
  'user.name': 'Name of the recipient.',
  'user.firstname': 'First name; the whole name where none is known.',
  'user.emailaddress': 'Address of the recipient.',
  'mailbox.name': 'Name of the sending mailbox.',
  'mailbox.address': 'Its address.',
  subject: 'Subject that was given beside the template.',
  body: 'Text that was given beside the template.',
  keymessage: 'Halo’s keymessage.',
  date: 'Today, as 2026-01-31.',
  signature: 'Signature of the agent or the mailbox.',
} as const;
export type Variable = keyof typeof VARIABLES;
export type Values = Partial<Record<Variable, string>>;

/** Values that are HTML where HTML is made. */
export interface RichValues {
  body?: string;
  signature?: string;
}

const PLACE = /\{\{\s*([\w.]{1,40})\s*\}\}/g;

/** Names in a template that are no variables, each once. */
export function unknownVariables(template: Template): string[] {
  const all = Object.values(template).join('\n');
  const names = [...all.matchAll(PLACE)].map(([, name]) => name!.toLowerCase());
  return [...new Set(names)].filter((name) => !Object.hasOwn(VARIABLES, name));
}

export const hasVariable = (text: string, name: Variable): boolean =>
  [...text.matchAll(PLACE)].some(([, found]) => found!.toLowerCase() === name);

export function fillSubject(text: string, values: Values): string {
  return oneLine(fill(text, values, (value) => value));
}

export function fillText(text: string, values: Values): string {
  return fill(text, values, (value) => value);
}

/** `rich`: values that are HTML already, made by people who may write HTML into a mail. */
export function fillHtml(html: string, values: Values, rich: RichValues = {}): string {
  return html.replaceAll(PLACE, (place, name: string) => {
    const key = name.toLowerCase();
    if (!Object.hasOwn(VARIABLES, key)) return place;
    if ((key === 'body' || key === 'signature') && rich[key] !== undefined) return rich[key];
    return escapeHtml(values[key as Variable] ?? '').replaceAll('\n', '<br>');
  });
}

function fill(text: string, values: Values, write: (value: string) => string): string {
  return text.replaceAll(PLACE, (place, name: string) => {
    const key = name.toLowerCase();
    return Object.hasOwn(VARIABLES, key) ? write(values[key as Variable] ?? '') : place;
  });
}

export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

/** What is sent where nobody made a template. */
export const OUR_TEMPLATES: Readonly<Record<'acknowledgement' | 'welcome', Template>> = {
  acknowledgement: {
    subject: '{{ticket.tag}} {{ticket.subject}}',
    text: [
      'Hello {{user.firstname}},',
      '',
      'your message has arrived. It has the number {{ticket.id}}.',
      'To add something, answer this mail and leave the number in the subject.',
      '',
      '{{signature}}',
    ].join('\n'),
    html: '',
    to: '',
    cc: '',
  },
  welcome: {
    subject: 'Welcome to {{mailbox.name}}',
    text: [
      'Hello {{user.firstname}},',
      '',
      'from now on your mail to {{mailbox.address}} is kept under your name, {{user.name}}.',
      '',
      '{{signature}}',
    ].join('\n'),
    html: '',
    to: '',
    cc: '',
  },
};
