/**
 * The hazards of imapflow 2.10.2 and of real IMAP servers that the source has to know, one test each. When imapflow
 * is upgraded these show what changed.
 */
import { describe, expect, it } from 'vitest';
import { collect, listedKeys, never, SHORT, startLab } from '../support/imap-lab.ts';
import { simpleMessage } from '../support/messages.ts';

describe('hazards', () => {
  it('1: n:* with nothing new answers with the last message', async () => {
    const lab = await startLab();
    lab.fill(3);
    const session = await lab.session();
    const cursor = await session.currentCursor();
    expect(await listedKeys(session, cursor)).toEqual([]);
    expect(lab.server.commands.at(-1)).toMatchObject({ name: 'UID SEARCH', detail: 'UID 4:*' });
    lab.server.deliver('ann', 'INBOX', simpleMessage('m4'));
    expect(await listedKeys(session, cursor)).toEqual(['4']);
  });

  it('2: no answer, NIL, and an answer about another message are not "deleted"', async () => {
    for (const action of [{ do: 'omit' }, { do: 'nil' }, { do: 'garble' }] as const) {
      const lab = await startLab();
      lab.fill(2);
      const session = await lab.session();
      lab.server.faults.add({ at: 'fetch', uids: [2], action });
      const fetched = await collect(session.fetch(['1', '2'], 1000));
      expect(fetched.find(({ key }) => key === '2')).toMatchObject({ error: { code: 'fetch_failed' } });
      await expect(session.stream('2', 1000)).rejects.toMatchObject({ code: 'fetch_failed' });
      expect(await session.existing(['1', '2', '3'])).toEqual(new Set(['1', '2']));
    }
  });

  it('2: a message is gone only when SEARCH and FETCH both leave it out', async () => {
    const lab = await startLab();
    lab.fill(2);
    const session = await lab.session();
    // OK without a single number, as a throttled server answers.
    lab.server.faults.add({ at: 'search', action: { do: 'pretend' } });
    expect(await session.existing(['1', '2', '9'])).toEqual(new Set(['1', '2']));
  });

  it('3: MOVE of a message that is not there "succeeds" without naming it', async () => {
    const lab = await startLab();
    lab.fill(1);
    const session = await lab.session();
    expect((await session.dispose(['9'], 'move', 'Trash')).get('9')).toBe('gone');
    expect((await session.dispose(['9'], 'seen', null)).get('9')).toBe('gone');
    expect((await session.dispose(['9'], 'delete', null)).get('9')).toBe('gone');
  });

  it('3: MOVE on a server that does not say what it moved is checked against the folder', async () => {
    const lab = await startLab({ without: ['UIDPLUS'] });
    lab.fill(2);
    const session = await lab.session();
    const results = await session.dispose(['1', '9'], 'move', 'Trash');
    expect(Object.fromEntries(results)).toEqual({ 1: 'done', 9: 'gone' });
  });

  it('4: a folder that is deleted and made again while open is noticed at the next listing', async () => {
    const lab = await startLab();
    lab.fill(3);
    const session = await lab.session();
    const cursor = await session.currentCursor();
    lab.server.bumpUidValidity('ann', 'INBOX');
    lab.server.deliver('ann', 'INBOX', simpleMessage('new'));
    expect(await session.wait(50, never())).toBe('timeout');
    expect(await session.changes(cursor)).toMatchObject({
      lost: true,
      reason: expect.stringContaining('UIDVALIDITY'),
    });
    // From there on everything is about the new folder.
    expect(await listedKeys(session)).toEqual(['1', '2', '3', '4']);
  });

  it('4: a folder that is gone is folder_missing at the next listing, and the session goes on', async () => {
    const lab = await startLab();
    const session = await lab.session();
    await session.open('Sent');
    lab.server.store.deleteFolder('ann', 'Sent');
    await session.changes(null);
    await expect(session.changes(null)).rejects.toMatchObject({ code: 'folder_missing' });
    expect((await session.open('INBOX')).path).toBe('INBOX');
  });

  it('4: pages, streams and loops never go on in another folder', async () => {
    const lab = await startLab();
    lab.fill(250);
    lab.server.deliver('ann', 'INBOX', simpleMessage('long', 'x'.repeat(5000)));
    lab.server.deliver('ann', 'Sent', simpleMessage('other'));
    const session = await lab.session({ chunkBytes: 1000 });
    const changes = await session.changes(null);
    if (changes.lost) throw new Error(changes.reason);
    const stream = await session.stream('251', 10_000);
    await session.open('Sent');
    await expect(collect(changes.pages)).rejects.toMatchObject({ code: 'internal' });
    await expect(collect(stream)).rejects.toMatchObject({ code: 'internal' });
  });

  it('5: a clean close by the server is an error for the call that waits and for every later one', async () => {
    const lab = await startLab();
    const session = await lab.session();
    const waiting = session.wait(60_000, never());
    await expect.poll(() => lab.server.countCommands('IDLE')).toBe(1);
    lab.server.disconnectAll();
    await expect(waiting).rejects.toMatchObject({ code: 'connection_lost' });
    await expect(session.open('INBOX')).rejects.toMatchObject({ code: 'connection_lost' });
  });

  it('6: a call inside a fetch loop is refused, not queued behind itself', async () => {
    const lab = await startLab();
    lab.fill(2);
    const session = await lab.session();
    for await (const _fetched of session.fetch(['1', '2'], 1000)) {
      await expect(session.dispose(['1'], 'seen', null)).rejects.toMatchObject({ code: 'internal' });
    }
  });

  it('7: a backoff that imapflow would wait out comes back at once', async () => {
    const lab = await startLab();
    const session = await lab.session({ ...SHORT, commandMs: 60_000 });
    const text = 'Request is throttled. Suggested Backoff Time: 92415 milliseconds';
    lab.server.faults.add({ at: 'select', action: { do: 'bad', text } });
    const refused = { code: 'server_busy', fields: { backoffMs: 92_415 } };
    await expect(session.open('INBOX')).rejects.toMatchObject(refused);
  });

  for (const uidValidity of ['0', '4294967295', '9223372036854775807']) {
    it(`8: UIDVALIDITY ${uidValidity} is kept as text`, async () => {
      const lab = await startLab();
      lab.server.bumpUidValidity('ann', 'INBOX', uidValidity);
      const session = await lab.session();
      expect((await session.open('INBOX')).epoch).toBe(uidValidity);
      const cursor = await session.currentCursor();
      lab.fill(1);
      expect(await listedKeys(session, cursor)).toEqual(['1']);
    });
  }

  it('9: RFC822.SIZE is a claim: shown as such, and not compared with the bytes', async () => {
    const lab = await startLab();
    lab.fill(1);
    lab.server.faults.add({ at: 'fetch', action: { do: 'claim-size', bytes: 9999 } });
    const session = await lab.session();
    const changes = await session.changes(null);
    if (changes.lost) throw new Error(changes.reason);
    expect((await collect(changes.pages))[0]?.items[0]?.size).toBe(9999);
    expect(await collect(session.fetch(['1'], 1000))).toMatchObject([{ bytes: simpleMessage('m1') }]);
  });

  it('never selects by \\Seen or by date: what others read, and mail of any date, is listed all the same', async () => {
    const lab = await startLab();
    lab.server.deliver('ann', 'INBOX', simpleMessage('read'), { flags: ['\\Seen'] });
    lab.server.deliver('ann', 'INBOX', simpleMessage('old'), { internalDate: new Date(0) });
    lab.server.deliver('ann', 'INBOX', simpleMessage('future'), { internalDate: new Date('2099-01-01') });
    expect(await listedKeys(await lab.session())).toEqual(['1', '2', '3']);
    const searches = lab.server.commands
      .filter(({ name }) => name === 'UID SEARCH')
      .map(({ detail }) => detail);
    expect(searches).toEqual(['UID 1:*']);
  });

  it('asks for \\Seen neither when it fetches nor when it streams', async () => {
    const lab = await startLab();
    lab.fill(1);
    const session = await lab.session();
    await collect(session.fetch(['1'], 1000));
    await collect(await session.stream('1', 1000));
    await collect(session.fingerprints(['1']));
    expect(lab.server.messages('ann')[0]?.flags.size).toBe(0);
  });

  it('keys: a huge gap between UIDs costs few commands', async () => {
    const lab = await startLab();
    lab.fill(1);
    lab.server.store.folder('ann', 'INBOX').uidNext = 4_000_000_000;
    lab.server.deliver('ann', 'INBOX', simpleMessage('far'));
    const session = await lab.session();
    expect((await collect(session.keys())).flat()).toEqual(['1', '4000000000']);
    expect(lab.server.countCommands('UID SEARCH')).toBeLessThan(25);
  });

  it('keys that are no UIDs never reach the server', async () => {
    const lab = await startLab();
    lab.fill(1);
    const session = await lab.session();
    const bad = ['', '0', '-1', '1:*', '*', '1,2', 'abc', '4294967296', '01'];
    const fetched = await collect(session.fetch([...bad, '1'], 1000));
    expect(fetched).toHaveLength(bad.length + 1);
    expect(fetched.filter((one) => 'bytes' in one).map(({ key }) => key)).toEqual(['1']);
    expect(await session.existing([...bad, '1'])).toEqual(new Set(['1']));
    expect((await session.dispose(bad, 'delete', null)).size).toBe(bad.length);
    await expect(session.stream('1:*', 1000)).rejects.toMatchObject({ code: 'fetch_failed' });
    expect(lab.server.messages('ann')).toHaveLength(1);
  });
});
