/** The proof at the end of every test over mailboxes of several kinds. */
import { sql } from 'kysely';
import { expect } from 'vitest';
import { listMailboxes } from '../../src/store/mailboxes.ts';
import type { EmailState } from '../../src/store/states.ts';
import type { OauthSite } from './oauth-site.ts';
import { fateOf } from './site.ts';

export interface Exceptions {
  /** The state in which the record of a message ends, when it is not processed; null when it has no record. */
  ends?(bytes: Buffer): EmailState | null;
  /** Messages that nobody may have had, because they left the server: with or without a record. */
  mayBeGone?(bytes: Buffer): boolean;
}

/**
 * Each message that was delivered to a mailbox has one record there with its very bytes, an end state and one ticket;
 * the audit of every mailbox is clean; and each server is as its mailbox's disposition wants it.
 */
export async function expectEachOnce(
  { site, inInbox }: OauthSite,
  exceptions: Exceptions = {},
): Promise<void> {
  const { ends = () => 'processed', mayBeGone = () => false } = exceptions;
  const { db } = site.runtime;
  expect((await site.audit()).unaccounted).toBe(0);
  const emails = await site.emails();
  const text = (bytes: Buffer): string => bytes.toString('latin1');
  for (const { id, kind, settings } of await listMailboxes(db)) {
    const mine = site.delivered.filter(({ user }) => user === kind).map(({ bytes }) => bytes);
    const found: string[] = [];
    for (const email of emails.filter(({ mailbox }) => mailbox === id)) {
      const bytes = await site.rawBytes(email);
      if (mayBeGone(bytes)) continue;
      found.push(text(bytes));
      expect(email.state, `${kind}: ${fateOf(email)}`).toBe(ends(bytes));
    }
    const wanted = mine.filter((bytes) => !mayBeGone(bytes) && ends(bytes) !== null).map(text);
    expect(found.sort(), `${kind}: records`).toEqual(wanted.sort());
    if (settings.after === 'leave') continue;
    const open = await sql<{ key: string; disposition: string }>`
      select key, disposition from ledger
      where mailbox_id = ${id} and state = 'stored' and disposition not in ('done', 'gone')`.execute(db);
    expect(open.rows, `${kind}: effects on the server`).toEqual([]);
    const left = mine.filter((bytes) => ends(bytes) === null && !mayBeGone(bytes)).map(text);
    const inbox = inInbox(kind).map(text);
    expect(settings.after === 'seen' ? [] : inbox.sort(), `${kind}: left in the inbox`).toEqual(left.sort());
  }
  const { rows } = await sql<{ processed: number; tickets: number; actions: number }>`
    select (select count(*)::int from incoming_email where state = 'processed') as processed,
      (select count(*)::int from ticket) as tickets, (select count(*)::int from ticket_action) as actions`.execute(
    db,
  );
  const { processed, ...made } = rows[0]!;
  expect(made).toEqual({ tickets: processed, actions: processed });
}
