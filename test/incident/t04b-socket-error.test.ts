/**
 * One reset connection must never end the process. An 'error' event without a listener, or a promise that nobody
 * watches, would: vitest fails the run for either, so these tests only have to make them possible.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { makeCertificate } from '../../src/lab/certificate.ts';
import type { Action, Phase } from '../../src/lab/imap/faults.ts';
import type { Session } from '../../src/source/source.ts';
import { collect, listedKeys, never, startLab } from '../support/imap-lab.ts';
import { simpleMessage } from '../support/messages.ts';

const CUTS: Action[] = [{ do: 'reset' }, { do: 'drop' }, { do: 'bye', text: 'going down' }];

const CALLS: [Phase, (session: Session) => Promise<unknown>][] = [
  ['select', (session) => session.open('INBOX')],
  ['search', (session) => session.changes(null)],
  ['fetch', (session) => collect(session.fetch(['1', '2'], 1000))],
  ['store', (session) => session.dispose(['1'], 'seen', null)],
  ['move', (session) => session.dispose(['1'], 'move', 'Trash')],
  ['idle', (session) => session.wait(60_000, never())],
  ['idling', (session) => session.wait(60_000, never())],
];

describe('T4b.1 a connection that is cut', () => {
  for (const cut of CUTS) {
    for (const [phase, call] of CALLS) {
      it(`T4b.1 fails with an error of ours: ${cut.do} at ${phase}`, async () => {
        const lab = await startLab();
        lab.fill(2);
        const session = await lab.session();
        lab.server.faults.add({ at: phase, action: cut, times: 1 });
        await expect(call(session)).rejects.toMatchObject({ code: 'connection_lost' });
        await expect(session.changes(null)).rejects.toMatchObject({ code: 'connection_lost' });
        await session.close();
        expect(await listedKeys(await lab.session())).toEqual(['1', '2']);
      });
    }

    for (const phase of ['connect', 'greeting', 'starttls', 'login', 'ready'] as const) {
      it(`T4b.1 fails the attempt with an error of ours: ${cut.do} at ${phase}`, async () => {
        const certificate = makeCertificate({ names: ['127.0.0.1'] });
        const lab = await startLab({ certificate });
        const source = lab.source({ tls: 'starttls', tlsCa: certificate.cert });
        lab.server.faults.add({ at: phase, action: cut, times: 1 });
        await expect(source.connect(never())).rejects.toMatchObject({ name: 'PenstockError' });
        const session = await source.connect(never());
        await session.close();
      });
    }
  }

  it('T4b.1 names what the server said in its BYE', async () => {
    const lab = await startLab();
    const session = await lab.session();
    lab.server.faults.add({
      at: 'search',
      action: { do: 'bye', text: 'Session invalidated - AccessTokenExpired' },
    });
    await expect(session.changes(null)).rejects.toMatchObject({
      code: 'connection_lost',
      message: expect.stringContaining('AccessTokenExpired'),
    });
  });

  it('T4b.1 notices a cut between two calls', async () => {
    const lab = await startLab();
    const session = await lab.session();
    lab.server.disconnectAll();
    await expect(session.wait(60_000, never())).rejects.toMatchObject({ code: 'connection_lost' });
  });

  it('T4b.1 never ends a stream short: a cut in the middle is an error', async () => {
    const lab = await startLab();
    lab.server.deliver('ann', 'INBOX', simpleMessage('long', 'x'.repeat(5000)));
    const session = await lab.session({ chunkBytes: 2000 });
    const stream = await session.stream('1', 100_000);
    lab.server.faults.add({ at: 'fetch', action: { do: 'cut', after: 500, end: 'reset' } });
    await expect(buffer(stream)).rejects.toMatchObject({ code: 'connection_lost' });
  });

  it('T4b.1 survives a cut in the middle of a batch, and keeps what came before', async () => {
    const lab = await startLab();
    lab.fill(3);
    const session = await lab.session();
    lab.server.faults.add({ at: 'fetch', uids: [2], action: { do: 'cut', after: 10, end: 'reset' } });
    const got: string[] = [];
    const fetching = (async () => {
      for await (const { key } of session.fetch(['1', '2', '3'], 1000)) got.push(key);
    })();
    await expect(fetching).rejects.toMatchObject({ code: 'connection_lost' });
    expect(got).toEqual(['1']);
  });

  it('T4b.1 closes while a call is under way, and after the server has gone', async () => {
    const lab = await startLab();
    const session = await lab.session();
    const waiting = session.wait(60_000, never()).catch((error: unknown) => error);
    await session.close();
    expect(await waiting).toMatchObject({ name: 'PenstockError' });
    const other = await lab.session();
    lab.server.disconnectAll();
    await other.close();
    await other.close();
  });

  it('T4b.1 leaves nothing behind: every connection of these calls is closed', async () => {
    const lab = await startLab();
    for (const phase of ['greeting', 'login', 'ready'] as const) {
      lab.server.faults.add({ at: phase, action: { do: 'bye', text: 'not now' }, times: 1 });
      await expect(lab.source().connect(never())).rejects.toMatchObject({ code: 'connection_lost' });
    }
    await expect(lab.source({ user: 'nobody' }).connect(never())).rejects.toMatchObject({
      code: 'auth_failed',
    });
    await expect.poll(() => lab.server.connections).toBe(0);
  });
});

describe('T4b.3 clients that emit errors are made in one place each', () => {
  const root = fileURLToPath(new URL('../../src/', import.meta.url));
  const sources = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => ({ name: relative('.', name), text: readFileSync(join(root, name), 'utf8') }));

  for (const made of ['ImapFlow', 'Redis', 'Pool', 'Worker', 'Queue', 'QueueEvents', 'Piscina']) {
    it(`T4b.3 new ${made}`, () => {
      const pattern = new RegExp(`\\bnew (?:[A-Za-z_$]+\\.)?${made}\\(`);
      const files = sources.filter(({ text }) => pattern.test(text)).map(({ name }) => name);
      expect(files.length, files.join(', ')).toBeLessThanOrEqual(1);
    });
  }

  it('T4b.3 the one place for ImapFlow listens before it connects, and for ever', () => {
    const files = sources.filter(({ text }) => text.includes('new ImapFlow('));
    expect(files.map(({ name }) => name)).toEqual(['source/imap/connect.ts']);
    const { text } = files[0] as { text: string };
    expect(text.indexOf('link.adopt(client)')).toBeGreaterThan(text.indexOf('new ImapFlow('));
    expect(text.indexOf('link.adopt(client)')).toBeLessThan(text.indexOf('client.connect()'));
    const removals = sources.filter(
      ({ name, text: all }) =>
        name.startsWith('source/imap/') && /removeAllListeners|client\.off\(/.test(all),
    );
    expect(removals).toEqual([]);
  });
});
