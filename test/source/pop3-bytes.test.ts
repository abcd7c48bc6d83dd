/** Every byte of every message arrives as it was sent, wherever the network cuts the stream; and nothing ever hangs. */
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { PenstockError } from '../../src/errors.ts';
import { served } from '../../src/lab/pop3/commands.ts';
import { DotDecoder } from '../../src/source/pop3/dot-decoder.ts';
import type { Session } from '../../src/source/source.ts';
import { type CuttingProxy, startCuttingProxy } from '../support/cutting-proxy.ts';
import { collect, never } from '../support/imap-lab.ts';
import { AWKWARD_MESSAGES, simpleMessage } from '../support/messages.ts';
import { type Pop3Lab, SHORT, startPop3Lab } from '../support/pop3-lab.ts';

/** How a server sends a message: with an end to its last line, and stuffed (RFC 1939 section 3). */
function onTheWire(message: Buffer): { content: Buffer; wire: Buffer } {
  const text = message.toString('latin1');
  const content = text === '' || text.endsWith('\r\n') ? text : `${text}\r\n`;
  const wire = `${content.replace(/(^|\r\n)\./g, '$1..')}.\r\n`;
  return { content: Buffer.from(content, 'latin1'), wire: Buffer.from(wire, 'latin1') };
}

describe('the end of a multi-line answer', () => {
  const parts = fc.array(fc.constantFrom('\r', '\n', '.', 'a', '\r\n', '\r\n.', '\n.', '\r.', '\xff', '\0'), {
    maxLength: 30,
  });
  const pieces = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 });

  it('is found, and the content is what was sent, however it is cut and whatever follows', () => {
    fc.assert(
      fc.property(parts, pieces, (message, sizes) => {
        const { content, wire } = onTheWire(Buffer.from(message.join(''), 'latin1'));
        const stream = Buffer.concat([wire, Buffer.from('+OK next')]);
        const decoder = new DotDecoder();
        const got: Buffer[] = [];
        let after = '';
        for (let at = 0, index = 0; at < stream.length; index += 1) {
          const piece = stream.subarray(at, at + (sizes[index % sizes.length] as number));
          at += piece.length;
          if (decoder.ended) after += piece.toString('latin1');
          else {
            const { content: found, rest } = decoder.push(piece);
            got.push(...found);
            after += rest.toString('latin1');
          }
        }
        expect(Buffer.concat(got).toString('latin1')).toBe(content.toString('latin1'));
        expect(after).toBe('+OK next');
      }),
      { numRuns: 5_000 },
    );
  });

  it('is not found in what merely looks like it', () => {
    for (const text of ['a\n.\r\n', '.\n', '.\r.', '\r\n..\r\n', 'x.\r\n', '\n.\r\n']) {
      const decoder = new DotDecoder();
      for (const byte of Buffer.from(text)) decoder.push(Buffer.from([byte]));
      expect(decoder.ended, JSON.stringify(text)).toBe(false);
    }
  });
});

const MESSAGES = [
  simpleMessage('dots', '.\r\n..\r\n.x\r\n\r\n.\r\n'),
  Buffer.concat([Buffer.from('S: 8\r\n\r\n'), Buffer.from([0xe4, 0x80, 0xff, 0x0a, 0x2e, 0x0d, 0x0d, 0x0a])]),
  Buffer.from('Subject: short\r\n\r\n.'),
];

describe('a connection that is cut anywhere', () => {
  let lab: Pop3Lab;
  let proxy: CuttingProxy;
  let expected: Buffer[];

  beforeEach(async () => {
    lab = await startPop3Lab();
    for (const message of MESSAGES) lab.server.deliver('ann', message);
    expected = lab.server.messages('ann').map(served);
    proxy = await startCuttingProxy(lab.server.port);
  });

  /** A whole pass: everything whole, the first one as a stream too, and QUIT. */
  async function takeAll(): Promise<Buffer[]> {
    // No deadline may stand in for an end that was not noticed: none passes within the test.
    const source = lab.source(
      { port: proxy.port },
      { ...SHORT, commandMs: 600_000, loginMs: 600_000, closeMs: 600_000 },
    );
    let session: Session | null = null;
    try {
      session = await source.connect(never());
      const { count } = await session.open('INBOX');
      expect(count).toBe(MESSAGES.length);
      const got: Buffer[] = [];
      for await (const answer of session.fetch(['1', '2', '3'], 10_000)) {
        if (!('bytes' in answer)) throw new Error(`No bytes of ${answer.key}`);
        got.push(answer.bytes);
        expect(answer.bytes.equals(expected[got.length - 1] as Buffer)).toBe(true);
      }
      expect((await buffer(await session.stream('1', 10_000))).equals(expected[0] as Buffer)).toBe(true);
      await session.wait(0, never());
      return got;
    } finally {
      await session?.close();
    }
  }

  it('gives the same bytes when the stream is split at any one place', async () => {
    expect(await takeAll()).toEqual(expected);
    const total = proxy.sent();
    expect(total).toBeGreaterThan(500);
    for (let at = 1; at < total; at += 1) {
      proxy.plan = { pieces: [at, total] };
      expect(await takeAll(), `split at ${at}`).toEqual(expected);
    }
  }, 120_000);

  it('gives the same bytes one byte at a time, and in pieces of any size', async () => {
    proxy.plan = { pieces: [1] };
    expect(await takeAll()).toEqual(expected);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 10 }),
        async (pieces) => {
          proxy.plan = { pieces };
          expect(await takeAll()).toEqual(expected);
        },
      ),
      { numRuns: 60 },
    );
  }, 120_000);

  it.each(['fin', 'reset'] as const)(
    'gives whole messages or an error of ours, when it ends anywhere (%s)',
    async (end) => {
      await takeAll();
      const total = proxy.sent();
      for (let upTo = 0; upTo < total; upTo += 1) {
        proxy.plan = { upTo, end };
        const outcome = await takeAll().catch((error: unknown) => error);
        if (Array.isArray(outcome)) {
          // Only the answer to QUIT was lost, on which nothing depends.
          expect(outcome).toEqual(expected);
          expect(total - upTo).toBeLessThanOrEqual('+OK Bye\r\n'.length);
          continue;
        }
        expect(outcome, `cut at ${upTo}`).toBeInstanceOf(PenstockError);
        expect((outcome as PenstockError).code, `cut at ${upTo}`).toBe('connection_lost');
      }
    },
    120_000,
  );
});

describe('awkward messages', () => {
  it('arrive whole through a server that sends byte after byte', async () => {
    const lab = await startPop3Lab();
    const messages = [...AWKWARD_MESSAGES.values()].filter((message) => message.length < 2_000);
    for (const message of messages) lab.server.deliver('ann', message);
    lab.server.faults.add({ at: 'ready', action: { do: 'drip', bytes: 1, ms: 0 } });
    const session = await lab.session();
    const keys = messages.map((_message, index) => String(index + 1));
    const got = await collect(session.fetch(keys, 10_000));
    expect(got.map((answer) => ('bytes' in answer ? answer.bytes : answer))).toEqual(
      lab.server.messages('ann').map(served),
    );
  });
});
