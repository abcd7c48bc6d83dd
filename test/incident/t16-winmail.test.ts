/** Files that Outlook wrapped in a winmail.dat are files of the message. */
import { describe, expect, it } from 'vitest';
import { parseMessage } from '../../src/message/parse.ts';
import { countLeaves, multipart } from '../message/mail.ts';
import { THREE_FILES } from '../message/tnef-bytes.ts';

describe('T16.1 a message with a winmail.dat', () => {
  const wrapped = (bytes: Buffer, type = 'application/ms-tnef'): Buffer =>
    multipart('mixed', [
      { headers: ['Content-Type: text/plain'], body: 'Hello' },
      {
        headers: [`Content-Type: ${type}; name=winmail.dat`, 'Content-Transfer-Encoding: base64'],
        body: bytes.toString('base64').replace(/.{76}/g, '$&\r\n'),
      },
      { headers: ['Content-Type: image/png; name="a long name with Ünïcode.pdf"'], body: 'x' },
    ]);

  it.each(['application/ms-tnef', 'application/vnd.ms-tnef', 'application/octet-stream'])(
    'T16.1 as %s lists the files in it after it, as attachments',
    async (type) => {
      const message = await parseMessage(wrapped(THREE_FILES, type));
      expect(message.leaves.map(({ part, use, filename, size }) => [part, use, filename, size])).toEqual([
        ['1', 'body', null, 5],
        ['2', 'attachment', 'winmail.dat', THREE_FILES.length],
        ['2.1', 'attachment', 'a long name with Ünïcode.pdf', 1_000],
        ['2.2', 'attachment', 'Привет', 7],
        ['2.3', 'attachment', 'An embedded message', 100],
        ['3', 'attachment', expect.stringContaining('a long name'), 1],
      ]);
      expect(message.leaves[2]).toMatchObject({ contentType: 'application/pdf', reason: 'Inside part 2.' });
      expect(message.warnings).toEqual([]);
      expect(countLeaves(message)).toEqual({ all: 6, accounted: 6 });
    },
  );

  it('T16.1 that is none, or larger than what is read, is listed and said so', async () => {
    const none = await parseMessage(wrapped(Buffer.from('nothing of the kind')));
    expect(none.leaves).toHaveLength(3);
    expect(none.warnings).toEqual(['Part 2: the TNEF container could not be read to its end.']);
    const cut = await parseMessage(wrapped(THREE_FILES), { tnefBytes: 600 });
    expect(cut.leaves.map(({ part }) => part)).toEqual(['1', '2', '2.1', '3']);
    expect(cut.warnings).toHaveLength(1);
  });
});
