/** `_testonly`: tries posted settings and saves nothing (halo-api.md 3.2). */
import { fail } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { LoginSecrets } from '../mailbox-credential.ts';
import type { DiagnosisStep } from '../source/source.ts';
import { secretPlaces } from '../store/credentials.ts';
import { findMailbox, type Mailbox } from '../store/mailboxes.ts';
import { readSecret, writeSecret } from '../store/secrets.ts';
import { draftMailbox } from './halo/mailbox-draft.ts';
import type { MailboxItem } from './halo/mailbox-fields.ts';
import { loginSecrets } from './mailbox-code.ts';
import type { ApiContext } from './services.ts';

/** Settings that work, and what was found on the way. */
export interface TestedMailbox {
  mailbox: Mailbox;
  report: string;
  /** The refresh token that came in place of the one that was posted, which may be void now; null when none came. */
  refreshToken: string | null;
}

/**
 * Tries posted settings, with stored secrets where none are posted. Fails with `mailbox_test_failed`, telling every
 * step up to the one that failed and what to change. A stored refresh token that the provider replaces is replaced here.
 */
export async function testMailbox(context: ApiContext, item: MailboxItem): Promise<TestedMailbox> {
  const { db, services } = context;
  const current = item.id ? await findMailbox(db, item.id) : null;
  if (item.id && current === null) throw fail('not_found', `There is no mailbox ${item.id}.`);
  const { mailbox, secrets, clearSecrets } = draftMailbox(item, current, new Date());
  const given = await loginSecrets(context, current?.id ?? null, secrets);
  for (const name of clearSecrets) if (!secrets.has(name)) delete given[name as keyof LoginSecrets];
  const rotated: string[] = [];
  const steps = await services.diagnose(mailbox, given, AbortSignal.timeout(LIMITS.diagnosisMs), (newest) =>
    rotated.push(newest),
  );
  const newest = rotated.at(-1) ?? null;
  const isPosted = secrets.has('refresh_token');
  if (newest !== null && !isPosted && current !== null) {
    await replaceRefreshToken(context, current.id, given.refresh_token, newest);
  }
  const failed = steps.find((step) => !step.ok);
  if (failed !== undefined) {
    const lost =
      newest !== null && isPosted ? '\nThe refresh token was used up by this test: get a new one.' : '';
    throw fail('mailbox_test_failed', tell(steps) + lost, { field: failed.step });
  }
  return { mailbox, report: tell(steps), refreshToken: isPosted ? newest : null };
}

/** A stored token that a test used up is replaced, unless somebody has replaced it meanwhile. */
async function replaceRefreshToken(
  { db, keys }: ApiContext,
  mailboxId: number,
  used: string | undefined,
  newest: string,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const place = (await secretPlaces(tx, [mailboxId])).get(mailboxId)?.('refresh_token');
    if (place === undefined || (await readSecret(tx, keys, place, 'refresh_token')) !== used) return;
    await writeSecret(tx, keys, place, 'refresh_token', newest);
  });
}

function tell(steps: DiagnosisStep[]): string {
  return steps
    .map(
      ({ step, ok, found, advice }) =>
        `${step}: ${ok ? 'ok' : 'failed'}, ${found}${advice ? ` ${advice}` : ''}`,
    )
    .join('\n');
}
