/**
 * A server that stops answering without closing the connection: the route is gone, or the process behind the
 * socket hangs. Every call has to come to an end, and the next connection has to find what came meanwhile.
 */
import { once } from 'node:events';
import net from 'node:net';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeCertificate } from '../../src/lab/certificate.ts';
import type { Phase } from '../../src/lab/imap/faults.ts';
import { LIMITS } from '../../src/limits.ts';
import { imapSource } from '../../src/source/imap/imap-source.ts';
import type { Session } from '../../src/source/source.ts';
import { collect, listedKeys, never, SHORT, startLab } from '../support/imap-lab.ts';
import { imapSettings } from '../support/imap-settings.ts';
import { simpleMessage } from '../support/messages.ts';

/** What is under way, where the server falls silent, and the call that is to end. */
const CALLS: [name: string, phase: Phase, call: (session: Session) => Promise<unknown>][] = [
  ['open', 'select', (session) => session.open('INBOX')],
  ['changes', 'search', (session) => session.changes(null)],
  ['fetch', 'fetch', (session) => collect(session.fetch(['1'], 1000))],
  ['stream', 'fetch', (session) => session.stream('1', 1000)],
  ['fingerprints', 'fetch', (session) => collect(session.fingerprints(['1']))],
  ['keys', 'search', (session) => collect(session.keys())],
  ['seen', 'store', (session) => session.dispose(['1'], 'seen', null)],
  ['move', 'move', (session) => session.dispose(['1'], 'move', 'Trash')],
  ['move, while it looks for the folder', 'status', (session) => session.dispose(['1'], 'move', 'Trash')],
  ['delete', 'expunge', (session) => session.dispose(['1'], 'delete', null)],
  ['existing', 'noop', (session) => session.existing(['1'])],
];

describe.concurrent('T4.1 half-open connection', () => {
  for (const [name, phase, call] of CALLS) {
    it(`T4.1 settles when the server falls silent at ${phase}: ${name}`, async () => {
      const lab = await startLab();
      lab.fill(2);
      const session = await lab.session(SHORT);
      const release = lab.server.faults.add({ at: phase, action: { do: 'hang' } });
      await expect(call(session)).rejects.toMatchObject({ code: 'stalled' });
      // The session stays dead with the same reason, and says so at once.
      await expect(session.existing(['1'])).rejects.toMatchObject({ code: 'stalled' });
      release();
      lab.server.deliver('ann', 'INBOX', simpleMessage('meanwhile'));
      expect(await listedKeys(await lab.session())).toContain('3');
    });
  }

  it('T4.1 settles when the server falls silent in the middle of a message', async () => {
    const lab = await startLab();
    lab.fill(2);
    const session = await lab.session(SHORT);
    lab.server.faults.add({ at: 'fetch', uids: [2], action: { do: 'cut', after: 20, end: 'hang' } });
    const got: string[] = [];
    const fetching = (async () => {
      for await (const { key } of session.fetch(['1', '2'], 1000)) got.push(key);
    })();
    await expect(fetching).rejects.toMatchObject({ code: 'stalled' });
    expect(got).toEqual(['1']);
  });

  it('T4.1 settles when a stream falls silent after its first piece', async () => {
    const lab = await startLab();
    lab.server.deliver('ann', 'INBOX', simpleMessage('long', 'x'.repeat(5000)));
    const session = await lab.session({ ...SHORT, chunkBytes: 1000 });
    const stream = await session.stream('1', 100_000);
    lab.server.faults.add({ at: 'fetch', action: { do: 'hang' } });
    await expect(buffer(stream)).rejects.toMatchObject({ code: 'stalled' });
  });

  it('T4.1 settles when the server falls silent between two pages', async () => {
    const lab = await startLab();
    lab.fill(LIMITS.batchMessages + 1);
    const session = await lab.session(SHORT);
    const changes = await session.changes(null);
    if (changes.lost) throw new Error(changes.reason);
    const reading = (async () => {
      for await (const _page of changes.pages) lab.server.faults.add({ at: 'fetch', action: { do: 'hang' } });
    })();
    await expect(reading).rejects.toMatchObject({ code: 'stalled' });
  });

  // Silent during IDLE: nothing is owed by the server, so waiting ends as usual and the next command finds out.
  for (const phase of ['idle', 'idling', 'done'] as const) {
    it(`T4.1 settles when the server falls silent at ${phase}`, async () => {
      const lab = await startLab();
      const session = await lab.session(SHORT);
      const release = lab.server.faults.add({ at: phase, action: { do: 'hang' } });
      expect(await session.wait(100, never())).toBe('timeout');
      await expect(session.open('INBOX')).rejects.toMatchObject({ code: 'stalled' });
      release();
      lab.fill(1);
      expect(await listedKeys(await lab.session())).toEqual(['1']);
    });
  }

  for (const [phase, code] of [
    ['greeting', 'greeting_failed'],
    ['capability', 'stalled'],
    ['login', 'stalled'],
  ] as const) {
    it(`T4.1 ends the attempt when the server falls silent at ${phase}`, async () => {
      const lab = await startLab();
      lab.server.faults.add({ at: phase, action: { do: 'hang' } });
      await expect(lab.source({}, SHORT).connect(never())).rejects.toMatchObject({ code });
    });
  }

  it('T4.1 ends the attempt when the TLS handshake is never answered', async () => {
    const silent = net.createServer(() => {});
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    onTestFinished(() => void silent.close());
    const { port } = silent.address() as net.AddressInfo;
    const source = imapSource(imapSettings({ port, user: 'ann', tls: 'implicit' }), {
      ...SHORT,
      connectMs: 300,
    });
    await expect(source.connect(never())).rejects.toMatchObject({ code: 'connect_timeout' });
  });

  it('T4.1 ends the attempt when the handshake after STARTTLS is never answered', async () => {
    const certificate = makeCertificate({ names: ['127.0.0.1'] });
    const lab = await startLab({ certificate });
    // The server says OK and goes silent instead of beginning the handshake.
    lab.server.faults.add({ at: 'starttls', action: { do: 'pretend' } });
    const source = lab.source(
      { tls: 'starttls', tlsCa: certificate.cert },
      { ...SHORT, connectMs: 500, greetingMs: 500 },
    );
    await expect(source.connect(never())).rejects.toMatchObject({ name: 'PenstockError' });
  });

  it('T4.1 closes a session whose server does not answer LOGOUT', async () => {
    const lab = await startLab();
    const session = await lab.session(SHORT);
    lab.server.faults.add({ at: 'logout', action: { do: 'hang' } });
    await session.close();
    await expect(session.open('INBOX')).rejects.toMatchObject({ name: 'PenstockError' });
  });

  it('T4.1 counts a server that sends a byte now and then as stalled', async () => {
    const lab = await startLab();
    lab.fill(1);
    const session = await lab.session({ ...SHORT, commandMs: 500 });
    lab.server.faults.add({ at: 'fetch', action: { do: 'drip', bytes: 1, ms: 20 } });
    await expect(collect(session.fetch(['1'], 1000))).rejects.toMatchObject({ code: 'stalled' });
  });
});
