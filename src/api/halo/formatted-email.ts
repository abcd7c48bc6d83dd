/** A formatted e-mail as Halo's clients see it (halo-api.md section 9), in both its readings. */
import Type, { type Static } from 'typebox';
import { hasVariable, type Template, unknownVariables, VARIABLES } from '../../outbound/template.ts';
import type { FormattedEmail } from '../../store/formatted-emails.ts';
import { LABELLED_FIELDS, type LabelledField } from '../../ticket/formatted-mail.ts';
import { invalid } from '../http/problem.ts';
import { int, text } from './fields.ts';

const labels = Object.fromEntries(
  LABELLED_FIELDS.map((name) => [name, text(`Label text in the mail that introduces "${name}".`)]),
) as Record<LabelledField, ReturnType<typeof text>>;

const variables = Object.keys(VARIABLES)
  .map((name) => `{{${name}}}`)
  .join(', ');

const extension = Type.Object({
  use: Type.Optional(
    Type.Enum(['labels', 'template'], {
      description:
        'labels: inbound mail is read by the labels. template: an outbound mail, with subject and details as its subject ' +
        'and text, email_to and email_cc as its recipients. When not given: template where one of them holds {{.',
    }),
  ),
  html: text(`HTML of a template. Variables, escaped here: ${variables}.`, 1_000_000),
});

export const HaloFormattedEmail = Type.Object(
  {
    id: int('Id; absent or 0 creates.'),
    fmid: int('With fmdata on input: number of one label, in the order of the fields below, from 1.'),
    fmdata: text('The text of that label.'),
    ...labels,
    template_name: text('Name.', 255),
    _warning: text('Only in answers: what you should know about this save.'),
    penstock: Type.Optional(
      Type.Unsafe<Static<typeof extension> | null>({ ...extension, type: ['object', 'null'] }),
    ),
  },
  { title: 'FormattedEmail' },
);
export type FormattedEmailItem = Static<typeof HaloFormattedEmail>;

/** Fields that make the template, with what they are in it. */
const TEMPLATE_FIELDS = { subject: 'subject', details: 'text', email_to: 'to', email_cc: 'cc' } as const;
type TemplateField = keyof typeof TEMPLATE_FIELDS;

export function viewFormattedEmail({
  id,
  name,
  use,
  labels: known,
  template,
}: FormattedEmail): FormattedEmailItem {
  const shown: Record<string, string | null> = {};
  for (const field of LABELLED_FIELDS) shown[field] = known[field] ?? null;
  if (use === 'template') {
    for (const [field, part] of Object.entries(TEMPLATE_FIELDS) as [TemplateField, keyof Template][])
      shown[field] = template[part];
  }
  return {
    id,
    fmid: null,
    fmdata: null,
    ...(shown as Record<LabelledField, string | null>),
    template_name: name,
    _warning: null,
    penstock: { use, html: use === 'template' ? template.html : null },
  };
}

/** What an item asks for, against what is stored; null for a new one. Fails with `validation_failed`. */
export function draftFormattedEmail(
  item: FormattedEmailItem,
  current: FormattedEmail | null,
): FormattedEmail {
  const shown = current === null ? null : viewFormattedEmail(current);
  const value = (field: LabelledField): string =>
    (item[field] !== undefined ? item[field] : shown?.[field]) ?? '';
  const values = Object.fromEntries(LABELLED_FIELDS.map((field) => [field, value(field)])) as Record<
    LabelledField,
    string
  >;
  if (item.fmdata !== undefined && item.fmdata !== null) {
    const field = LABELLED_FIELDS[(item.fmid ?? 0) - 1];
    if (field === undefined) throw invalid('fmid', `must be a number from 1 to ${LABELLED_FIELDS.length}`);
    values[field] = item.fmdata;
  }
  const html = (item.penstock?.html !== undefined ? item.penstock.html : current?.template.html) ?? '';
  const isTemplate = html !== '' || values.subject.includes('{{') || values.details.includes('{{');
  const use = item.penstock?.use ?? current?.use ?? (isTemplate ? 'template' : 'labels');
  const name = (item.template_name !== undefined ? item.template_name : current?.name) ?? '';
  const template = {
    subject: values.subject,
    text: values.details,
    html,
    to: values.email_to,
    cc: values.email_cc,
  };
  if (use === 'template') {
    const [unknown] = unknownVariables(template);
    if (unknown !== undefined)
      throw invalid('details', `has {{${unknown}}}, which is no variable; there are ${variables}`);
    if (hasVariable(template.subject, 'body')) throw invalid('subject', 'must not hold {{body}}');
    const other = Object.fromEntries(
      LABELLED_FIELDS.filter((field) => !(field in TEMPLATE_FIELDS) && values[field] !== '').map((field) => [
        field,
        values[field],
      ]),
    );
    return { id: current?.id ?? 0, name, use, labels: other, template };
  }
  const given = Object.fromEntries(
    LABELLED_FIELDS.filter((field) => values[field].trim() !== '').map((field) => [field, values[field]]),
  );
  return {
    id: current?.id ?? 0,
    name,
    use,
    labels: given,
    template: { subject: '', text: '', html: '', to: '', cc: '' },
  };
}

/** What a person may not have meant. */
export function formattedEmailWarning({ use, labels: known, template }: FormattedEmail): string | null {
  if (use === 'labels' && known.subject === undefined && known.details === undefined) {
    return 'No mail is read by these labels: one for subject or details is needed.';
  }
  if (use === 'template' && template.text === '' && template.html === '') return 'The template has no text.';
  return null;
}
