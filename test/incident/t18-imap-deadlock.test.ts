/** A command inside a loop over FETCH answers waits for itself for ever; and FETCH may answer with nothing. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { collect, listedKeys, startLab } from '../support/imap-lab.ts';

describe('T18 IMAP deadlock', () => {
  const folder = fileURLToPath(new URL('../../src/source/imap/', import.meta.url));
  const sources = readdirSync(folder).map((name) => ({ name, text: readFileSync(folder + name, 'utf8') }));

  it("T18.1 loops over imapflow's fetch in one place, and runs no command there", () => {
    const fetching = sources.filter(({ text }) =>
      /client\.fetch\(|\.fetchAll\(|\.fetchOne\(|\.download\(/.test(text),
    );
    expect(fetching.map(({ name }) => name)).toEqual(['commands.ts']);
    const { text } = fetching[0] as { text: string };
    expect(text.match(/client\.fetch\(/g)).toHaveLength(1);
    const begin = text.indexOf('async *rows(');
    const loop = text.slice(begin, text.indexOf('\n  }\n', begin));
    expect(loop).toContain('client.fetch(');
    expect(loop.match(/this\.#run\(|await this\.(?!link\.within\()/g)).toBeNull();
  });

  it('T18.1 refuses a call inside a loop over fetch() at once instead of hanging, and goes on', async () => {
    const lab = await startLab();
    lab.fill(3);
    const session = await lab.session();
    const keys = ['1', '2', '3'];
    let refusals = 0;
    for await (const fetched of session.fetch(keys, 1000)) {
      expect(fetched).toHaveProperty('bytes');
      await expect(session.existing(keys)).rejects.toMatchObject({ code: 'internal' });
      refusals += 1;
    }
    expect(refusals).toBe(3);
    expect((await session.existing(keys)).size).toBe(3);
  });

  it('T18.1 leaves a loop over fetch() early without harm', async () => {
    const lab = await startLab();
    lab.fill(50);
    const session = await lab.session();
    const keys = await listedKeys(session);
    for await (const _fetched of session.fetch(keys, 1000)) break;
    expect((await session.existing(keys)).size).toBe(50);
    expect(await collect(session.fetch(keys, 1000))).toHaveLength(50);
  });

  it('T18.2 an empty folder: no command that a server would call BAD', async () => {
    const lab = await startLab();
    const session = await lab.session();
    expect(await listedKeys(session)).toEqual([]);
    expect(await collect(session.fetch([], 1000))).toEqual([]);
    expect(await collect(session.keys())).toEqual([]);
    expect(await collect(session.fingerprints([]))).toEqual([]);
    expect(await session.existing([])).toEqual(new Set());
    expect(await session.dispose([], 'delete', null)).toEqual(new Map());
    expect(await session.currentCursor()).toBe(JSON.stringify({ uidValidity: '1700000000', lastUid: 0 }));
    expect(lab.server.countCommands('UID FETCH')).toBe(0);
  });

  it('T18.2 one message', async () => {
    const lab = await startLab();
    lab.fill(1);
    const session = await lab.session();
    expect(await listedKeys(session)).toEqual(['1']);
    expect(await collect(session.fetch(['1'], 1000))).toHaveLength(1);
  });

  it('T18.2 a message that is expunged between listing and fetching is gone, and the others come', async () => {
    const lab = await startLab();
    lab.fill(3);
    const session = await lab.session();
    const keys = await listedKeys(session);
    const gone = lab.server.messages('ann')[1];
    lab.server.store.folder('ann', 'INBOX').remove(new Set(gone ? [gone] : []));
    const fetched = await collect(session.fetch(keys, 1000));
    const failed = fetched.filter((one) => 'error' in one);
    expect(failed.map(({ key }) => key)).toEqual(['2']);
    expect(fetched.filter((one) => 'bytes' in one).map(({ key }) => key)).toEqual(['1', '3']);
    expect(await session.existing(keys)).toEqual(new Set(['1', '3']));
  });
});
