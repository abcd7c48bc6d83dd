import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sampleMessages } from '../../src/lab/samples/samples.ts';
import { LIMITS } from '../../src/limits.ts';
import { type Body, decodeBody, decodeWithMailParser } from '../../src/message/body.ts';
import { useLeaves } from '../../src/message/leaf-use.ts';
import { scanStructure } from '../../src/message/structure.ts';
import { multipart } from './mail.ts';

/** Both ways to decode the text of a message. */
async function bothWays(message: Buffer): Promise<{ ours: Body; mailparser: Body }> {
  const { leaves, lineEnd } = scanStructure(message, undefined, () => Number.MAX_SAFE_INTEGER);
  const bodies = useLeaves(leaves, LIMITS).flatMap(({ leaf, use }) => (use === 'body' ? [leaf] : []));
  const texts = bodies.filter(({ kept }) => kept.length > 0);
  if (texts.length === 0) throw new Error('a message without text compares nothing');
  return {
    ours: await decodeBody(texts, lineEnd),
    mailparser: await decodeWithMailParser(texts, lineEnd),
  };
}

describe('the text that we decode is the text that mailparser decodes', () => {
  it('for every kind of sample message', async () => {
    for (const { bytes, kind } of sampleMessages(7, 300)) {
      // Passes a limit on purpose, so that it has no text at all.
      if (kind === 'too-deep') continue;
      const { ours, mailparser } = await bothWays(bytes);
      expect(ours, kind).toEqual(mailparser);
    }
  });

  it('for any bytes under any transfer encoding and charset', async () => {
    const part = fc.record({
      type: fc.constantFrom('plain', 'html'),
      encoding: fc.constantFrom('7bit', '8bit', 'quoted-printable', 'base64'),
      charset: fc.constantFrom(
        'utf-8',
        'us-ascii',
        'iso-8859-1',
        'windows-1252',
        'shift_jis',
        'utf-16',
        'nonsense',
      ),
      // Pieces that mean something to a decoder, among others.
      text: fc
        .array(
          fc.oneof(
            fc.constantFrom(
              '=',
              '=C3=A9',
              '= \r\n',
              '=\r\n',
              ' \t\r\n',
              '\r\n',
              '\n',
              '=\n',
              '=3D',
              '=zz',
              'w6k=',
              'aGVs\r\n',
            ),
            fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 8 }),
            fc.constantFrom('\xe9', '\xc3\xa9', '\x82\xa0', '\xff'),
          ),
          { minLength: 1, maxLength: 30 },
        )
        .map((pieces) => `x${pieces.join('').replace(/\r(?!\n)/g, '')}x`),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 3 }), async (parts) => {
        const message = multipart(
          'alternative',
          parts.map(({ type, encoding, charset, text }) => ({
            headers: [
              `Content-Type: text/${type}; charset=${charset}`,
              `Content-Transfer-Encoding: ${encoding}`,
            ],
            // What is no base64 at all each decoder mends in its own way.
            body: encoding === 'base64' ? Buffer.from(text, 'latin1').toString('base64') : text,
          })),
        );
        const { ours, mailparser } = await bothWays(message);
        expect(ours).toEqual(mailparser);
      }),
      { numRuns: 400 },
    );
  });
});
