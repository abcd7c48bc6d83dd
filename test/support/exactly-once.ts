/** The proof at the end of every test of the pipe. */
import { sql } from 'kysely';
import { expect } from 'vitest';
import { listMailboxes } from '../../src/store/mailboxes.ts';
import type { EmailState } from '../../src/store/states.ts';
import { type EmailRow, fateOf, type Site } from './site.ts';

/**
 * Every message that was delivered has one ledger row and one record with its very bytes and an end state, each
 * that opened a ticket opened one, and the server is as the mailbox's disposition wants it. `ends`: the end state
 * of a message, when it is another than processed.
 */
export async function expectExactlyOnce(
  site: Site,
  ends: (bytes: Buffer) => EmailState = () => 'processed',
): Promise<void> {
  const { db } = site.runtime;
  expect((await site.audit()).unaccounted).toBe(0);
  const mailboxes = await listMailboxes(db);
  const emails = await site.emails();
  const place = (mailbox: string, key: string): string => `${mailbox} ${key}`;
  const name = (id: number): string => mailboxes.find((mailbox) => mailbox.id === id)?.name ?? '?';
  const wanted = site.delivered.map(({ user, uid }) => place(user, String(uid))).sort();
  expect(emails.map((email) => place(name(email.mailbox), email.key)).sort()).toEqual(wanted);
  const ledger = await db.selectFrom('ledger').select(['mailbox_id', 'key', 'disposition']).execute();
  expect(ledger.map((row) => place(name(row.mailbox_id), row.key)).sort()).toEqual(wanted);

  const byPlace = new Map<string, EmailRow>(
    emails.map((email) => [place(name(email.mailbox), email.key), email]),
  );
  for (const { user, uid, bytes } of site.delivered) {
    const email = byPlace.get(place(user, String(uid)))!;
    expect((await site.rawBytes(email)).equals(bytes), `bytes of ${user} ${uid}`).toBe(true);
    expect(email.state, `${user} ${uid}: ${fateOf(email)}`).toBe(ends(bytes));
  }
  // One outcome each: an action that was done twice would have left a second ticket, or a second action.
  const processed = emails.filter((email) => email.state === 'processed').length;
  const { rows } = await sql<{ tickets: number; actions: number }>`
    select (select count(*)::int from ticket) as tickets,
      (select count(*)::int from ticket_action) as actions`.execute(db);
  expect(rows[0]).toEqual({ tickets: processed, actions: processed });

  expect((await site.touched()).withoutRow).toEqual([]);
  for (const mailbox of mailboxes) {
    const { after, afterFolder } = mailbox.settings;
    const mine = site.delivered.filter(({ user }) => user === mailbox.name);
    const inbox = site.server.messages(mailbox.name);
    if (after === 'leave') continue;
    const done = ledger.filter((row) => row.mailbox_id === mailbox.id).map((row) => row.disposition);
    expect(done.filter((disposition) => disposition !== 'done' && disposition !== 'gone')).toEqual([]);
    if (after === 'seen') {
      expect(inbox.map(({ flags }) => flags.has('\\Seen'))).toEqual(mine.map(() => true));
    } else {
      expect(inbox).toHaveLength(0);
    }
    if (after === 'move') {
      const moved = site.server.messages(mailbox.name, afterFolder!).map(({ content }) => content.bytes());
      expect(moved.map(String).sort()).toEqual(mine.map(({ bytes }) => String(bytes)).sort());
    }
  }
}
