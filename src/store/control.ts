/** Settings of the installation that are changed while it runs: one row. */
import type { Control } from '../ticket/control.ts';
import type { Database, Tx } from './database.ts';
import { notify } from './notify.ts';

export async function readControl(db: Database | Tx): Promise<Control> {
  const row = await db.selectFrom('control').select('settings').executeTakeFirst();
  return (row?.settings ?? {}) as Control;
}

/** Reads them for a change: others wait until the commit. */
export async function lockControl(tx: Tx): Promise<Control> {
  const row = await tx.selectFrom('control').select('settings').forUpdate().executeTakeFirst();
  return (row?.settings ?? {}) as Control;
}

export async function saveControl(tx: Tx, control: Control): Promise<void> {
  await tx
    .updateTable('control')
    .set({ settings: JSON.stringify(control) })
    .execute();
  await notify(tx, 'mailboxes');
}
