/** Folders by the names that people give them. */
import { expect, it, onTestFinished } from 'vitest';
import { ensureFolder, findFolder } from '../../src/source/graph/folders.ts';
import { ANN, startGraphLab } from '../support/graph-lab.ts';

it('finds folders by path, use or well-known name, in any language and case', async () => {
  const lab = await startGraphLab();
  const mailbox = lab.server.mailbox(ANN);
  const inbox = mailbox.folder('inbox')!;
  inbox.displayName = 'Posteingang';
  const support = mailbox.addFolder('Support', inbox);
  const quoted = mailbox.addFolder("O'Brien & Söhne 100%", support);
  const own = mailbox.addFolder('Drafts 2');
  const client = lab.mailbox().client();
  onTestFinished(() => client.close());
  const cases: [string, string, string][] = [
    ['INBOX', inbox.id, 'INBOX'],
    ['inbox', inbox.id, 'INBOX'],
    ['Posteingang', inbox.id, 'Posteingang'],
    ['Inbox/support', support.id, 'INBOX/Support'],
    ["INBOX/Support/O'Brien & Söhne 100%", quoted.id, "INBOX/Support/O'Brien & Söhne 100%"],
    ['/drafts 2/', own.id, 'Drafts 2'],
    ['\\Trash', mailbox.folder('deleteditems')!.id, '\\Trash'],
    ['sentitems', mailbox.folder('sentitems')!.id, 'sentitems'],
    ['Sent Items', mailbox.folder('sentitems')!.id, 'Sent Items'],
    ['archive', mailbox.folder('archive')!.id, 'Archive'],
  ];
  for (const [path, id, spelled] of cases) {
    expect(await findFolder(client, path), path).toMatchObject({ id, path: spelled });
  }
  for (const path of [
    'Support',
    'INBOX/Nowhere',
    'Posteingang/Support/x',
    '',
    '/',
    "x' or displayName ne '",
  ]) {
    await expect(findFolder(client, path), path).rejects.toMatchObject({ code: 'folder_missing' });
  }
});

it('makes what is missing of a path, once, also when somebody else does so meanwhile', async () => {
  const lab = await startGraphLab();
  const mailbox = lab.server.mailbox(ANN);
  const client = lab.mailbox().client();
  onTestFinished(() => client.close());
  const [one, two] = await Promise.all([ensureFolder(client, 'A/B/C'), ensureFolder(client, 'A/B/C')]);
  expect(one.id).toBe(two.id);
  expect([...mailbox.folders.values()].filter(({ displayName }) => /^[ABC]$/.test(displayName))).toHaveLength(
    3,
  );
});
