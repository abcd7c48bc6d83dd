/** A POP3 message is known by its unique-id, never by its number; and by its content where there is no such id. */
import { describe, expect, it } from 'vitest';
import { fail } from '../../src/errors.ts';
import { auditMailbox } from '../../src/intake/audit.ts';
import type { StoredMessage } from '../../src/lab/mail-store.ts';
import type { LabPop3Options, LabPop3Server } from '../../src/lab/pop3/server.ts';
import { never } from '../support/imap-lab.ts';
import { countBy, type Intake, names, startPop3Intake, stepping, USER } from '../support/intake.ts';
import { simpleMessage } from '../support/messages.ts';

const NO_IDS: LabPop3Options[] = [
  { without: ['UIDL'] },
  { without: ['UIDL', 'TOP'] },
  { without: ['UIDL', 'TOP', 'CAPA', 'PIPELINING'] },
];

async function unaccounted(intake: Intake<LabPop3Server>): Promise<unknown[]> {
  const result = await auditMailbox(intake.db, intake.source(), intake.held.mailbox, 0, never());
  return result.unaccounted;
}

describe('T7b.1 the oldest message is deleted between two polls', () => {
  it.each([{}, ...NO_IDS])('T7b.1 nothing is taken again: %j', async (options) => {
    const intake = await startPop3Intake({ dedup: 'none' }, options);
    intake.deliver(names(1, 500));
    expect(await intake.pass()).toBe(500);
    intake.remove(['m1']);
    expect(await intake.pass()).toBe(0);
    intake.remove(['m7', 'm200']);
    intake.deliver(['new']);
    expect(await intake.pass()).toBe(1);
    expect(await intake.subjects()).toEqual([...names(1, 500), 'new'].sort());
    expect(await unaccounted(intake)).toEqual([]);
  });
});

describe('T7b.3 one unique-id for several messages', () => {
  it('T7b.3 each is taken, also one that comes later under an id that was known', async () => {
    const intake = await startPop3Intake({}, { uniqueId: ({ uid }) => (uid <= 3 ? 'same' : String(uid)) });
    intake.deliver(['m1']);
    await intake.pass();
    intake.deliver(['m2', 'm3', 'm4']);
    await intake.pass();
    await intake.pass();
    expect(await intake.subjects()).toEqual(names(1, 4));
    // The one that was alone before got another name when it was no longer, and is known by its content.
    expect(countBy(await intake.ledger(), (row) => row.state)).toEqual({ stored: 4, duplicate: 1 });
    expect(await unaccounted(intake)).toEqual([]);
  });

  it('T7b.3 all of them are deleted, and no other', async () => {
    const intake = await startPop3Intake({ after: 'delete' }, { uniqueId: () => 'same' });
    intake.deliver(names(1, 3));
    await intake.pass();
    expect(intake.onServer()).toEqual([]);
    expect(await intake.subjects()).toEqual(names(1, 3));
  });
});

describe('T7b.4 a server without UIDL', () => {
  it.each(NO_IDS)('T7b.4 takes each message once, and copies as copies: %j', async (options) => {
    const intake = await startPop3Intake({ dedup: 'none' }, options);
    intake.deliver(['m1', 'same', 'same', 'm4']);
    expect(await intake.pass()).toBe(4);
    expect(await intake.pass()).toBe(0);
    intake.deliver(['same', 'm6']);
    expect(await intake.pass()).toBe(2);
    expect(await intake.subjects()).toEqual(['m1', 'm4', 'm6', 'same', 'same', 'same']);
  });

  it('T7b.4 deletes what it took', async () => {
    const intake = await startPop3Intake({ after: 'delete' }, NO_IDS[2]!);
    intake.deliver(names(1, 5));
    await intake.pass();
    expect(intake.onServer()).toEqual([]);
    intake.deliver(names(6, 7));
    await intake.pass();
    expect(await intake.subjects()).toEqual(names(1, 7));
  });

  it('T7b.4 some messages only are left out of UIDL, or have an empty one', async () => {
    const uniqueId = ({ uid }: StoredMessage): string | null =>
      [null, '', `id${uid}`][uid % 3] as string | null;
    const intake = await startPop3Intake({ dedup: 'none' }, { uniqueId });
    intake.deliver(names(1, 9));
    expect(await intake.pass()).toBe(9);
    expect(await intake.pass()).toBe(0);
  });

  it('T7b.4 UIDL that is refused today is no server without UIDL', async () => {
    const intake = await startPop3Intake();
    intake.deliver(names(1, 3));
    await intake.pass();
    intake.server.faults.add({ at: 'uidl', action: { do: 'err', text: 'cannot do that now' }, times: 1 });
    await expect(intake.pass()).rejects.toMatchObject({ code: 'server_protocol' });
    expect(await intake.pass()).toBe(0);
    expect(await intake.ledger()).toHaveLength(3);
  });
});

describe('T7 strange unique-ids', () => {
  it('T7 longer than allowed, with bytes that no database takes, and alike in their first 70', async () => {
    const ids = ['x'.repeat(70), `${'x'.repeat(70)}1`, `${'x'.repeat(3_000)}2`, 'a\0b', 'ü\x7f', 'two words'];
    const intake = await startPop3Intake({}, { uniqueId: ({ uid }) => ids[uid - 1] ?? null });
    intake.deliver(names(1, ids.length));
    expect(await intake.pass()).toBe(ids.length);
    expect(await intake.pass()).toBe(0);
    expect(await unaccounted(intake)).toEqual([]);
  });

  it('T7.1 all ids change, as after a move to another server: nothing makes a second record', async () => {
    let generation = 'a';
    const intake = await startPop3Intake({}, { uniqueId: ({ uid }) => `${generation}${uid}` });
    intake.deliver(names(1, 600));
    await intake.pass();
    generation = 'b';
    intake.deliver(names(601, 603));
    intake.remove(['m5', 'm6']);
    await intake.pass();
    expect(await intake.subjects()).toEqual(names(1, 603).sort());
    expect(countBy(await intake.ledger(), (row) => row.state)).toEqual({ stored: 603, duplicate: 598 });
    expect(await unaccounted(intake)).toEqual([]);
  });

  it('T7.4 a mailbox that becomes POP3 after IMAP, or the other way round, knows its messages', async () => {
    const intake = await startPop3Intake({ dedup: 'none' });
    intake.deliver(names(1, 30));
    await intake.pass();
    // As another protocol left it: other keys, under an epoch of its own.
    await intake.db.updateTable('ledger').set({ epoch: '1700000000' }).execute();
    await intake.db
      .updateTable('folder')
      .set({ epoch: '1700000000', cursor: '{"uidValidity":"1700000000","lastUid":30}' })
      .execute();
    intake.deliver(['new']);
    expect(await intake.pass()).toBe(1);
    expect(await intake.subjects()).toEqual([...names(1, 30), 'new'].sort());
    expect(intake.toldOf('folder.resynced')).toMatchObject([{ matched: 30, added: 1 }]);
  });
});

describe('T7 a first sync from now on', () => {
  it('T7 passes over what was there, however it is interrupted and whatever leaves meanwhile', async () => {
    for (let breakAt = 1; breakAt <= 6; breakAt += 1) {
      const intake = await startPop3Intake({ firstSync: 'now' });
      intake.deliver(names(1, 900));
      const pass = intake.pass({
        wrap: (session) =>
          stepping(session, (step) => {
            if (step === breakAt) throw fail('connection_lost', 'dies');
          }),
      });
      await pass.catch(() => undefined);
      const [folder] = await intake.db.selectFrom('folder').select('epoch').execute();
      const begun = (folder?.epoch ?? null) !== null;
      intake.remove(['m3', 'm250']);
      intake.deliver(['new']);
      await intake.pass();
      // Before the first opening was noted, "now" had not been yet.
      expect(await intake.subjects(), `broken at step ${breakAt}`).toEqual(begun ? ['new'] : []);
      expect(await unaccounted(intake)).toEqual([]);
      intake.server.deliver(USER, simpleMessage('later'));
      expect(await intake.pass()).toBe(1);
    }
  });
});
