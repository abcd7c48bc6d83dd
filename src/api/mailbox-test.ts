/** `_testonly`: tries posted settings and saves nothing (halo-api.md 3.2). */
import { fail } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { LoginSecrets } from '../mailbox-credential.ts';
import type { DiagnosisStep } from '../source/source.ts';
import { findMailbox, type Mailbox } from '../store/mailboxes.ts';
import { draftMailbox } from './halo/mailbox-draft.ts';
import type { MailboxItem } from './halo/mailbox-fields.ts';
import { loginSecrets } from './mailbox-code.ts';
import type { ApiContext } from './services.ts';

/** Settings that work, and what was found on the way. */
export interface TestedMailbox {
  mailbox: Mailbox;
  report: string;
}

/**
 * Tries posted settings, with stored secrets where none are posted. Fails with `mailbox_test_failed`, telling every
 * step up to the one that failed and what to change.
 */
export async function testMailbox(context: ApiContext, item: MailboxItem): Promise<TestedMailbox> {
  const { db, services } = context;
  const current = item.id ? await findMailbox(db, item.id) : null;
  if (item.id && current === null) throw fail('not_found', `There is no mailbox ${item.id}.`);
  const { mailbox, secrets, clearSecrets } = draftMailbox(item, current, new Date());
  const given = await loginSecrets(context, current?.id ?? null, secrets);
  for (const name of clearSecrets) if (!secrets.has(name)) delete given[name as keyof LoginSecrets];
  const steps = await services.diagnose(mailbox, given, AbortSignal.timeout(LIMITS.diagnosisMs));
  const failed = steps.find((step) => !step.ok);
  if (failed !== undefined) throw fail('mailbox_test_failed', tell(steps), { field: failed.step });
  return { mailbox, report: tell(steps) };
}

function tell(steps: DiagnosisStep[]): string {
  return steps
    .map(
      ({ step, ok, found, advice }) =>
        `${step}: ${ok ? 'ok' : 'failed'}, ${found}${advice ? ` ${advice}` : ''}`,
    )
    .join('\n');
}
