import { describe, expect, it } from 'vitest';
import { LabImapServer } from '../../src/lab/imap/server.ts';
import { imapSource } from '../../src/source/imap/imap-source.ts';
import { onCleanup } from '../support/cleanup.ts';
import { imapSettings } from '../support/imap-settings.ts';
import { simpleMessage } from '../support/messages.ts';

/** A mailbox with one message, whose deleted items are called as given; null leaves the server without such a folder. */
async function mailboxWith(trash: string | null) {
  const lab = new LabImapServer();
  const port = await lab.start();
  onCleanup(() => lab.stop());
  lab.addUser('ann', { password: 'secret' });
  lab.store.deleteFolder('ann', 'Trash');
  if (trash !== null) lab.store.createFolder('ann', trash, '\\Trash');
  lab.deliver('ann', 'INBOX', simpleMessage('done'));
  const session = await imapSource(imapSettings({ port, user: 'ann', password: 'secret' })).connect(
    AbortSignal.timeout(20_000),
  );
  onCleanup(() => session.close());
  await session.open('INBOX');
  return { lab, session };
}

describe('A move to the deleted items of a server', () => {
  it('finds the folder by its use (RFC 6154), whatever it is called', async () => {
    const { lab, session } = await mailboxWith('Gelöschte Objekte');
    expect([...(await session.dispose(['1'], 'move', '\\Trash')).values()]).toEqual(['done']);
    expect(lab.messages('ann', 'Gelöschte Objekte')).toHaveLength(1);
    expect(lab.store.users.get('ann')?.folders.has('\\Trash')).toBe(false);
  });

  it('makes one called Trash where there is none', async () => {
    const { lab, session } = await mailboxWith(null);
    expect([...(await session.dispose(['1'], 'move', '\\Trash')).values()]).toEqual(['done']);
    expect(lab.messages('ann', 'Trash')).toHaveLength(1);
  });

  it('is refused while those are what is read', async () => {
    const { lab, session } = await mailboxWith('Bin');
    await session.open('Bin');
    lab.deliver('ann', 'Bin', simpleMessage('deleted'));
    const [result] = (await session.dispose(['1'], 'move', '\\Trash')).values();
    expect(result).toMatchObject({ code: 'config_invalid' });
    expect(lab.messages('ann', 'Bin')).toHaveLength(1);
  });
});
