/** What is done to messages on the server touches these and no others, and is never reported without proof. */
import { describe, expect, it } from 'vitest';
import { imapSource } from '../../src/source/imap/imap-source.ts';
import { startDovecot } from '../support/dovecot.ts';
import { listedKeys, never, startLab } from '../support/imap-lab.ts';
import { asOtherClient, lookInto } from '../support/imap-mailbox.ts';
import { imapSettings } from '../support/imap-settings.ts';
import { simpleMessage } from '../support/messages.ts';

describe('T20.2 somebody moved the message meanwhile', () => {
  for (const what of ['move', 'delete', 'seen'] as const) {
    it(`T20.2 ${what} says gone for it, done for the others, and repeats the same`, async () => {
      const lab = await startLab();
      lab.fill(3);
      const session = await lab.session();
      const keys = await listedKeys(session);
      const taken = lab.server.messages('ann')[1];
      lab.server.store.folder('ann', 'INBOX').remove(new Set(taken ? [taken] : []));
      const results = await session.dispose(keys, what, what === 'move' ? 'Trash' : null);
      expect(Object.fromEntries(results)).toEqual({ 1: 'done', 2: 'gone', 3: 'done' });
      const again = await session.dispose(keys, what, what === 'move' ? 'Trash' : null);
      const settled = what === 'seen' ? 'done' : 'gone';
      expect(Object.fromEntries(again)).toEqual({ 1: settled, 2: 'gone', 3: settled });
      if (what === 'move') expect(lab.server.messages('ann', 'Trash')).toHaveLength(2);
    });
  }
});

describe('T20.3 a message that somebody else marked \\Deleted survives', () => {
  for (const without of [[], ['MOVE'], ['UIDPLUS'], ['MOVE', 'UIDPLUS']]) {
    for (const what of ['move', 'delete'] as const) {
      it(`T20.3 ${what} on a server without ${without.join(' and ') || 'anything missing'}`, async () => {
        const lab = await startLab({ without });
        lab.fill(3);
        lab.server.messages('ann')[2]?.flags.add('\\Deleted');
        const session = await lab.session();
        const results = await session.dispose(['1'], what, what === 'move' ? 'Trash' : null);
        const possible = !without.includes('UIDPLUS') || (what === 'move' && !without.includes('MOVE'));
        if (possible) expect(results.get('1')).toBe('done');
        else expect(results.get('1')).toMatchObject({ code: 'unsupported' });
        const left = lab.server.messages('ann').map(({ uid }) => uid);
        expect(left).toEqual(possible ? [2, 3] : [1, 2, 3]);
        expect(lab.server.countCommands('EXPUNGE')).toBe(0);
        // A move that cannot be finished is not begun.
        expect(lab.server.messages('ann', 'Trash')).toHaveLength(possible && what === 'move' ? 1 : 0);
      });
    }
  }

  it('T20.3 on Dovecot', async () => {
    const dovecot = await startDovecot();
    await dovecot.addUser('ann', 'secret');
    for (const subject of ['ours', 'theirs', 'other']) await dovecot.deliver('ann', simpleMessage(subject));
    const account = { port: dovecot.ports.imap, user: 'ann', password: 'secret' };
    await asOtherClient(account, async (client) => {
      await client.mailboxOpen('INBOX');
      await client.messageFlagsAdd('2', ['\\Deleted'], { uid: true });
    });
    const session = await imapSource(imapSettings({ port: account.port, user: 'ann' })).connect(never());
    await session.open('INBOX');
    expect((await session.dispose(['1'], 'delete', null)).get('1')).toBe('done');
    expect((await session.dispose(['3'], 'move', 'Trash')).get('3')).toBe('done');
    await session.close();
    const left = await lookInto(account, 'INBOX');
    expect(left.map(({ subject, deleted }) => [subject, deleted])).toEqual([['theirs', true]]);
  });
});

describe('T20.4 the target folder is missing', () => {
  it('T20.4 is made when it can be', async () => {
    const lab = await startLab();
    lab.fill(1);
    const session = await lab.session();
    expect((await session.dispose(['1'], 'move', 'Done/2026')).get('1')).toBe('done');
    expect(lab.server.messages('ann', 'Done/2026')).toHaveLength(1);
  });

  it('T20.4 is folder_missing when it cannot be made, and the message stays', async () => {
    const lab = await startLab();
    lab.fill(1);
    const session = await lab.session();
    lab.server.faults.add({ at: 'create', action: { do: 'no', text: '[NOPERM] Not allowed' } });
    expect((await session.dispose(['1'], 'move', 'Processed')).get('1')).toMatchObject({
      code: 'folder_missing',
      message: expect.stringContaining('Processed'),
    });
    expect(lab.server.messages('ann')).toHaveLength(1);
    expect(lab.server.messages('ann')[0]?.flags.has('\\Deleted')).toBe(false);
    // The listing goes on: a folder setting that is wrong stops no mail.
    expect(await listedKeys(session)).toEqual(['1']);
  });

  it('T20.4 is folder_missing when it is deleted just before the move', async () => {
    const lab = await startLab();
    lab.fill(1);
    const session = await lab.session();
    lab.server.faults.add({ at: 'move', action: { do: 'no', text: '[TRYCREATE] No such folder' } });
    expect((await session.dispose(['1'], 'move', 'Trash')).get('1')).toMatchObject({
      code: 'folder_missing',
    });
    expect(lab.server.messages('ann')).toHaveLength(1);
  });

  it('T20.4 refuses to move into the folder itself, which would make every message new again', async () => {
    const lab = await startLab();
    lab.fill(1);
    const session = await lab.session();
    expect((await session.dispose(['1'], 'move', 'INBOX')).get('1')).toMatchObject({
      code: 'config_invalid',
    });
    expect(lab.server.messages('ann').map(({ uid }) => uid)).toEqual([1]);
  });
});

describe('T20 a server that says OK and does nothing', () => {
  for (const [what, at] of [
    ['seen', 'store'],
    ['move', 'move'],
    ['delete', 'expunge'],
  ] as const) {
    it(`T20 ${what} is not reported as done`, async () => {
      const lab = await startLab();
      lab.fill(1);
      const session = await lab.session();
      lab.server.faults.add({ at, action: { do: 'pretend' } });
      const result = (await session.dispose(['1'], what, what === 'move' ? 'Trash' : null)).get('1');
      expect(result).toMatchObject({ code: 'server_protocol' });
    });
  }

  it('T20 a refused STORE is an error for each message, with the reason, and the session goes on', async () => {
    const lab = await startLab();
    lab.fill(2);
    const session = await lab.session();
    lab.server.faults.add({ at: 'store', action: { do: 'no', text: 'Mailbox is full' } });
    const results = await session.dispose(['1', '2'], 'seen', null);
    for (const result of results.values())
      expect(result).toMatchObject({ message: expect.stringContaining('full') });
    expect(await listedKeys(session)).toEqual(['1', '2']);
  });
});
