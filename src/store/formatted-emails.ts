/** Formatted e-mails: label texts that inbound mail is read by, and templates of outbound mail. */
import { sql } from 'kysely';
import type { Template } from '../outbound/template.ts';
import type { Database, Tx } from './database.ts';
import { notify } from './notify.ts';
import { storableJson } from './storable-json.ts';

export interface FormattedEmail {
  id: number;
  name: string;
  use: 'labels' | 'template';
  /** Label text by field name; a field without a label is left out. */
  labels: Record<string, string>;
  template: Template;
}

const NO_TEMPLATE: Template = { subject: '', text: '', html: '', to: '', cc: '' };

export async function listFormattedEmails(db: Database | Tx): Promise<FormattedEmail[]> {
  const rows = await db
    .selectFrom('formatted_email')
    .select(['id', 'name', 'use', 'labels', 'template'])
    .orderBy('id')
    .execute();
  return rows.map((row) => ({ ...row, template: { ...NO_TEMPLATE, ...row.template } }));
}

/** Fails never: null when there is none. */
export async function findFormattedEmail(db: Database | Tx, id: number): Promise<FormattedEmail | null> {
  const row = await db
    .selectFrom('formatted_email')
    .select(['id', 'name', 'use', 'labels', 'template'])
    .where('id', '=', id)
    .executeTakeFirst();
  return row === undefined ? null : { ...row, template: { ...NO_TEMPLATE, ...row.template } };
}

/** Creates (id 0) or replaces. Returns the id. */
export async function saveFormattedEmail(tx: Tx, email: FormattedEmail): Promise<number> {
  const columns = {
    name: email.name,
    use: email.use,
    labels: storableJson(email.labels)!,
    template: storableJson(email.template)!,
    updated_at: sql<Date>`now()`,
  };
  await notify(tx, 'mailboxes');
  if (email.id !== 0) {
    await tx.updateTable('formatted_email').set(columns).where('id', '=', email.id).execute();
    return email.id;
  }
  return (await tx.insertInto('formatted_email').values(columns).returning('id').executeTakeFirstOrThrow())
    .id;
}

export async function deleteFormattedEmail(tx: Tx, id: number): Promise<void> {
  await tx.deleteFrom('formatted_email').where('id', '=', id).execute();
  await notify(tx, 'mailboxes');
}
