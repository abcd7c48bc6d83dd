/** Gmail's history ends after a week or so, sometimes sooner (OpenArchiver#443, inbox-zero#1174, lieer#301). */
import { describe, expect, it } from 'vitest';
import { fail } from '../../src/errors.ts';
import { startGmailIntake } from '../support/gmail-intake.ts';
import { countBy, names, stepping } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';

/** Every message of the inbox has one row. */
async function expectAccounted({
  mailbox,
  intake,
}: Awaited<ReturnType<typeof startGmailIntake>>): Promise<void> {
  const rows = await intake.ledger();
  expect(new Set(rows.map((row) => row.key)).size).toBe(rows.length);
  const keys = new Set(rows.map((row) => row.key));
  for (const { id } of mailbox.withLabels(['INBOX'], false)) expect(keys).toContain(id);
}

describe('T7.2 history that does not reach back', () => {
  it('everything is listed, and only what is new is taken', async () => {
    const gmail = await startGmailIntake();
    gmail.deliver(names(1, 205));
    expect(await gmail.pass()).toBe(205);
    const before = gmail.lab.server.count('get');
    gmail.deliver(['new1', 'new2', 'new3']);
    const [seventh] = gmail.mailbox.withLabels(['INBOX'], false).slice(-7);
    gmail.mailbox.delete(seventh!.id);
    gmail.mailbox.expireHistory();
    expect(await gmail.pass()).toBe(3);
    expect(gmail.intake.toldOf('folder.resync')).toMatchObject([
      { reason: expect.stringContaining('history') },
    ]);
    expect(gmail.intake.toldOf('folder.resynced')).toMatchObject([{ added: 3 }]);
    expect(await gmail.intake.subjects()).toEqual([...names(1, 205), 'new1', 'new2', 'new3'].sort());
    await expectAccounted(gmail);
    // What is known costs no request of its own: facts, header and bytes of the three, no more.
    expect(gmail.lab.server.count('get') - before).toBeLessThanOrEqual(9);
    expect(await gmail.pass()).toBe(0);
    expect(gmail.intake.toldOf('folder.resync')).toHaveLength(1);
  });

  it('while history is paged through', async () => {
    const gmail = await startGmailIntake();
    gmail.deliver(names(1, 5));
    await gmail.pass();
    gmail.deliver(names(6, 10));
    const { faults } = gmail.lab.server;
    faults.add({
      at: 'history',
      action: {
        do: 'answer',
        status: 404,
        body: { error: { code: 404, message: 'Requested entity was not found.' } },
      },
      times: 1,
    });
    expect(await gmail.pass()).toBe(5);
    expect(gmail.intake.toldOf('folder.resync')).toHaveLength(1);
    await expectAccounted(gmail);
  });

  it('T7.3 mail that comes while everything is listed anew is taken once', async () => {
    const gmail = await startGmailIntake();
    gmail.deliver(names(1, 30));
    await gmail.pass();
    gmail.mailbox.expireHistory();
    let late = 0;
    const wrap: Parameters<typeof stepping>[1] = (_step, call) => {
      if (call !== 'page') return;
      late += 1;
      gmail.deliver([`late${late}`]);
    };
    let added = await gmail.pass({ wrap: (session) => stepping(session, wrap) });
    added += await gmail.pass();
    expect(late).toBeGreaterThan(0);
    expect(added).toBe(late);
    await expectAccounted(gmail);
  });

  it('T7.4 broken off at any step, it is still exact', async () => {
    const gmail = await startGmailIntake();
    gmail.deliver(names(1, 30));
    await gmail.pass();
    gmail.deliver(['new1', 'new2']);
    gmail.mailbox.expireHistory();
    for (let last = 1; ; last += 1) {
      let broke = false;
      const wrap: Parameters<typeof stepping>[1] = (step) => {
        if (step < last) return;
        broke = true;
        throw fail('connection_lost', 'broken here');
      };
      await gmail.pass({ wrap: (session) => stepping(session, wrap) }).catch((error) => {
        expect(error).toMatchObject({ message: 'broken here' });
      });
      if (!broke) break;
    }
    expect(await gmail.intake.subjects()).toHaveLength(32);
    await expectAccounted(gmail);
  });

  it('a first sync that begins from now is not led astray', async () => {
    const gmail = await startGmailIntake({ firstSync: 'now' });
    gmail.deliver(names(1, 20));
    expect(await gmail.pass()).toBe(0);
    expect(countBy(await gmail.intake.ledger(), (row) => row.state)).toEqual({ skipped: 20 });
    // Skipping costs no request a message.
    expect(gmail.lab.server.count('get')).toBe(0);
    gmail.deliver(['new1']);
    gmail.mailbox.expireHistory();
    expect(await gmail.pass()).toBe(1);
    expect(await gmail.intake.subjects()).toEqual(['new1']);
  });

  it('a quiet folder does not fall behind', async () => {
    const gmail = await startGmailIntake();
    gmail.deliver(['m1']);
    await gmail.pass();
    for (let week = 0; week < 3; week += 1) {
      // Something happens, but not in this folder.
      gmail.mailbox.add(simpleMessage(`other${week}`), ['SENT']);
      expect(await gmail.pass()).toBe(0);
      gmail.mailbox.history.length = 0;
    }
    const [folder] = await gmail.intake.db.selectFrom('folder').select('cursor').execute();
    expect(JSON.parse(folder!.cursor!)).toEqual({
      account: 'desk@example.com',
      historyId: String(gmail.mailbox.historyId),
    });
    expect(gmail.intake.toldOf('folder.resync')).toEqual([]);
  });

  it('another account does not go on where the old one was', async () => {
    const gmail = await startGmailIntake();
    gmail.deliver(['m1', 'm2']);
    await gmail.pass();
    const other = gmail.lab.addUser('other@example.com');
    // Its history reaches as far.
    for (let index = 0; index < 5; index += 1) other.add(simpleMessage(`sent${index}`), ['SENT']);
    other.add(simpleMessage('theirs'), ['INBOX']);
    const settings = {
      user: 'other@example.com',
      tokens: { get: async () => 'token-other@example.com', rejected: async () => undefined },
    };
    await gmail.pass({ settings });
    expect(gmail.intake.toldOf('folder.resync')).toMatchObject([
      { reason: 'The account changed from desk@example.com to other@example.com' },
    ]);
    expect(await gmail.intake.subjects()).toContain('theirs');
  });
});

describe('T19.1 what is moved into the folder or out of it', () => {
  it('comes when it comes, in whatever way', async () => {
    const gmail = await startGmailIntake();
    const support = gmail.mailbox.addLabel('Support')!;
    const add = (subject: string, labels: string[]) => gmail.mailbox.add(simpleMessage(subject), labels);
    add('in', [support.id]);
    add('draft', [support.id, 'DRAFT']);
    add('answer', [support.id, 'SENT']);
    add('to myself', [support.id, 'SENT', 'INBOX']);
    const spam = add('spam', [support.id, 'SPAM']);
    const trashed = add('trashed', [support.id, 'TRASH']);
    const archived = add('archived', []);
    expect(await gmail.pass({ folder: 'Support' })).toBe(2);
    gmail.mailbox.modify(archived, [support.id], []);
    gmail.mailbox.modify(spam, ['INBOX'], ['SPAM']);
    gmail.mailbox.modify(trashed, [], ['TRASH']);
    add('second answer', [support.id, 'SENT']);
    expect(await gmail.pass({ folder: 'Support' })).toBe(3);
    expect(await gmail.intake.subjects()).toEqual(['archived', 'in', 'spam', 'to myself', 'trashed']);
    expect(await gmail.pass({ folder: 'Support' })).toBe(0);
    expect(gmail.intake.toldOf('audit.finished').every(({ unaccounted }) => unaccounted === 0)).toBe(true);
  });

  it('what leaves between listing and fetching is gone, and nothing else is', async () => {
    const gmail = await startGmailIntake();
    const [first] = gmail.deliver(names(1, 3));
    const wrap: Parameters<typeof stepping>[1] = (_step, call) => {
      if (call === 'fetch') gmail.mailbox.delete(first!);
    };
    expect(await gmail.pass({ wrap: (session) => stepping(session, wrap) })).toBe(2);
    expect(countBy(await gmail.intake.ledger(), (row) => row.state)).toEqual({ gone: 1, stored: 2 });
  });

  it('old mail is skipped by its date, large mail by its size, without fetching either', async () => {
    const gmail = await startGmailIntake({ dateCutoff: '2024-01-01T00:00:00Z', maxMessageBytes: 2_000 });
    const old = gmail.mailbox.add(simpleMessage('old'), ['INBOX'], Date.parse('2023-12-31T23:59:59Z'));
    const large = gmail.mailbox.add(simpleMessage('large', 'x'.repeat(3_000)), ['INBOX']);
    gmail.deliver(['m1']);
    expect(await gmail.pass()).toBe(1);
    const states = Object.fromEntries((await gmail.intake.ledger()).map((row) => [row.key, row.state]));
    expect(states).toMatchObject({ [old.id]: 'skipped', [large.id]: 'oversized' });
    // The facts of three, the bytes of one.
    expect(gmail.lab.server.count('get')).toBe(4);
  });
});
