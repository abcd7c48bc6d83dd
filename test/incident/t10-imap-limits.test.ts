/** Servers claim any size and send any size. What is taken is bounded by bytes that arrived, never by a claim. */
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { collect, listedKeys, startLab } from '../support/imap-lab.ts';
import { simpleMessage } from '../support/messages.ts';

const MB = 1024 * 1024;

describe('T10 limits of size', () => {
  it('T10.2 a message that is announced as 2 GB is listed as such, and not a byte of it is fetched', async () => {
    const lab = await startLab();
    const content = {
      size: 2 ** 31,
      bytes: (): Buffer => {
        throw new Error('nobody should ask for these bytes');
      },
    };
    lab.server.deliver('ann', 'INBOX', content);
    const session = await lab.session();
    const changes = await session.changes(null);
    if (changes.lost) throw new Error(changes.reason);
    const [page] = await collect(changes.pages);
    expect(page?.items).toMatchObject([{ key: '1', size: 2 ** 31 }]);
  });

  it('T10.3 a server that claims too little: the limit counts what arrives', async () => {
    const lab = await startLab();
    lab.server.deliver('ann', 'INBOX', simpleMessage('big', 'x'.repeat(3 * MB)));
    lab.server.faults.add({ at: 'fetch', action: { do: 'claim-size', bytes: 100 } });
    const session = await lab.session();
    expect(await collect(session.fetch(['1'], 1000))).toEqual([{ key: '1', tooLarge: true }]);
    await expect(session.stream('1', 2 * MB).then(buffer)).rejects.toMatchObject({
      code: 'message_oversized',
    });
    // And below the limit the message is whole, however small it was claimed to be.
    expect((await session.stream('1', 4 * MB).then(buffer)).length).toBeGreaterThan(3 * MB);
  });

  it('T10.3 a server that claims too much: the message is whole and the session goes on', async () => {
    const lab = await startLab();
    const message = simpleMessage('small');
    lab.server.deliver('ann', 'INBOX', message);
    lab.server.faults.add({ at: 'fetch', action: { do: 'claim-size', bytes: 10 * MB } });
    const session = await lab.session();
    expect((await session.stream('1', 20 * MB).then(buffer)).equals(message)).toBe(true);
    expect(await collect(session.fetch(['1'], 1000))).toEqual([{ key: '1', bytes: message }]);
  });

  it('T10.3 a literal without end is cut at the limit, and the message that did it is named', async () => {
    const lab = await startLab();
    lab.fill(3);
    lab.server.faults.add({ at: 'fetch', uids: [2], action: { do: 'endless', announce: 100 * MB } });
    const session = await lab.session();
    const got: string[] = [];
    const fetching = (async () => {
      for await (const { key } of session.fetch(['1', '2', '3'], 1000)) got.push(key);
    })();
    await expect(fetching).rejects.toMatchObject({
      code: 'server_protocol',
      fields: { suspectKey: '2', detail: 'LiteralTooLarge' },
    });
    expect(got).toEqual(['1']);
    // The connection is gone at once: the server does not go on sending into it.
    await expect.poll(() => lab.server.connections).toBe(0);
  });

  it('T10.3 a server that sends the whole message when asked for a part', async () => {
    const lab = await startLab();
    const message = simpleMessage('whole', 'x'.repeat(5000));
    lab.server.deliver('ann', 'INBOX', message);
    lab.server.faults.add({ at: 'fetch', action: { do: 'ignore-partial' } });
    const session = await lab.session({ chunkBytes: 1000 });
    expect(await collect(session.fetch(['1'], 1000))).toEqual([{ key: '1', tooLarge: true }]);
    expect((await session.stream('1', 10_000).then(buffer)).equals(message)).toBe(true);
    await expect(session.stream('1', 3000).then(buffer)).rejects.toMatchObject({ code: 'message_oversized' });
  });

  it('T10.3 a server that ignores parts and claims too much cannot pass the message off as its own rest', async () => {
    const lab = await startLab();
    const message = simpleMessage('twice');
    lab.server.deliver('ann', 'INBOX', { size: 5000, bytes: () => message });
    lab.server.faults.add({ at: 'fetch', action: { do: 'ignore-partial' } });
    const session = await lab.session({ chunkBytes: 1000 });
    await expect(session.stream('1', 10_000).then(buffer)).rejects.toMatchObject({ code: 'fetch_failed' });
    expect(await collect(session.fetch(['1'], 1000))).toEqual([{ key: '1', bytes: message }]);
  });

  it('T10.3 a server that stops short of what it claimed is asked for the rest', async () => {
    const lab = await startLab();
    const message = simpleMessage('short', 'x'.repeat(5000));
    lab.server.deliver('ann', 'INBOX', message);
    lab.server.faults.add({ at: 'fetch', action: { do: 'shorten', bytes: 700 }, times: 1 });
    const session = await lab.session({ chunkBytes: 1000 });
    expect((await session.stream('1', 10_000).then(buffer)).equals(message)).toBe(true);
  });

  it('T10.3 a server that falls silent about a message in its middle fails the stream', async () => {
    const lab = await startLab();
    lab.server.deliver('ann', 'INBOX', simpleMessage('lost', 'x'.repeat(5000)));
    const session = await lab.session({ chunkBytes: 1000 });
    const stream = await session.stream('1', 10_000);
    lab.server.faults.add({ at: 'fetch', action: { do: 'omit' } });
    await expect(buffer(stream)).rejects.toMatchObject({ code: 'fetch_failed' });
    expect(await listedKeys(session)).toEqual(['1']);
  });

  it('T10.4 the first listing of 100,000 messages holds numbers, not messages, and can be resumed', async () => {
    const lab = await startLab();
    const content = { size: 40_000, bytes: () => Buffer.alloc(40_000) };
    for (let index = 0; index < 100_000; index += 1) lab.server.deliver('ann', 'INBOX', content);
    const session = await lab.session();
    const changes = await session.changes(null);
    if (changes.lost) throw new Error(changes.reason);
    expect(changes.total).toBe(100_000);
    let listed = 0;
    let cursor = '';
    for await (const page of changes.pages) {
      listed += page.items.length;
      ({ cursor } = page);
      if (listed >= 10_000) break;
    }
    const rest = await session.changes(cursor);
    if (rest.lost) throw new Error(rest.reason);
    expect(rest.total).toBe(100_000 - listed);
    const [next] = await collect(takeOne(rest.pages));
    expect(next?.items[0]?.key).toBe(String(listed + 1));
    let keys = 0;
    for await (const chunk of session.keys()) keys += chunk.length;
    expect(keys).toBe(100_000);
  });
});

async function* takeOne<T>(values: AsyncIterable<T>): AsyncGenerator<T> {
  for await (const value of values) {
    yield value;
    return;
  }
}
